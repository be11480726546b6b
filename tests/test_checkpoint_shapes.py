"""A checkpoint that is well-formed and of another shape opens and predicts, or says in one sentence what is wrong."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rung.checkpoint import load
from rung.data.batch import collate
from rung.errors import ModelError, RungError
from rung.model.potential import ReadoutPotential
from tests.geometries import molecule_structures
from tests.run.small_world import SmallWorld
from tests.shapes import damaged


@pytest.fixture(scope="module")
def whole(original: SmallWorld) -> dict[str, Any]:
    """What the checkpoint of a readout run holds."""
    content: dict[str, Any] = torch.load(original.folder / "run" / "model.rung", weights_only=True)
    return content


def few_tensors(whole: dict[str, Any]) -> dict[str, Any]:
    """Leave three tensors in the model: the others are read as these are."""
    backbone = whole["potential"]["backbone"]
    state = {name: backbone["state"][name] for name in list(backbone["state"])[:3]}
    return {**whole, "potential": {**whole["potential"], "backbone": {**backbone, "state": state}}}


def with_tensors(content: Any, whole: dict[str, Any]) -> Any:
    """Put the other tensors back where there is a model to put them in."""
    try:
        state = content["potential"]["backbone"]["state"]
        state.update({name: value for name, value in _state(whole).items() if name not in list(_state(whole))[:3]})
    except (TypeError, KeyError, AttributeError, IndexError):
        pass  # what was replaced holds no model
    return content


def _state(whole: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = whole["potential"]["backbone"]["state"]
    return state


def predicts(potential: ReadoutPotential) -> None:
    structures = molecule_structures()[:2]
    for fidelity in potential.fidelities:
        batch = collate(structures, [fidelity] * len(structures), potential.cutoff, dtype=potential.dtype)
        potential.predict(batch)


@pytest.mark.parametrize("count", [10, pytest.param(250, marks=pytest.mark.slow)])
def test_content_of_another_shape(count: int | None, whole: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.rung"
    ends = {"opened": 0, "refused": 0}
    for words, content in damaged(few_tensors(whole), count):
        torch.save(with_tensors(content, whole), path)
        try:
            predicts(load(path).potential)
            ends["opened"] += 1
        except RungError as error:
            ends["refused"] += 1
            assert "\n" not in str(error), words
            assert len(str(error)) < 1000, words
        except Exception as error:
            error.add_note(words)
            raise
    assert ends["refused"] > ends["opened"]


POSTERIOR, SURFACE = ("posterior",), ("potential", "surfaces", "high")

CASES: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "no potential": (("potential",), None, "'checkpoint.potential'"),
    "text for a surface": (SURFACE, "much", "'potential.surfaces.high'"),
    "a mapping for the mean": ((*POSTERIOR, "mean"), {"a": 1}, r"'checkpoint.posterior.mean'.*tensor"),
    "a mean of another length": ((*POSTERIOR, "mean"), torch.zeros(3, dtype=torch.float64), r"mean has the shape"),
    "a covariance repeated": (
        (*POSTERIOR, "covariance"),
        torch.ones(1, 1, dtype=torch.float64).expand(1 << 20, 1 << 20),
        "all its numbers in the file",
    ),
    "text for an error": ((*POSTERIOR, "model_error"), "0.1", "posterior.model_error"),
    "an element that is none": ((*SURFACE, "reference"), {200: 1.0}, r"reference.200"),
    "no blocks": ((*SURFACE, "blocks"), [], r"surfaces.high.blocks"),
    "metadata that are none": (("metadata",), [1], "'checkpoint.metadata'"),
    "a fidelity of a path": (("potential", "surfaces"), {"../../high": None}, "a fidelity is named by"),
    "a version of text": (("version",), "2", "has version of a str"),
    "a version of a truth value": (("version",), True, "has version True"),
    "an unknown backend": (("potential", "backend"), "none", "Unknown backend 'none'"),
    "a backbone of a list": (("potential", "backbone"), [], "should be one backbone"),
    "sums of nothing": (("potential",), {"backend": "sum", "backbone": [], "surfaces": {}}, "surfaces"),
    "another head": (("potential", "backbone", "head"), "other", "Unknown head 'other'"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_sentence_names_the_place(case: str, whole: dict[str, Any], tmp_path: Path) -> None:
    (*groups, last), value, sentence = CASES[case]
    content = {**whole}
    inner = content
    for group in groups:
        inner[group] = {**inner[group]}
        inner = inner[group]
    inner[last] = value
    path = tmp_path / "model.rung"
    torch.save(content, path)
    with pytest.raises(ModelError, match=sentence) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} ")
