"""The proof: a double well through the command line, twenty seeds against quadrature, and reweighting of it."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from rung.cli import main
from rung.storage import read_json
from tests.evaluate.free_energy.umbrella_worlds import TEMPERATURE, THERMAL, QuickWell

pytestmark = pytest.mark.slow

WELL = QuickWell()
CV = "kind: projected_displacement\natom: 0\ndirection: [1, 0, 0]\norigin: [0, 0, 0]\n"
GRID = np.linspace(-2.5, 2.5, 50001)
DENSITY = np.exp(-WELL.floor(GRID) / THERMAL)  # what y and z add is the same at every x


def integral(low, high, weight=1.0):
    inside = (low <= GRID) & (high >= GRID)
    return float(np.trapezoid((DENSITY * weight)[inside], GRID[inside]))


def sampled(folder, seed, *more, steps=4000):
    folder.mkdir(exist_ok=True)
    write(folder / "start.xyz", Atoms("H", positions=[[-1.0, 0, 0]]), format="extxyz")
    (folder / "cv.yaml").write_text(CV)
    (folder / "more.yaml").write_text("sample_every: 5\nframe_every: 5\nsave_every: 2000\n")
    words = [
        "free-energy",
        "tests.evaluate.free_energy.umbrella_worlds:quick_well",
        str(folder / "start.xyz"),
        "--trusted",
    ]
    words += ["--fidelity", "model", "--cv", str(folder / "cv.yaml"), "--temperature", str(TEMPERATURE)]
    words += ["--windows", "-1.4", "1.4", "12", "--spring", "4", "--friction", "0.1", "--free-drift"]
    words += ["--steps", str(steps), "--seed", str(seed), "--out", str(folder / "out"), "--bins", "40"]
    assert main([*words, "--settings", str(folder / "more.yaml"), *more]) == 0
    return read_json(folder / "out" / "free_energy.json")


def profile_scores(found):
    """(F − truth)/σ of each bin between −1.2 and 1.2 Å; both have the reactant's basin for their zero."""
    barrier, profile = found["barrier"], found["profile"]
    place, energy, stderr = (np.array(profile[key], dtype=float) for key in ("coordinate", "free_energy", "stderr"))
    top = barrier["transition_state"]
    inside = place < top
    width = place[1] - place[0]
    basin = -THERMAL * np.log(np.nansum(np.exp(-energy[inside] / THERMAL)) * width)
    truth = np.array([-THERMAL * np.log(integral(x - width / 2, x + width / 2) / width) for x in place])
    edge = place[inside][-1] + width / 2  # the basin in whole bins
    truth_basin = -THERMAL * np.log(integral(-2.5, edge))
    return (((energy - basin) - (truth - truth_basin)) / stderr)[np.abs(place) < 1.2]


def test_profile_barrier_and_rate_are_within_two_standard_errors_in_eighteen_of_twenty_seeds(tmp_path):
    barriers, reactions, rates, profiles, pooled = [], [], [], [], []
    for seed in range(20):
        found = sampled(tmp_path / str(seed), seed)
        barrier = found["barrier"]
        top = barrier["transition_state"]
        basin = integral(-2.5, top)
        at_top = np.exp(-WELL.floor(top) / THERMAL)
        exact = -THERMAL * np.log(at_top / basin)
        barriers.append((barrier["barrier"] - exact) / barrier["barrier_stderr"])
        exact = -THERMAL * np.log(integral(top, 2.5) / basin)
        reactions.append((barrier["reaction"] - exact) / barrier["reaction_stderr"])
        speed = np.sqrt(THERMAL / (2 * np.pi * 1.008)) / 10.180505710774743e-15  # Å/s: ASE's unit of time is 10.18 fs
        rates.append(np.log(barrier["rate"] / (speed * at_top / basin)) / barrier["rate_log_stderr"])
        scores = profile_scores(found)
        profiles.append(np.sqrt(np.mean(scores**2)))
        pooled.extend(scores)
    said = {"barrier": barriers, "reaction": reactions, "rate": rates, "profile": profiles}
    print({name: [round(float(score), 2) for score in scores] for name, scores in said.items()})
    for name, scores in said.items():
        assert np.sum(np.abs(scores) < 2) >= 18, name
    assert np.mean(np.abs(pooled) < 2) > 0.9
    assert np.mean(np.abs(pooled) < 1) < 0.95  # nor are the bars so wide that everything is inside


def test_reweighting_to_target_energies_is_right_where_accepted_and_refused_from_two_on(tmp_path):
    sampled(tmp_path, 0, "--transition-state", "-0.04", steps=6000)
    frames = read(tmp_path / "out" / "frames.extxyz", ":")
    spread = np.sqrt(THERMAL / WELL.stiffness)
    outcome = {}
    for strength in (0.5, 1.0, 2.0, 4.0):
        # a pull across the path at the top alone, whose sd(βΔU) is the strength: there F falls by ½ kT strength²
        for frame in frames:
            x, y, _ = frame.positions[0]
            off = y - WELL.bend * (1 - x * x)
            gain = strength * np.exp(-((x + 0.04) ** 2) / 0.18)
            frame.info["dmc_energy"] = WELL.get_potential_energy(frame) + THERMAL * gain * off / spread
        write(tmp_path / "labelled.extxyz", frames, format="extxyz")
        more = (
            "--transition-state",
            "-0.04",
            "--target-energies",
            str(tmp_path / "labelled.extxyz"),
            "--target",
            "dmc",
        )
        outcome[strength] = sampled(tmp_path, 0, *more, steps=6000)["reweighted"]
    width = 2.8 / 11
    for strength, found in outcome.items():
        print(strength, found["change"], found["statistical_stderr"], found["least_effective_samples"], found["reason"])
        if strength >= 2.0:  # N exp(−sd²) of some thousand: accepted with more structures, in a test of its own
            assert found["change"] is None
            assert "refused" in found["reason"]
            continue
        assert found["reason"] == ""
        raised = np.exp(0.5 * (strength * np.exp(-((GRID + 0.04) ** 2) / 0.18)) ** 2)
        low, high = -0.04 - width / 2, -0.04 + width / 2
        top = integral(low, high, raised) / integral(low, high)
        basin = integral(-2.5, -0.04, raised) / integral(-2.5, -0.04)
        assert max(found["largest_sd_of_reduced_change"]) == pytest.approx(strength, rel=0.25)
        assert found["change"] == pytest.approx(-THERMAL * np.log(top / basin), abs=2.5 * found["statistical_stderr"])
        assert found["statistical_stderr"] < 0.25 * THERMAL
