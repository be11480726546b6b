"""ACForce columns of QMCPACK, with the names that its source gives them; no file of QMCPACK itself was at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from rung.collect.collecting import collect
from rung.collect.forces import ForceSeries, mean_force
from rung.collect.readers.qmcpack import read_scalar
from rung.collect.readers.qmcpack_input import geometry_of_input
from rung.collect.settings import CollectSettings
from rung.data.labels import Array
from rung.data.readers.structures import read_structures, structure_from, write_structures
from rung.results.collected import Collected
from rung.units import BOHR, HARTREE
from tests.collect.samples import DIAMOND

WATER = Atoms("OH2", [[0, 0, 0], [0, 0.76, 0.59], [0, -0.76, 0.59]])
FORCE = HARTREE / BOHR


def columns(rows: int = 60, ions: int = 3) -> dict[str, Array]:
    random = np.random.default_rng(1)
    table = {"index": np.arange(rows, dtype=float), "LocalEnergy": -17.0 + 0.05 * random.normal(size=rows)}
    for ion in range(ions):
        for axis in range(3):
            gradient = random.normal(size=rows)
            table[f"ACForce_hf_{ion}_{axis}"] = 0.1 * ion + 0.02 * random.normal(size=rows)
            table[f"ACForce_pulay_{ion}_{axis}"] = 0.01 * random.normal(size=rows)
            table[f"ACForce_Ewfgrad_{ion}_{axis}"] = table["LocalEnergy"] * gradient
            table[f"ACForce_wfgrad_{ion}_{axis}"] = gradient
    return table | {"BlockWeight": np.full(rows, 100.0), "BlockCPU": np.ones(rows), "AcceptRatio": np.full(rows, 0.99)}


def write(path: Path, table: dict[str, Array]) -> Path:
    """Write columns as QMCPACK aligns them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "#   " + "".join(f"{name:<20}" for name in table)
    rows = ["".join(f"{value:20.10e}" for value in row) for row in zip(*table.values(), strict=True)]
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def write_input(path: Path, atoms: Atoms) -> None:
    """Write an input whose groups give their own positions, in bohr."""
    groups = []
    for symbol in dict.fromkeys(atoms.symbols):
        places = atoms.positions[[one == symbol for one in atoms.symbols]] / BOHR
        text = "\n".join(" ".join(f"{value:.8f}" for value in place) for place in places)
        groups.append(
            f'<group name="{symbol}" size="{len(places)}"><parameter name="charge"> 4 </parameter>'
            f'<attrib name="position" datatype="posArray" condition="0">\n{text}\n</attrib></group>'
        )
    path.write_text(
        '<?xml version="1.0"?>\n<simulation><project id="vmc" series="0"/><qmcsystem><simulationcell>'
        '<parameter name="bconds"> n n n </parameter></simulationcell>'
        f'<particleset name="ion0">{"".join(groups)}</particleset></qmcsystem></simulation>\n'
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run of water with its input, beside the structure."""
    write(tmp_path / "runs" / "water" / "vmc.s000.scalar.dat", columns())
    write_input(tmp_path / "runs" / "water" / "vmc.in.xml", WATER)
    write_structures(tmp_path / "base.extxyz", [structure_from(WATER, "water")])
    return tmp_path


def collected(folder: Path, **more: object) -> Collected:
    values = {
        "paths": (folder / "runs",),
        "structures": (folder / "base.extxyz",),
        "fidelity": "vmc",
        "out": folder / "labels.extxyz",
        "equilibration": 10,
        **more,
    }
    return collect(CollectSettings.read(values))


def test_forces_of_all_components_become_labels_with_errors(folder: Path) -> None:
    result = collected(folder)
    (structure,) = read_structures(result.out)
    label, table = structure.labels["vmc"], columns()

    def stacked(piece: str) -> Array:
        return np.stack([table[f"ACForce_{piece}_{ion}_{axis}"] for ion in range(3) for axis in range(3)], axis=1)

    direct, energy = stacked("hf") + stacked("pulay"), table["LocalEnergy"]
    zero_bias = stacked("Ewfgrad")[10:].mean(axis=0) - energy[10:].mean() * stacked("wfgrad")[10:].mean(axis=0)
    expected = FORCE * (direct[10:].mean(axis=0) + 2 * zero_bias).reshape(3, 3)
    assert_allclose(label.forces, expected, atol=1e-6)
    series = ForceSeries(
        *(
            scale * values.reshape(60, 3, 3)
            for scale, values in ((FORCE, direct), (FORCE, stacked("Ewfgrad")), (1 / BOHR, stacked("wfgrad")))
        )
    )
    assert_allclose(label.forces_stderr, mean_force(series, HARTREE * energy, 10)[1], rtol=1e-5)
    assert (label.forces_stderr > 0).all()
    (one,) = result.labels
    assert_allclose(one.forces, label.forces)
    assert not [text for text in one.warnings if "forces" in text]


def test_pieces_of_forces_are_no_energies(folder: Path) -> None:
    series = read_scalar(folder / "runs" / "water" / "vmc.s000.scalar.dat")
    assert not [name for name in series.columns if name.startswith("ACForce")]
    assert series.atoms.get_chemical_formula() == "H2O"
    assert read_scalar(DIAMOND / "dmc.s001.scalar.dat").forces is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.pop("ACForce_wfgrad_1_2"), "1 of 36 columns are missing, first ACForce_wfgrad_1_2"),
        (lambda table: table.update(ACForce_hf_0_1=np.full(60, np.nan)), "ACForce_hf_0_1 holds what is no finite"),
        (lambda table: table.update(ACForce_total_0_1=np.ones(60)), "ACForce_total_0_1 is no column that is known"),
    ],
)
def test_forces_that_are_not_whole_are_left_out_and_the_energy_stays(
    folder: Path, change: Callable[[dict[str, Array]], object], said: str
) -> None:
    table = columns()
    change(table)
    write(folder / "runs" / "water" / "vmc.s000.scalar.dat", table)
    result = collected(folder)
    assert any(said in text for text in result.labels[0].warnings)
    (structure,) = read_structures(result.out)
    assert structure.labels["vmc"].has_energy
    assert not structure.labels["vmc"].has_forces


def test_forces_of_atoms_that_nobody_names_are_left_out(folder: Path) -> None:
    path = folder / "runs" / "water" / "vmc.in.xml"
    write_input(path, WATER[[1, 2, 0]])
    assert any("another order" in text for text in collected(folder).labels[0].warnings)
    path.unlink()
    assert any("no input beside" in text for text in collected(folder).labels[0].warnings)
    (structure,) = read_structures(folder / "labels.extxyz")
    assert not structure.labels["vmc"].has_forces


def test_forces_of_a_larger_cell_are_left_out_and_those_of_dmc_say_what_they_are(folder: Path) -> None:
    path = folder / "runs" / "water" / "vmc.in.xml"
    path.unlink()
    assert any("several times" in text for text in collected(folder, cells=2).labels[0].warnings)
    table = columns()
    table["BlockWeight"] += np.arange(60) % 7
    write(folder / "runs" / "water" / "vmc.s000.scalar.dat", table)
    write_input(path, WATER)
    assert any("Reynolds" in text for text in collected(folder).labels[0].warnings)


def test_atoms_of_a_crystal_come_from_its_input() -> None:
    atoms = geometry_of_input(DIAMOND, "dmc")
    assert atoms.get_chemical_formula() == "C2"
    assert atoms.pbc.all()
    assert atoms.get_distance(0, 1, mic=True) == pytest.approx(1.546, abs=1e-3)
    assert geometry_of_input(DIAMOND, "other") is None
