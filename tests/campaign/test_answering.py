"""Questions and what a fit says to them: values, bars that hold the model's own error, domains, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from rung import RungCalculator
from rung.campaign.answering import Answered, answered, require_questions
from rung.campaign.questions import Question
from rung.checkpoint import Checkpoint
from rung.data.readers.structures import read_structures, write_structures
from rung.errors import ConfigError, DataError
from rung.fit.lift import Base, Lift
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.tasks.opened import Opened
from tests.campaign.worlds import BARRIER, build
from tests.fit.pair_world import CONTEXT, FIDELITIES, geometries, labelled, pair_base, truth


@pytest.fixture(scope="module")
def fit() -> Opened:
    base = pair_base()
    frames = labelled(geometries(24), base, truth(base, 0.1), 16, 0.002)
    result = fit_readout(Lift(frames, (), Base(base, "low"), FIDELITIES, "high"), ReadoutSettings(), CONTEXT)
    calculator = RungCalculator(Checkpoint(result.potential, result.posterior, {"target": "high"}), fidelity="high")
    return Opened.of(calculator, fidelity="high")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("questions"))


def asked(files: Path, **values: Any) -> Question:
    placed = {
        key: str(files / value) if isinstance(value, str) and value.endswith("xyz") else value
        for key, value in values.items()
    }
    question: Question = TypeAdapter(Question).validate_python({"tolerance": 0.05, **placed})
    return question


def say(files: Path, fit: Opened, out: Path, **values: Any) -> Answered:
    return answered("one", asked(files, **values), fit, out, tag="r001")


def test_a_sum_is_that_of_its_energies_with_the_bar_of_the_calculator(files: Path, fit: Opened, tmp_path: Path) -> None:
    said = say(files, fit, tmp_path, kind="sum", structures="sum.extxyz", propose=True)
    first, second = (one.atoms for one in read_structures(files / "sum.extxyz"))
    calculator = fit.calculator
    due = calculator.get_potential_energy(first) - calculator.get_potential_energy(second)
    assert said.answer.value == pytest.approx(due, abs=1e-9)
    assert said.answer.bar == pytest.approx(calculator.energy_difference_stderr(first, second), rel=1e-9)
    weights = calculator.energy_difference_stderr(first, second, model_error="none")
    assert said.answer.model_error == pytest.approx(np.sqrt(said.answer.bar**2 - weights**2), rel=1e-6)
    assert said.answer.model_error > 0
    assert len(said.proposals) == 2


def test_a_barrier_is_that_of_the_band_relaxed_on_the_fit(files: Path, fit: Opened, tmp_path: Path) -> None:
    said = say(files, fit, tmp_path / "hop", **BARRIER)
    images = [one.atoms for one in said.proposals]
    energies = np.array([fit.calculator.get_potential_energy(one) for one in images])
    top = int(np.argmax(energies))
    assert said.answer.value == pytest.approx(energies[top] - energies[0], abs=1e-9)
    assert said.answer.bar == pytest.approx(fit.calculator.energy_difference_stderr(images[top], images[0]), rel=1e-9)
    assert [one.structure_id for one in said.proposals] == [f"one-r001-image-{k:02d}" for k in range(3)]
    assert not any(one.labels for one in said.proposals)  # predictions of the fit are no labels
    assert len(say(files, fit, tmp_path / "hop", **{**BARRIER, "propose": False}).proposals) == 0


def test_a_band_that_only_falls_has_a_barrier_of_nothing_with_an_error(
    files: Path, fit: Opened, tmp_path: Path
) -> None:
    frames = geometries(24)[::2]
    high, low = (pick(frames, key=lambda one: fit.calculator.get_potential_energy(one.atoms)) for pick in (max, min))
    half = replace(low, atoms=low.atoms.copy())
    half.atoms.positions = 0.3 * high.atoms.positions + 0.7 * low.atoms.positions
    write_structures(tmp_path / "high.extxyz", [replace(high, structure_id="high", labels={})])
    write_structures(tmp_path / "half.extxyz", [replace(half, structure_id="half", labels={})])
    question = {**BARRIER, "initial": "high.extxyz", "final": "half.extxyz"}
    answer = say(tmp_path, fit, tmp_path / "hop", **question).answer
    assert answer.value == 0.0
    assert answer.bar > answer.model_error > 0
    assert "first image is the highest" in answer.verdict


def test_a_band_that_does_not_relax_gives_no_answer(files: Path, fit: Opened, tmp_path: Path) -> None:
    band = {"relax_endpoints": False, "fmax": 1e-9, "max_steps": 1, "interpolation": "linear"}
    said = say(files, fit, tmp_path / "hop", **{**BARRIER, "band": band})
    assert np.isnan(said.answer.value)
    assert np.isnan(said.answer.bar)
    assert said.answer.domain == "unknown"
    assert said.answer.verdict.startswith("There is no barrier: ")
    assert len(said.proposals) == 3


def test_a_mixing_energy_counts_from_the_ends_and_the_worst_bar_counts(
    files: Path, fit: Opened, tmp_path: Path
) -> None:
    frames = geometries(24)
    mixed = [replace(frames[k], structure_id=f"mixed-{k}") for k in (0, 2)]
    ends = [replace(frames[k], structure_id=f"end-{k}") for k in (1, 4)]  # C2O2 and C3O
    write_structures(files / "mixed.extxyz", mixed)
    write_structures(files / "ends.extxyz", ends)
    said = say(files, fit, tmp_path, kind="mixing", structures="mixed.extxyz", ends="ends.extxyz")
    energy = fit.calculator.get_potential_energy
    for one, part in zip(mixed, said.answer.parts, strict=True):
        assert part.value == pytest.approx((energy(one.atoms) - energy(ends[1].atoms)) / 4, abs=1e-9)
    assert said.answer.bar == max(part.bar for part in said.answer.parts)
    assert np.isnan(said.answer.value)
    write_structures(files / "one-end.extxyz", ends[:1])
    question = asked(files, kind="mixing", structures="mixed.extxyz", ends="one-end.extxyz")
    with pytest.raises(DataError, match=r"mixed-0 \(C3O\) is no sum of the ends \(C2O2\)"):
        require_questions({"mix": question})
    write_structures(files / "twice.extxyz", [*ends, replace(frames[6], structure_id="again")])
    question = asked(files, kind="mixing", structures="mixed.extxyz", ends="twice.extxyz")
    with pytest.raises(DataError, match="two ends have one composition"):
        require_questions({"mix": question})


@pytest.mark.parametrize("kind", ["energies", "forces"])
def test_the_bar_of_a_pool_is_that_of_its_members_with_the_model_s_own_error(
    kind: str, files: Path, fit: Opened, tmp_path: Path
) -> None:
    said = say(files, fit, tmp_path, kind=kind, structures="test.extxyz").answer
    atoms = [one.atoms for one in read_structures(files / "test.extxyz")]
    calculator = fit.calculator
    if kind == "energies":
        bars = np.array([calculator.get_energy_stderr(one) / len(one) for one in atoms])
    else:
        bars = np.concatenate([calculator.get_forces_stderr(one).ravel() for one in atoms])
    assert said.bar == pytest.approx(np.sqrt(np.mean(bars**2)), rel=1e-9)
    assert 0 < said.model_error < said.bar
    if kind == "forces":
        assert said.bar >= calculator.posterior.force_error  # what energies never tell is in it


def test_what_no_label_identifies_has_an_infinite_bar(files: Path, tmp_path: Path) -> None:
    base = pair_base()
    one_composition = labelled(geometries(24)[::2], base, truth(base, 0.1), 8, 0.002)
    lift = Lift(one_composition, (), Base(base, "low"), FIDELITIES, "high")
    result = fit_readout(lift, ReadoutSettings(), CONTEXT)
    calculator = RungCalculator(Checkpoint(result.potential, result.posterior, {"target": "high"}), fidelity="high")
    single = [replace(one, info={"coefficient": 1.0}) for one in geometries(2)[1:]]
    write_structures(tmp_path / "single.extxyz", single)
    potential = Opened.of(calculator, fidelity="high")
    said = say(tmp_path, potential, tmp_path / "out", kind="sum", structures="single.extxyz").answer
    assert np.isinf(said.bar)
    assert said.verdict.startswith("No label identifies sum")


def test_structures_unlike_the_fit_are_outside_its_domain(files: Path, fit: Opened, tmp_path: Path) -> None:
    far = []
    for k, one in enumerate(geometries(2)[::1]):
        atoms = one.atoms.copy()
        atoms.set_cell(atoms.cell.array * 0.8, scale_atoms=True)
        far.append(replace(one, atoms=atoms, structure_id=f"far-{k}", info={"coefficient": 1.0}))
    write_structures(tmp_path / "far.extxyz", far)
    said = say(tmp_path, fit, tmp_path / "out", kind="sum", structures="far.extxyz").answer
    assert said.domain == "outside"
    assert "No error bar holds there" in said.verdict


def test_a_fit_without_error_bars_is_refused(files: Path, tmp_path: Path) -> None:
    bare = Opened.of(RungCalculator(pair_base(), fidelity="low"), fidelity="low")
    with pytest.raises(ConfigError, match="no error bars"):
        say(files, bare, tmp_path, kind="sum", structures="sum.extxyz")
