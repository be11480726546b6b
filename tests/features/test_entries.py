"""Entries: each geometry is computed once, in any batch, and what the cache holds is used wherever it serves."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from rung.data.structure import Structure
from rung.errors import DataError, ModelError, counted
from rung.features import entries
from rung.features.cache import DesignCache
from rung.features.passes import build_designs, features_of
from rung.features.probes import Probe
from rung.model.readout import Readout, ReadoutBlock
from rung.progress import SILENT
from tests.pair_backbone import PairBackbone, analytic, pair_readout, pair_structures

KINDS = ("jacobian", "summed", "auto")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_batches_order_and_duplicates_do_not_matter(kind, batch_size):
    backbone = PairBackbone()
    readout = pair_readout(backbone)
    structures = pair_structures(backbone)
    shuffled = [structures[k] for k in (3, 0, 5, 3, 1, 0)]
    alone = {
        structure.structure_id: build_designs([structure], backbone, readout, forces=True, fidelity="low", kind=kind)[0]
        for structure in structures
    }
    made = build_designs(shuffled, backbone, readout, forces=True, fidelity="low", kind=kind, batch_size=batch_size)
    for structure, design in zip(shuffled, made, strict=True):
        assert_allclose(design.forces, alone[structure.structure_id].forces, atol=1e-12)
        assert_allclose(design.energy, alone[structure.structure_id].energy, rtol=1e-13)


class Counting(PairBackbone):
    """A backbone that counts the rows for which it is asked."""

    rows = 0

    def feature_layers(self, batch):
        type(self).rows += batch.n_rows
        return super().feature_layers(batch)


def test_one_geometry_is_computed_once_whatever_it_is_called(tmp_path):
    backbone = Counting()
    Counting.rows = 0
    structure = pair_structures(backbone)[0]
    twice = [structure, Structure(structure.atoms, "another-name", {})]
    build_designs(twice, backbone, pair_readout(backbone), forces=True, fidelity="low", cache=DesignCache(tmp_path))
    assert Counting.rows == 1
    build_designs(twice, backbone, pair_readout(backbone), forces=True, fidelity="low", cache=DesignCache(tmp_path))
    assert Counting.rows == 1


def test_a_jacobian_in_the_cache_serves_every_readout_and_the_features(tmp_path):
    backbone, cache = Counting(), DesignCache(tmp_path)
    structures = pair_structures(backbone)
    first, second = pair_readout(backbone), pair_readout(backbone, seed=7, n_hidden=3)
    fresh = build_designs(structures, backbone, second, forces=True, fidelity="low", kind="summed")
    build_designs(structures, backbone, first, forces=True, fidelity="low", cache=cache, kind="jacobian")
    Counting.rows = 0
    for readout in (first, second):
        build_designs(structures, backbone, readout, forces=False, fidelity="low", cache=cache)
    found = build_designs(structures, backbone, second, forces=True, fidelity="low", cache=cache)
    features = features_of(structures, backbone, fidelity="low", cache=cache)
    assert Counting.rows == 0
    for left, right in zip(found, fresh, strict=True):
        assert_allclose(left.forces, right.forces, atol=1e-11)
    for structure, values in zip(structures, features, strict=True):
        assert_allclose(values, analytic(structure.atoms, backbone).features, atol=1e-12)


def test_a_summed_entry_serves_its_own_basis_alone(tmp_path):
    backbone, cache = Counting(), DesignCache(tmp_path)
    structures = pair_structures(backbone)
    readout = pair_readout(backbone)
    build_designs(structures, backbone, readout, forces=True, fidelity="low", cache=cache, kind="summed")
    Counting.rows = 0
    moved = readout.moved(np.ones_like(readout.weights))  # other weights, the same basis
    build_designs(structures, backbone, moved, forces=True, fidelity="low", cache=cache)
    assert Counting.rows == 0
    other = pair_readout(backbone, seed=9)
    found = build_designs(structures, backbone, other, forces=True, fidelity="low", cache=cache, kind="summed")
    assert Counting.rows == len(structures)
    fresh = build_designs(structures, backbone, other, forces=True, fidelity="low")
    for left, right in zip(found, fresh, strict=True):
        assert_allclose(left.forces, right.forces, atol=1e-11)


def test_what_the_cache_gives_back_is_bit_for_bit_what_was_made(tmp_path):
    for kind in ("jacobian", "summed"):
        backbone, cache = PairBackbone(dtype=torch.float32), DesignCache(tmp_path / kind)
        arguments = (pair_structures(backbone), backbone, pair_readout(backbone))
        made, read = (build_designs(*arguments, forces=True, fidelity="low", cache=cache, kind=kind) for _ in range(2))
        for left, right in zip(made, read, strict=True):
            for name in ("energy", "forces", "composition", "fixed_energy", "fixed_forces"):
                assert np.asarray(getattr(left, name)).tobytes() == np.asarray(getattr(right, name)).tobytes()


@pytest.mark.parametrize("change", [{"seed": 1}, {"dtype": torch.float32}, {"cutoff": 3.1}])
def test_another_backbone_finds_nothing(tmp_path, change):
    cache = DesignCache(tmp_path)
    structures = pair_structures(PairBackbone())[:1]
    features_of(structures, PairBackbone(), fidelity="low", cache=cache)
    backbone = Counting(**change)
    Counting.rows = 0
    features_of(structures, backbone, fidelity="low", cache=cache)
    assert Counting.rows == 1


def test_the_fidelity_counts_only_where_the_backbone_is_conditioned_on_it(tmp_path):
    cache = DesignCache(tmp_path)
    structures = pair_structures(PairBackbone())
    plain, conditioned = Counting(), Counting(conditioning={"low": 1.0, "high": 1.4})
    for backbone, computed in ((plain, 1), (conditioned, 2)):
        Counting.rows = 0
        for fidelity in ("low", "high", "low"):
            found = features_of(structures, backbone, fidelity=fidelity, cache=cache)
            truth = [analytic(structure.atoms, backbone, fidelity).features for structure in structures]
            assert_allclose(np.concatenate(found), np.concatenate(truth), atol=1e-12)
        assert Counting.rows == computed * len(structures)


def test_progress_counts_geometries():
    class Watching:
        total, done = 0, 0

        @contextmanager
        def task(self, description, total):
            assert description
            self.total = total
            yield self

        def advance(self, steps=1):
            self.done += steps

    backbone, watching = PairBackbone(), Watching()
    structures = pair_structures(backbone)
    build_designs(structures * 2, backbone, pair_readout(backbone), forces=True, fidelity="low", progress=watching)
    assert (watching.done, watching.total) == (len(structures), len(structures))


class Listening:
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    @contextmanager
    def task(self, description, total):
        with SILENT.task(description, total) as task:
            yield task

    def say(self, sentence):
        self.said.append(sentence)


def test_a_large_build_says_what_it_costs_before_it_starts_and_only_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(entries, "WORTH_MEASURING", 0)
    monkeypatch.setattr(entries, "WORTH_SAYING", 0.0)
    backbone, cache = PairBackbone(), DesignCache(tmp_path)
    structures, readout = pair_structures(backbone), pair_readout(backbone)
    for some, count in ((structures[:1], 1), (structures, len(structures) - 1), (structures, 0)):
        listening = Listening()
        build_designs(some, backbone, readout, forces=True, fidelity="low", cache=cache, progress=listening)
        said = f"Designs of {counted(count, 'structure')}"
        assert [sentence.split(": ")[0] for sentence in listening.said] == [said] * (count > 0)
    small = Listening()
    monkeypatch.setattr(entries, "WORTH_SAYING", 1e9)
    build_designs(structures, backbone, readout, forces=True, fidelity="low", progress=small)
    assert small.said == []


def test_an_element_that_the_base_lacks_is_named():
    structures = pair_structures(PairBackbone(species=(6, 9)))
    with pytest.raises(ModelError, match=r"know F of .*'pair-0'"):
        features_of(structures, PairBackbone(), fidelity="low")


@pytest.mark.parametrize("forces", [True, False])
def test_a_readout_of_more_features_than_there_are_is_refused(forces):
    backbone = PairBackbone()
    readout = Readout((ReadoutBlock("far", (backbone.n_features,), (), np.ones(1)),))
    with pytest.raises(ModelError, match="feature 16"):
        build_designs(pair_structures(backbone), backbone, readout, forces=forces, fidelity="low")


def test_features_that_are_not_finite_are_not_kept(tmp_path):
    class Broken(PairBackbone):
        def feature_layers(self, batch):
            return tuple(layer / 0.0 for layer in super().feature_layers(batch))

    with pytest.raises(DataError, match="'pair-5' are not finite"):
        features_of(pair_structures(PairBackbone())[-1:], Broken(), fidelity="low", cache=DesignCache(tmp_path))
    assert list(DesignCache(tmp_path).entries()) == []


def test_what_a_cache_holds_of_atoms_far_away_from_before_they_were_wrapped_is_not_used(tmp_path):
    backbone, cache = PairBackbone(dtype=torch.float32), DesignCache(tmp_path)
    near, *_ = (one for one in pair_structures(backbone) if one.atoms.pbc.all())
    atoms = near.atoms.copy()
    atoms.positions[::2] += 30_000 * atoms.cell.array[0]
    far = Structure(atoms, "far", {})
    features = features_of([near], backbone, fidelity="low", cache=cache)[0]
    (entry,) = cache.entries()
    assert entry.key is not None and entry.key.structure == near.geometry_hash  # entries of all other structures serve
    wrong = {"features": np.zeros_like(features, dtype=np.float32), "fixed_energy": np.array(1e3)}
    cache.put(replace(entry.key, structure=far.geometry_hash), wrong)
    for _ in range(2):
        assert_allclose(features_of([far], backbone, fidelity="low", cache=cache)[0], features, atol=2e-5)
    assert len(list(cache.entries())) == 3


def test_a_build_of_one_kind_says_its_cost_after_its_first_batch_and_counts_all_directions(monkeypatch):
    monkeypatch.setattr(entries, "WORTH_SAYING", 0.0)
    backbone, structures = PairBackbone(), pair_structures(PairBackbone())
    for builds, said in ((1, "Designs of 6"), (3, "Designs along 3 directions of 6"), (0, "")):
        listening = Listening()
        build_designs(
            structures,
            backbone,
            pair_readout(backbone),
            forces=True,
            fidelity="low",
            probe=Probe(),
            builds=builds,
            batch_size=2,
            progress=listening,
        )
        assert len(listening.said) == bool(said)
        assert "".join(listening.said).startswith(said)
    listening = Listening()
    features_of(structures, backbone, fidelity="low", batch_size=2, progress=listening)
    assert [sentence.split(" structures")[0] for sentence in listening.said] == ["Designs of 6"]
