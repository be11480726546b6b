"""What a start says of constraints, masses and electrons reaches every task, and every task writes it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc100
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian, FixedLine
from ase.io import read, write
from ase.optimize import BFGS

from rung.cli import main
from rung.data.held import Held
from rung.data.readers.structures import complete_atoms, read_structures
from rung.errors import DataError
from rung.evaluate.paths.barrier import BandSettings
from rung.results.barrier_task import TaskBarrier
from rung.storage import read_json
from rung.tasks.barrier import BarrierTask, find_barriers
from rung.tasks.opened import Opened, read_start
from rung.tasks.relaxation import RelaxationTask, relax_file
from tests.evaluate.paths.wells import DoubleWell
from tests.pair_hop import lifted
from tests.tasks.states import Charged, ion


def adatom(place: str) -> Atoms:
    slab = fcc100("Al", size=(2, 2, 2))
    add_adsorbate(slab, "Au", 1.7, place)
    slab.center(axis=2, vacuum=4.0)
    slab.info.clear()
    return slab


def hop(tmp_path: Path, name: str, *constraints: object) -> tuple[TaskBarrier, list[Atoms]]:
    """Return the barrier of a hop whose ends hold ``constraints``, the last for the final one, and its band."""
    ends = [adatom("hollow"), adatom("hollow")]
    ends[1].positions[-1, 0] += ends[1].cell[0, 0] / 2
    for end, constraint in zip(ends, (constraints[0], constraints[-1]), strict=True):
        end.set_constraint(constraint)
        write(tmp_path / f"{name}-{len(list(tmp_path.glob(name + '-*')))}.extxyz", end)
    task = BarrierTask(
        initial=tmp_path / f"{name}-0.extxyz",
        final=tmp_path / f"{name}-1.extxyz",
        images=3,
        band=BandSettings(),
        check_saddle=False,
    )
    (panel,) = find_barriers({"emt": Opened.of(EMT(), fidelity="emt")}, task, tmp_path / name)
    band = [complete_atoms(one) for one in read_structures(tmp_path / name / "emt" / "band.extxyz")]
    return panel.barriers[0], band


def test_a_mask_of_axes_gives_the_barrier_of_held_atoms(tmp_path: Path) -> None:
    """Issue: 1.268 eV after no step, where the same hold as FixAtoms gave 0.041."""
    layer = list(range(4))
    layer = list(range(4))
    atoms, images = hop(tmp_path, "atoms", FixAtoms(layer))
    # every atom has a mask in an extended XYZ file, also those that move
    masks, shown = hop(tmp_path, "masks", [FixCartesian(k, (True,) * 3) for k in layer])
    assert masks.value == pytest.approx(atoms.value, abs=1e-9)
    assert 0.05 < atoms.value < 1.0
    for band in (images, shown):
        for image in band:
            assert Held.of(image).dimensions.tolist() == [0] * 4 + [3] * 5
            np.testing.assert_array_equal(image.positions[:4], band[0].positions[:4])
    image = read(tmp_path / "masks" / "emt" / "band.extxyz", 1)
    assert image.get_forces(apply_constraint=False).shape == (9, 3)
    energies = [one.get_potential_energy() for one in read(tmp_path / "masks" / "emt" / "band.extxyz", ":")]
    assert max(energies) - energies[0] == pytest.approx(masks.value, abs=1e-9)


def test_ends_that_hold_other_atoms_are_joined_and_said(tmp_path: Path) -> None:
    barrier, band = hop(tmp_path, "joined", FixAtoms([0, 1]), FixCartesian([2, 3], (True,) * 3))
    said = " ".join(barrier.notes)
    assert "The ends hold other atoms or directions (first at index 0)" in said
    assert "4 atoms held" in said
    assert all(Held.of(image).dimensions.tolist() == [0] * 4 + [3] * 5 for image in band)


def test_what_is_held_stands_at_one_place_in_both_ends(tmp_path: Path) -> None:
    ends = [ion(-0.9), ion(0.9)]
    ends[1].positions[1, 2] += 0.2
    for name, end in zip("ab", ends, strict=True):
        write(tmp_path / f"{name}.extxyz", end)
    task = BarrierTask(initial=tmp_path / "a.extxyz", final=tmp_path / "b.extxyz", images=3)
    with pytest.raises(DataError, match=r"Atom 1 is held, and what is held of it stands 0\.2 Å apart in the two ends"):
        find_barriers({"ion": Opened.of(Charged(), fidelity="ion")}, task, tmp_path / "out")


def test_a_relaxation_follows_a_line_and_writes_it(tmp_path: Path) -> None:
    start = adatom("bridge")
    start.positions[-1] += [0.1, 0.2, 0.3]
    start.set_constraint([FixAtoms([0, 1, 2, 3]), FixedLine(8, (0, 1, 1))])
    write(tmp_path / "start.traj", start)
    potential = Opened.of(EMT(), fidelity="emt")
    relax_file(potential, RelaxationTask(start=tmp_path / "start.traj"), tmp_path / "out")
    relaxed = read_start(tmp_path / "out" / "relaxed.extxyz")
    moved = relaxed.positions - start.positions
    np.testing.assert_array_equal(moved[:4], 0.0)
    np.testing.assert_allclose([moved[8, 0], moved[8, 1] - moved[8, 2]], 0.0, atol=1e-12)
    assert np.linalg.norm(moved[8]) > 0.05
    reference = start.copy()
    reference.calc = EMT()
    BFGS(reference, logfile=None).run(fmax=0.02)
    assert read_json(tmp_path / "out" / "relax.json")["energy"] == pytest.approx(
        reference.get_potential_energy(), abs=1e-3
    )
    assert Held.of(relaxed).dimensions.tolist() == [0] * 4 + [3] * 4 + [1]
    # a folder belongs to what was held
    start.set_constraint(FixAtoms([0, 1, 2, 3]))
    write(tmp_path / "start.traj", start)
    with pytest.raises(DataError, match="of another set of constraints, masses, charges or moments"):
        relax_file(potential, RelaxationTask(start=tmp_path / "start.traj"), tmp_path / "out")


MODEL = "tests.tasks.states:charged"
WORDS = {
    "relax": f"{MODEL} start.extxyz",
    "md": f"{MODEL} start.extxyz --temperature 50 --steps 4",
    "barrier": f"{MODEL} start.extxyz end.extxyz --images 3 --rate 300 --path band.extxyz",
    "free-energy": f"{MODEL} start.extxyz --cv cv.yaml --temperature 50 --windows -0.95 -0.85 2 --steps 20 "
    "--frame-every 10 --steering-steps 5",
    "transport": f"start.extxyz --model {MODEL} --species H --temperature 50 --runs 1 --steps 60 --frame-every 20",
}


@pytest.mark.parametrize("task", WORDS)
def test_charge_spin_moments_and_masses_reach_every_calculator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    """The calculator fails where anything is missing; the issue had 0.000 eV for -3.500."""
    monkeypatch.chdir(tmp_path)
    write("start.extxyz", ion(-0.9))
    write("end.extxyz", ion(0.9, (0.0, 1.0)))
    write("band.extxyz", [ion(x) for x in (-0.9, 0.0, 0.9)])
    Path("cv.yaml").write_text("kind: projected_displacement\natom: 0\ndirection: [1, 0, 0]\norigin: [0, 0, 0]\n")
    words = [task, *WORDS[task].split(), "--fidelity", "ion", "--trusted", "--out", "out"]
    code = main(words)
    captured = capsys.readouterr()
    assert code in (0, 1), captured.err
    if task == "relax":
        assert read_json(Path("out/relax.json"))["energy"] == pytest.approx(-3.5 + DoubleWell().floor(-1.0), abs=0.01)
        assert read_start(Path("out/relaxed.extxyz")).info == {"charge": 1, "spin": 2}
    if task == "md":
        last = read_start(Path("out/trajectory.extxyz"))
        assert (last.info["charge"], last.get_masses()[0], len(last.constraints)) == (1, 2.014, 1)
    if task == "free-energy":
        assert read_start(Path("out/frames.extxyz")).info["charge"] == 1
    if task == "barrier":
        band = [complete_atoms(one) for one in read_structures(Path("out/ion/band.extxyz"))]
        assert [image.get_initial_magnetic_moments().tolist() for image in band] == [[1, 0], [1, 0], [0, 1]]


def test_a_potential_that_sees_geometries_alone_refuses_a_charge(tmp_path: Path) -> None:
    potential = Opened.of(lifted(), fidelity="high")
    atoms = Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.1]])
    atoms.info["charge"] = 1
    write(tmp_path / "ion.extxyz", atoms)
    with pytest.raises(DataError, match=r"The structure has charge=1, and .* sees geometries alone"):
        relax_file(potential, RelaxationTask(start=tmp_path / "ion.extxyz"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_state_of_all_labels_is_taken_and_another_is_not() -> None:
    opened = replace(Opened.of(lifted(), fidelity="high"), metadata={"states": {"CO": {"charge": "1", "spin": "2"}}})
    atoms = Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.1]])
    opened.check_state(atoms)
    atoms.info.update(total_charge=1, spin=2.0)
    opened.check_state(atoms)
    for change in ({"total_charge": 2}, {"spin": 0}):
        other = atoms.copy()
        other.info.update(change)
        with pytest.raises(DataError, match=r"that of its labels, of charge 1, spin 2\. If"):
            opened.check_state(other)
    with pytest.raises(DataError, match=r"that of its labels\. If"):
        opened.check_state(Atoms("O2", positions=[[0, 0, 0], [0, 0, 1.2]], charges=[0.5, 0.5]))


def test_ends_of_other_charge_or_isotopes_are_no_path(tmp_path: Path) -> None:
    for name, change in (
        ("charge", lambda atoms: atoms.info.update(charge=0)),
        ("masses", lambda a: a.set_masses([1, 4])),
    ):
        end = ion(0.9)
        change(end)
        write(tmp_path / "a.extxyz", ion(-0.9))
        write(tmp_path / "b.extxyz", end)
        task = BarrierTask(initial=tmp_path / "a.extxyz", final=tmp_path / "b.extxyz", images=3)
        with pytest.raises(DataError, match=f"The initial and the final structure differ in {name}"):
            find_barriers({"ion": Opened.of(Charged(), fidelity="ion")}, task, tmp_path / "out")


def test_deuterium_goes_slower_by_the_root_of_its_mass(tmp_path: Path) -> None:
    rates = []
    for mass in (1.008, 2.014):
        files = [tmp_path / f"{mass}-{x}.extxyz" for x in (-0.9, 0.9)]
        for file, x in zip(files, (-0.9, 0.9), strict=True):
            atom = Atoms("H", positions=[[x, 0, 0]])
            atom.set_masses([mass])
            write(file, atom)
        band = BandSettings(fmax=0.005, endpoint_fmax=0.001)
        task = BarrierTask(initial=files[0], final=files[1], images=5, band=band, temperatures=(300,))
        (panel,) = find_barriers({"x": Opened.of(DoubleWell(), fidelity="x")}, task, tmp_path / str(mass))
        rates.append(panel.barriers[0].rates[0].rate)
    assert rates[0] / rates[1] == pytest.approx(np.sqrt(2.014 / 1.008), rel=1e-6)
