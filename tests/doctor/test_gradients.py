"""Forces: gradients, forces of another unit than the energies, net forces, and zeros of a constraint."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial import cKDTree

from rung.data.labels import Labels, empty_labels
from rung.data.structure import Structure
from rung.doctor import diagnose
from rung.doctor.gradients import STEP, STEP_FRAMES, nearest_frames, steps
from rung.units import BOHR, HARTREE
from tests.doctor.analytic import Morse, relabelled
from tests.doctor.sabotage import at, check_found, check_found_with_base, everywhere, names_found, with_reading, zeroed

SABOTAGE = {
    "gradients": (everywhere("pbe", forces=lambda f: -f), "error", "gradients-as-forces", None),
    "forces of Hartree/Bohr": (
        everywhere("pbe", forces=lambda f: f / HARTREE * BOHR),
        "error",
        "forces-not-derivative",
        None,
    ),
    "net force": (
        at({5}, lambda s: relabelled(s, "pbe", forces=lambda f: f + np.array([0.1, 0, 0]))),
        "warning",
        "net-force",
        None,
    ),
    "zeroed by a constraint": (
        at({5, 6}, lambda s: with_reading(fixed_atoms=(0, 1))(relabelled(s, "pbe", forces=zeroed))),
        "error",
        "constrained-forces",
        {"net-force"},
    ),
    "zeroed by nobody knows what": (
        at({5, 6}, lambda s: relabelled(s, "pbe", forces=zeroed)),
        "warning",
        "exact-zero-forces",
        {"net-force"},
    ),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_of_the_testbed_is_found(mos2, name):
    check_found(mos2, *SABOTAGE[name])


def test_what_is_sabotaged_is_named(mos2):
    assert names_found(mos2, SABOTAGE["zeroed by a constraint"][0], "constrained-forces") == ("train-005", "train-006")


WITH_BASE = {
    "gradients": (everywhere("cheap", forces=lambda f: -f), Morse(), "error", "gradients-as-forces", {"base-wrong"}),
    "dear gradients": (everywhere("dear", forces=lambda f: -f), Morse(), "error", "gradients-as-forces", None),
}


@pytest.mark.parametrize("name", WITH_BASE)
def test_sabotage_is_found_with_a_base(nickel, name):
    check_found_with_base(nickel, *WITH_BASE[name])


@pytest.mark.parametrize("fidelity", ["pm6", "dft"])
@pytest.mark.parametrize("keep", [("energy", "forces"), ("forces",)])
def test_gradients_are_found_in_whichever_fidelity_holds_them(reactive, fidelity, keep):
    """Also without energies, where no finite step can be made: bonds tell."""
    train = reactive["train"]
    if "energy" not in keep:
        train = tuple(relabelled(relabelled(s, "pm6", energy=np.nan), "dft", energy=np.nan) for s in train)
    diagnosis = diagnose({"train": everywhere(fidelity, forces=lambda f: -f)(train)})
    [finding] = [f for f in diagnosis.findings if f.code == "gradients-as-forces"]
    assert finding.severity == "error"
    assert finding.fidelities == (fidelity,)


def test_opposite_forces_that_nothing_else_decides_are_both_named(mos2):
    """Single frames: no steps, too few bonds."""
    frame = mos2["test"][0]
    small = Structure(
        frame.atoms[:6],
        "small",
        {name: replace(empty_labels(6), forces=frame.labels[name].forces[:6]) for name in ("pbe", "r2scan")},
    )
    diagnosis = diagnose({"one": (relabelled(small, "pbe", forces=lambda f: -f),)})
    [finding] = [f for f in diagnosis.findings if f.code == "gradients-as-forces"]
    assert finding.fidelities == ("pbe", "r2scan")


def springs(count: int, stiffness: float = 3.0) -> list[Structure]:
    """Return frames of three atoms on springs of their own, far from the origin, the first frame twice."""
    moves = np.random.default_rng(0).normal(scale=0.2, size=(count, 3, 3))
    moves[-1] = moves[0]
    none = np.full((3, 3), np.nan)
    return [
        Structure(
            Atoms("OH2", positions=move + 500.0),
            f"frame-{k}",
            {"pbe": Labels(0.5 * stiffness * (move**2).sum(), np.nan, -stiffness * move, none, np.full(6, np.nan))},
        )
        for k, move in enumerate(moves)
    ]


def test_the_nearest_frame_is_that_of_a_tree_and_no_copy():
    frames = springs(300)
    pairs = list(nearest_frames(frames))
    points = np.array([frame.atoms.positions.ravel() for frame in frames])
    distance, place = cKDTree(points[:-1]).query(points, 3)
    for structure, near in pairs:
        k = int(structure.structure_id.removeprefix("frame-"))
        other = place[k][distance[k] > 1e-6][0]
        assert np.linalg.norm(points[other] - near.atoms.positions.ravel()) < 1e-6
    assert len(pairs) > 200 and {0, 299} <= {int(one.structure_id.removeprefix("frame-")) for one, _ in pairs}
    farthest = [np.linalg.norm(one.atoms.positions - two.atoms.positions, axis=1).max() for one, two in pairs]
    assert max(farthest) <= STEP


def test_the_finite_steps_of_many_frames_are_looked_for_by_some():
    frames = springs(STEP_FRAMES + 500)
    slope = steps(frames, "pbe")
    assert slope.value == pytest.approx(1.0) and slope.is_sure and 900 < slope.n <= STEP_FRAMES


def test_the_middle_of_a_symmetric_saddle_is_no_constraint():
    """Its force is zero by symmetry, in H3 as in every symmetric saddle."""
    frames = []
    for number, (left, right) in enumerate(
        [(0.93, 0.93), (0.85, 0.85), (0.8, 1.1), (0.9, 0.9), (1.0, 1.0), (0.7, 1.25)]
    ):
        pull = np.array([[left - 1.2, 0, 0], [0, 0, 0], [1.2 - right, 0, 0]])
        pull[1] = -(pull[0] + pull[2])
        atoms = Atoms("H3", positions=[[-left, 0, 0], [0, 0, 0], [right, 0, 0]])
        labels = replace(empty_labels(3), energy=float(number), forces=pull)
        frames.append(Structure(atoms, f"s{number}", {"pbe": labels}))
    assert not {"exact-zero-forces", "constrained-forces"} & {one.code for one in diagnose({"train": frames}).findings}
    held = replace(frames[2].labels["pbe"], forces=frames[2].labels["pbe"].forces * [[1], [0], [1]])
    frames[2] = replace(frames[2], labels={"pbe": held})
    (finding,) = [one for one in diagnose({"train": frames}).findings if one.code == "exact-zero-forces"]
    assert "s2" in finding.sentence and "1 frame" in finding.sentence
