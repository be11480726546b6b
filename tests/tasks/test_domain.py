"""The verdict on a barrier's bar: inside the total one, outside bounds from the base's own level, or none at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from rung import RungCalculator
from rung.checkpoint import Checkpoint, save
from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError
from rung.features.passes import build_designs
from rung.model.domain import Domain, domain_of, element_domains
from rung.model.potential import ReadoutPotential, Surface
from rung.report.tasks.barrier import barrier_summary
from rung.results.barrier_task import TaskBarrier, read_task_panels
from rung.tasks import domain
from rung.tasks.barrier import BarrierTask, find_barriers
from rung.tasks.domain import Frame, domain_of_frames
from rung.tasks.opened import Opened
from tests.pair_hop import ends, lifted
from tests.report.test_page import Page


def hop(shift: float = 0.0) -> list[Atoms]:
    """Seven images between the ends; the middle ones are ``shift`` off the line."""
    first, last = ends()
    images = []
    for part in np.linspace(0.0, 1.0, 7):
        atoms = first.copy()
        atoms.positions = (1 - part) * first.positions + part * last.positions
        atoms.positions[2, 1] += 4 * shift * part * (1 - part)
        images.append(atoms)
    return images


def known(images: list[Atoms]) -> Domain:
    """The domain of structures near ``images``."""
    rng = np.random.default_rng(0)
    frames = [image for image in images for _ in range(6)]
    structures = []
    for index, image in enumerate(frames):
        atoms = image.copy()
        atoms.positions += 0.03 * rng.normal(size=atoms.positions.shape)
        structures.append(Structure(atoms, str(index), {}))
    potential = lifted().potential
    designs = build_designs(
        structures,
        potential.backbone,
        potential.surface("high").readout,
        forces=False,
        fidelity="high",
        keep_features=True,
    )
    rows, composition = (np.array([getattr(design, name) for design in designs]) for name in ("energy", "composition"))
    atoms_of = [design.atoms for design in designs if design.atoms is not None]
    elements = element_domains([one.features for one in atoms_of], [one.numbers for one in atoms_of])
    return domain_of(rows, composition, np.ones(rows.shape[1]), elements)


def two_levels(*, domain: Domain | None) -> RungCalculator:
    """The hop's potential at ``high``, with a base at ``low`` whose weights are half as large."""
    calculator = lifted()
    assert calculator.posterior is not None
    high = calculator.potential.surface("high")
    low = Surface(high.readout.moved(-0.5 * high.readout.weights), high.reference)
    potential = ReadoutPotential(calculator.potential.backbone, {"low": low, "high": high})
    posterior = replace(calculator.posterior, domain=domain)
    return RungCalculator(Checkpoint(potential, posterior, {"target": "high"}), fidelity="high")


def barrier_along(images: list[Atoms], folder: Path, domain: Domain | None, **envelope: object) -> TaskBarrier:
    file = folder / "band.extxyz"
    write_structures(file, [Structure(image, str(k), {}) for k, image in enumerate(images)])
    task = BarrierTask(path=file, envelope=envelope)
    potential = Opened.of(two_levels(domain=domain), fidelity="high", source="model.rung")
    find_barriers({"high": potential}, task, folder / "out")
    (panel,) = read_task_panels(folder / "out" / "barrier.json")
    assert panel.barriers[0].verdict in Page((folder / "out" / "barrier.html").read_text()).text
    assert any(panel.barriers[0].verdict in sentence for sentence in barrier_summary([panel]).sentences)
    return panel.barriers[0]


def low_labels(images: list[Atoms], folder: Path, off: float) -> Path:
    """Energies of the base's level, by which the base is ``off`` eV wrong at the highest image alone."""
    base = RungCalculator(two_levels(domain=None).potential, fidelity="low")
    energies = [float(base.get_potential_energy(image)) for image in images]
    energies[3] -= off
    file = folder / "low.extxyz"
    write_structures(
        file,
        [
            Structure(image, str(k), {"low": replace(empty_labels(len(image)), energy=energy)})
            for k, (image, energy) in enumerate(zip(images, energies, strict=True))
        ],
    )
    return file


def test_inside_the_total_bar_is_quoted(tmp_path: Path) -> None:
    entry = barrier_along(hop(), tmp_path, known(hop()))
    assert (entry.domain, entry.quoted) == ("inside", "total")
    assert f"quote ± {entry.stderr_total:.3f} eV (total)" in entry.verdict
    assert np.isnan([entry.low, entry.high]).all()


def test_outside_without_evidence_no_bar_is_quoted_and_the_frames_to_compute_are_named(tmp_path: Path) -> None:
    entry = barrier_along(hop(), tmp_path, known(hop()[:2]))
    assert (entry.domain, entry.quoted) == ("outside", "none")
    assert entry.verdict.startswith("Outside the domain (highest image: atom ")
    assert f"Compute {tmp_path / 'band.extxyz'} at the base's level" in entry.verdict


def test_a_model_without_its_base_is_told_of_the_committee_alone(tmp_path: Path) -> None:
    """A fit that moved all layers offers the target alone, so labels of the base's level would be refused."""
    file = tmp_path / "band.extxyz"
    write_structures(file, [Structure(image, str(k), {}) for k, image in enumerate(hop())])
    potential = replace(Opened.of(two_levels(domain=known(hop()[:2])), fidelity="high"), offered=("high",))
    find_barriers({"high": potential}, BarrierTask(path=file), tmp_path / "out")
    (panel,) = read_task_panels(tmp_path / "out" / "barrier.json")
    said = panel.barriers[0].verdict
    assert "Give bases of other seeds with --committee." in said and "--low-labels" not in said
    task = BarrierTask(path=file, envelope={"low_labels": low_labels(hop(), tmp_path, off=0.4)})
    with pytest.raises(ConfigError, match=r"offers high alone and no base to hold against .* with --committee"):
        find_barriers({"high": potential}, task, tmp_path / "refused")


def test_low_labels_give_bounds(tmp_path: Path) -> None:
    file = low_labels(hop(), tmp_path, off=0.4)
    entry = barrier_along(hop(), tmp_path, known(hop()[:2]), low_labels=file)
    assert (entry.domain, entry.quoted) == ("outside", "bounds")
    assert entry.high - entry.value == pytest.approx(0.4 + 2 * entry.stderr_total, abs=1e-6)
    assert entry.value - entry.low == pytest.approx(entry.high - entry.value)
    assert f"Quote the bounds {entry.low:.3f} to {entry.high:.3f} eV" in entry.verdict
    assert "the base errs by 0.400 eV on its own level, low" in entry.verdict


def test_low_labels_of_other_structures_give_none(tmp_path: Path) -> None:
    file = low_labels(hop(0.3), tmp_path, off=0.4)
    entry = barrier_along(hop(), tmp_path, known(hop()[:2]), low_labels=file)
    assert entry.quoted == "none"
    assert "has no low energy of the highest image" in entry.verdict


def test_a_level_that_is_not_clear_is_asked_for(tmp_path: Path) -> None:
    file = low_labels(hop(), tmp_path, off=0.4)
    with pytest.raises(ConfigError, match=r"name the base's fidelity, which both have, with --low"):
        barrier_along(hop(), tmp_path, known(hop()[:2]), low_labels=file, low="pbe")
    write_structures(file, [Structure(image, str(k), {}) for k, image in enumerate(hop())])
    with pytest.raises(DataError, match=r"low\.extxyz has no energies"):
        barrier_along(hop(), tmp_path, known(hop()), low_labels=file)


def test_a_committee_gives_bounds(tmp_path: Path) -> None:
    low = two_levels(domain=None).potential.surface("low")
    backbone = lifted().potential.backbone
    ranges = []
    for seed in range(3):
        member = Surface(low.readout.moved(0.1 * seed * low.readout.weights), low.reference)
        potential = ReadoutPotential(backbone, {"low": member})
        energies = [RungCalculator(potential, fidelity="low").get_potential_energy(image) for image in hop()]
        ranges.append(np.array(energies) - energies[0])
        (tmp_path / "committee" / f"seed-{seed}").mkdir(parents=True)
        save(tmp_path / "committee" / f"seed-{seed}" / "model.rung", potential, metadata={"target": "low"})
    entry = barrier_along(hop(), tmp_path, known(hop()[:2]), committee=tmp_path / "committee")
    assert entry.quoted == "bounds"
    width = np.ptp(ranges, axis=0).max() + 2 * entry.stderr_total
    assert entry.high - entry.value == pytest.approx(width, rel=1e-6)
    assert "3 bases of other seeds differ by up to" in entry.verdict
    with pytest.raises(DataError, match="committee/seed-0 is no committee: it holds 0 finished models"):
        barrier_along(hop(), tmp_path, known(hop()), committee=tmp_path / "committee" / "seed-0")


def test_a_fit_of_before_says_that_it_is_unknown(tmp_path: Path) -> None:
    entry = barrier_along(hop(), tmp_path, None)
    assert (entry.domain, entry.quoted) == ("unknown", "total")
    assert "it is unknown whether the highest image is inside the domain" in entry.verdict


def test_a_relaxed_band_that_leaves_the_domain_writes_its_frames(tmp_path: Path) -> None:
    first, last = ends()
    write(tmp_path / "first.extxyz", first, format="extxyz")
    write(tmp_path / "last.extxyz", last, format="extxyz")
    task = BarrierTask(
        initial=tmp_path / "first.extxyz",
        final=tmp_path / "last.extxyz",
        images=5,
        draws=0,
        check_saddle=False,
        band={"relax_endpoints": False},
    )
    potential = Opened.of(two_levels(domain=known(hop()[:1])), fidelity="high", source="model.rung")
    (panel,) = find_barriers({"high": potential}, task, tmp_path / "out")
    assert panel.barriers[0].domain == "outside"
    frames = read_structures(tmp_path / "out" / "high" / "low-frames.extxyz")
    assert [frame.structure_id for frame in frames] == [f"image-{k:03d}" for k in range(5)]
    assert not any(frame.labels for frame in frames)
    labelled = low_labels([frame.atoms for frame in frames], tmp_path, off=0.0)
    again = task.model_copy(update={"envelope": task.envelope.model_copy(update={"low_labels": labelled})})
    (panel,) = find_barriers({"high": potential}, again, tmp_path / "out")
    assert panel.barriers[0].quoted == "bounds"


def test_low_labels_that_can_be_none_are_refused(tmp_path: Path) -> None:
    file = low_labels(hop(), tmp_path, off=0.4)
    frames = read(file, ":")
    frames[3].info["low_energy"] = np.inf
    write(file, frames, format="extxyz")
    with pytest.raises(DataError, match=r"low.extxyz, frame 3: low_energy is infinite"):
        barrier_along(hop(), tmp_path, known(hop()), low_labels=file)


def frames_of(images: list[Atoms]) -> list[Frame]:
    return [Frame(f"frame {k}", 0.5 * k, atoms) for k, atoms in enumerate(images)]


def test_frames_of_dynamics_that_leave_are_counted_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "ROWS", 2)
    potential = Opened.of(two_levels(domain=known(hop()[:2])), fidelity="high", source="model.rung")
    places = potential.error_bars.places(hop())
    away = [k for k, place in enumerate(places) if place.outside]
    assert away[0] > 1 and len(away) < 6  # it leaves, and comes back at the mirror image of the start
    found = domain_of_frames(potential, frames_of(hop()), inside="bars hold", outside="no bar holds")
    assert (found.domain, found.n_structures, found.n_outside) == ("outside", 7, len(away))
    assert (found.first, found.first_ps) == (f"frame {away[0]}", 0.5 * away[0])
    assert found.distance == max(place.distance for place in places)
    inside = domain_of_frames(potential, frames_of(hop()[:1]), inside="bars hold", outside="no bar holds")
    assert inside.domain == "inside" and np.isnan(inside.first_ps) and inside.verdict.endswith("Bars hold.")


def test_many_frames_are_looked_at_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "MOST_FRAMES", 3)
    potential = Opened.of(two_levels(domain=known(hop()[:1])), fidelity="high", source="model.rung")
    found = domain_of_frames(potential, frames_of(hop()), inside="bars hold", outside="no bar holds")
    assert (found.n_structures, found.first) == (3, "frame 3")


def test_a_potential_without_error_bars_has_no_domain() -> None:
    potential = Opened.of(RungCalculator(two_levels(domain=None).potential, fidelity="low"), fidelity="low")
    assert domain_of_frames(potential, frames_of(hop()), inside="bars hold", outside="no bar holds") is None
