"""PySCF: logs that it wrote, with energies, geometry and gradient, and what did not converge."""

from pathlib import Path

import numpy as np
import pytest

from rung.collect.readers import reader_of
from rung.collect.readers.pyscf import READER, read
from rung.errors import DataError
from rung.units import BOHR, HARTREE

LOGS = Path(__file__).parents[1] / "data" / "pyscf"

ENERGIES = {
    "ccsdt": {"scf": -74.96302313846124, "ccsd": -75.0124617127727, "ccsd(t)": -75.01252912269851},
    "mp2": {"scf": -74.96302313846124, "mp2": -74.99856877172336},
    "dfmp2": {"scf": -74.9637178226898, "mp2": -74.9996319430568},
    "rpa": {"scf": -75.2268695730258, "rpa": -75.04787066519},
    "casscf": {"scf": -74.9636307973705, "casscf": -74.9768771107282},
    "casci": {"scf": -74.9636307973705, "casci": -74.9711915086354},
    "pbe": {"scf": -75.22556669754537},
    "uccsd": {"scf": -1.5468775027523092, "ccsd": -1.5710709762693078},
}
"""``e_tot`` of PySCF's own objects in the runs that wrote the logs, Hartree."""


@pytest.mark.parametrize("name", ENERGIES)
def test_energies_are_those_of_the_program(name: str) -> None:
    path = LOGS / f"{name}.log"
    assert reader_of(path) is READER
    total = read(path)
    assert list(total.energies) == list(ENERGIES[name])
    for level, energy in ENERGIES[name].items():
        assert total.energies[level] / HARTREE == pytest.approx(energy, abs=2e-11)


def test_the_geometry_is_in_angstrom_and_numbered_atoms_are_elements() -> None:
    atoms = read(LOGS / "pbe.log").atoms
    assert atoms is not None
    assert atoms.get_chemical_formula() == "H2O"
    assert atoms.positions[1] == pytest.approx([0.0, 0.7572, -0.4692])


def test_forces_are_the_gradient_with_its_sign_turned() -> None:
    total = read(LOGS / "pbe.log")
    gradient = np.array(
        [[0.0, 0.0, -0.1196112163], [0.0, -0.0526201104, 0.0598125436], [0.0, 0.0526201104, 0.0598125436]]
    )
    assert total.forces == pytest.approx(-gradient * HARTREE / BOHR)
    assert total.forces_of == "scf"
    # the O–H bonds are shorter than PBE's, so the oxygen is pushed away from the hydrogens, which lie below it
    assert total.forces is not None
    assert total.forces[0, 2] > 0
    assert read(LOGS / "ccsdt.log").forces is None


def test_forces_are_of_the_level_that_heads_the_gradient(tmp_path: Path) -> None:
    """PySCF heads it with the class: gradients of coupled cluster stand in a log like those of the field."""
    pbe, ccsdt = ((LOGS / f"{name}.log").read_text() for name in ("pbe", "ccsdt"))
    start, end = pbe.index("--------------- RKS gradients"), pbe.index("----------------------------------------------")
    block = pbe[start : end + 47]
    without_triples = "\n".join(line for line in ccsdt.splitlines() if "CCSD(T) correction" not in line) + "\n"
    path = tmp_path / "a.log"
    for text, heading, forces_of in (
        (without_triples, "CCSD", "ccsd"),
        (without_triples, "DFRHF", "scf"),
        (without_triples, "SymAdaptedRKS", "scf"),
        (without_triples, "DFMP2", "mp2"),
        (without_triples, "CASSCF", ""),
        (ccsdt, "CCSD", ""),  # or of CCSD(T), which PySCF heads alike
        (ccsdt, "RHF", "scf"),
    ):
        path.write_text(text + block.replace("RKS", heading))
        total = read(path)
        assert total.forces_of == forces_of
        assert (total.forces is None) == (not forces_of) == any("gradient is left out" in one for one in total.notes)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("unconverged-scf", "SCF did not converge"), ("unconverged-ccsd", "CCSD did not converge")],
)
def test_what_did_not_converge_never_enters(name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(LOGS / f"{name}.log")


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    text = (LOGS / "ccsdt.log").read_text()
    pbe = (LOGS / "pbe.log").read_text()
    cases = {
        r"holds 2 calculations \(geometries\)": text + text,
        "CCSD began and did not end": text[: text.index("CCSD converged")],
        "SCF did not converge, or is going on": text[: text.index("converged SCF energy")],
        "does not hold its geometry": text.replace("[INPUT]  2 H1", "[INPUT]  2  H1 x"),
        "its geometry cannot be read": text.replace("[INPUT]  1 O ", "[INPUT]  1 Zz"),
        "its gradient is not whole": pbe.replace("1 H1 ", "1 H1 nan ", 1) if "1 H1 " in pbe else "",
    }
    path = tmp_path / "a.log"
    for sentence, content in cases.items():
        path.write_text(content)
        with pytest.raises(DataError, match=sentence) as error:
            read(path)
        assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("unread-crystal", "", "", "is of a crystal"),
        ("casscf", "1-step CASSCF converged", "1-step CASSCF not converged", "did not converge"),
        ("dfmp2", "E(DFRMP2)", "E(RCISD)", "holds an energy of RCISD, which rung does not read"),
    ],
)
def test_what_rung_does_not_read_is_no_scf_energy_in_silence(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    path = tmp_path / "a.log"
    path.write_text((LOGS / f"{name}.log").read_text().replace(old, new))
    with pytest.raises(DataError, match=sentence):
        read(path)
