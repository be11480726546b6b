"""The plain data of a tangent fit's posterior: what is damaged or of another shape is refused with its place."""

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from rung.backends.posteriors import posterior_from_plain, posterior_to_plain
from rung.data.structure import Structure
from rung.errors import ModelError
from rung.model.posterior import Posterior
from rung.model.tangent import TangentPosterior, TangentRow, WeightGroup
from tests.shapes import damaged


@pytest.fixture(scope="module")
def plain(tiny_potential) -> dict[str, Any]:
    """Two rows, one of them of a force, and one group."""
    structure = Structure(Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]], pbc=[True, False, False]), "", {})
    names = ("[0]", "[1]", "E0[1]", "E0[8]")
    posterior = TangentPosterior(
        coordinates=Posterior(names, np.zeros(4), np.eye(4), np.zeros((0, 4)), 0.1, 0.0),
        base=tiny_potential,
        fidelity=tiny_potential.fidelities[0],
        tensors=("module.readouts.0.linear.weight",),
        rows=(TangentRow(structure), TangentRow(structure, np.ones((2, 3)))),
        groups=(WeightGroup("", np.eye(2), 2.0, 0.01),),
        absorbed=np.zeros((2, 2)),
        own_variance=1e-3,
    )
    return posterior_to_plain(posterior)


def test_what_was_written_comes_back(plain):
    posterior = posterior_from_plain(plain, "here")
    assert isinstance(posterior, TangentPosterior)
    first, second = posterior.rows
    assert first.structure.atoms.pbc.tolist() == [True, False, False]
    assert first.direction is None
    assert second.direction is not None and second.direction.all()
    assert posterior_to_plain(posterior)["tensors"] == plain["tensors"]
    np.testing.assert_array_equal(posterior.groups[0].combination, np.eye(2))


CASES = {
    "a row of no element": (("rows", 0, "numbers"), [8, 200], "here.rows.0.numbers.1"),
    "a row of another length": (("rows", 1, "direction"), torch.zeros(5, 3), "direction has the shape"),
    "a group of other rows": (("groups", 0, "combination"), torch.zeros(2, 3), "bases are not of 2 rows"),
    "a group of other coordinates": (("groups", 0, "combination"), torch.zeros(1, 2), "not of 4 coordinates"),
    "a size of zero": (("groups", 0, "size"), 0.0, "here.groups.0.size"),
    "a negative variance": (("own_variance",), -1.0, "here.own_variance"),
    "a fidelity that the base has not": (("fidelity",), "other", "'here.fidelity'"),
    "no base": (("base",), {}, "potential"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_sentence_names_the_place(case, plain):
    (*path, last), value, sentence = CASES[case]
    content = {**plain, "rows": [{**row} for row in plain["rows"]], "groups": [{**group} for group in plain["groups"]]}
    inner: Any = content
    for step in path:
        inner = inner[step]
    inner[last] = value
    with pytest.raises(ModelError, match=sentence):
        posterior_from_plain(content, "here")


def test_other_shapes_are_refused_in_a_sentence(plain):
    without_base = {name: value for name, value in plain.items() if name != "base"}
    refused = 0
    for words, content in damaged(without_base, 60):
        if not isinstance(content, dict):
            continue
        try:
            posterior_from_plain({**content, "base": plain["base"], "kind": "tangent"}, "here")
        except ModelError as error:
            refused += 1
            assert "\n" not in str(error), words
    assert refused > 20
