"""FHI-aims: an excerpt in the layout of its output; a whole one was read by hand."""

from pathlib import Path

import numpy as np
import pytest

from rung.collect.readers import reader_of
from rung.collect.readers.aims import READER, read
from rung.errors import DataError
from rung.units import HARTREE

TEXT = """------------------------------------------------------------
          Invoking FHI-aims ...

  Input geometry:
  | Unit cell:
  |        0.00000000        1.79160000        1.79160000
  |        1.79160000        0.00000000        1.79160000
  |        1.79160000        1.79160000        0.00000000
  | Atomic structure:
  |       Atom                x [A]            y [A]            z [A]
  |    1: Species B             0.00000000        0.00000000        0.00000000
  |    2: Species N             0.89580000        0.89580000        0.89580000

  | Total energy                  :         -79.09031086 Ha       -2152.15685893 eV

  Self-consistency cycle converged.

  | Total energy uncorrected      :         -0.215215685892915E+04 eV
  | Total energy corrected        :         -0.215215685892915E+04 eV  <-- do not rely on this value for metals

  Total atomic forces (unitary forces cleaned) [eV/Ang]:
  |   1          0.100000000000000E+00         -0.200000000000000E+00          0.300000000000000E-01
  |   2         -0.100000000000000E+00          0.200000000000000E+00         -0.300000000000000E-01

          Have a nice day.
------------------------------------------------------------
"""


def test_its_own_hartree_is_taken_out(tmp_path: Path) -> None:
    """The line in Hartree and the line in eV of one output: both are one energy, and CODATA's Hartree decides."""
    path = tmp_path / "aims.out"
    path.write_text(TEXT)
    assert reader_of(path) is READER
    total = read(path)
    assert total.energies["total"] == pytest.approx(-79.09031086 * HARTREE, abs=3e-7)
    assert abs(total.energies["total"] - -2152.15685893) > 1e-4
    assert total.atoms is not None
    assert str(total.atoms.symbols) == "BN"
    assert total.atoms.cell.array[0] == pytest.approx([0.0, 1.7916, 1.7916])
    assert total.atoms.pbc.all()
    assert total.forces == pytest.approx(np.array([[0.1, -0.2, 0.03], [-0.1, 0.2, -0.03]]), rel=1e-6)


def test_a_molecule_has_no_cell(tmp_path: Path) -> None:
    path = tmp_path / "aims.out"
    path.write_text(TEXT.replace("| Unit cell:", "| No unit cell requested."))
    atoms = read(path).atoms
    assert atoms is not None
    assert not atoms.pbc.any()


def test_what_is_no_label_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "aims.out"
    cases = {
        "FHI-aims did not come to its end": TEXT.replace("Have a nice day.", ""),
        "FHI-aims did not converge": TEXT.replace("cycle converged", "cycle not converged"),
        "holds 2 energies": TEXT + TEXT,
        "does not hold its geometry": TEXT.replace(": Species", ": Kind"),
        "which is no element": TEXT.replace("Species B ", "Species Qq"),
        "its forces are not whole": TEXT.replace("  |   2         -0.1", "  *   2         -0.1"),
    }
    for sentence, text in cases.items():
        path.write_text(text)
        with pytest.raises(DataError, match=sentence) as error:
            read(path)
        assert str(error.value).startswith(str(path))


def test_an_energy_beyond_the_functional_is_not_left_unseen(tmp_path: Path) -> None:
    path = tmp_path / "aims.out"
    path.write_text(TEXT.replace("          Have a", "  RPA total energy      :   -2160.1 eV\n          Have a"))
    with pytest.raises(DataError, match="holds an RPA or MP2 energy"):
        read(path)
