"""Frames in which no atom has a neighbour: by the cutoff, by images, by what the file calls them."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from rung.data.frames import StreamedStructures, stream_structures
from rung.data.readers.structures import write_structures
from rung.data.single_atoms import SingleAtoms
from rung.data.structure import Structure

CUTOFF = 5.0


def one(atoms: Atoms, name: str = "x", **info: object) -> Structure:
    return Structure(atoms, name, {}, info)


def apart(distance: float, n: int = 2) -> Atoms:
    return Atoms(f"H{n}", positions=[[distance * k, 0.0, 0.0] for k in range(n)])


@pytest.mark.parametrize(
    ("atoms", "info", "alone"),
    [
        (Atoms("O"), {}, True),
        (Atoms("O", cell=[12.0] * 3, pbc=True), {}, True),
        (Atoms("O", cell=[4.9, 12.0, 12.0], pbc=True), {}, False),
        (Atoms("O", cell=[4.9, 12.0, 12.0], pbc=(False, True, True)), {}, True),
        (Atoms("O", cell=[4.9] * 3, pbc=True), {"config_type": "IsolatedAtom"}, True),
        (Atoms("O", cell=[4.9] * 3, pbc=True), {"config_type": "isolated_atom"}, True),
        (molecule("H2O"), {"config_type": "IsolatedAtom"}, False),
        (bulk("C", "sc", a=2.2), {"config_type": "bulk"}, False),
        (apart(4.9), {}, False),
        (apart(5.1, 30), {}, True),
        (Atoms("H2", positions=[[0.2, 0, 0], [11.8, 0, 0]], cell=[12.0] * 3, pbc=True), {}, False),
        (Atoms("HeHHe", positions=[[0, 0, 0], [40.0, 0, 0], [1.0, 0, 0]]), {}, False),
    ],
)
def test_what_is_a_single_atom(atoms: Atoms, info: dict[str, object], alone: bool) -> None:
    assert SingleAtoms(CUTOFF).holds(one(atoms, **info)) == alone


def test_without_a_model_only_lone_atoms_are_single() -> None:
    rule = SingleAtoms()
    assert rule.holds(one(Atoms("O")))
    assert not rule.holds(one(apart(400.0)))
    assert not rule.holds(one(Atoms("O", cell=[30.0] * 3, pbc=True)))


def test_a_fit_takes_the_others_in_their_order_and_streams_what_streams(tmp_path) -> None:
    frames = [one(apart(d), f"h{k}") for k, d in enumerate((1.0, 9.0, 2.0, 8.0, 3.0))]
    assert [s.structure_id for s in SingleAtoms(CUTOFF).for_fit(frames)] == ["h0", "h2", "h4"]
    assert SingleAtoms(CUTOFF, "fit").for_fit(frames) is frames
    write_structures(tmp_path / "frames.extxyz", frames)
    streamed = stream_structures(tmp_path / "frames.extxyz")
    taken = SingleAtoms(CUTOFF).for_fit(streamed)
    assert isinstance(taken, StreamedStructures)
    assert taken.names == ("h0", "h2", "h4")
    assert np.allclose(taken[1].atoms.positions, frames[2].atoms.positions)
