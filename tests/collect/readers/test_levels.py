"""Molpro, CFOUR and MRCC: excerpts in the layout of their outputs, which are not ours to ship whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rung.collect.output import Total
from rung.collect.readers import cfour, molpro, mrcc, reader_of
from rung.collect.readers.reader import OutputReader
from rung.errors import DataError
from rung.units import BOHR, HARTREE

MOLPRO = """
                                         ***  PROGRAM SYSTEM MOLPRO  ***

 ATOMIC COORDINATES

 NR  ATOM    CHARGE       X              Y              Z

   1  O       8.00    0.000000000    0.000000000   -0.127449274
   2  H1      1.00    0.000000000    1.457819894    1.011524455
   3  H2      1.00    0.000000000   -1.457819894    1.011524455

 Bond lengths in Bohr (Angstrom)

 !RHF STATE  1.1 Energy               -76.024889896268

  CCSD correlation energy              -0.212805593295

  Triples (T) contribution             -0.003142568832

  CCSD total energy                   -76.237695489563
  CCSD[T] energy                      -76.240929434502
 !CCSD(T) total energy                -76.240838058396

 Molpro calculation terminated
"""

CFOUR = """
     * CFOUR Coupled-Cluster techniques for Computational Chemistry *

         Coordinates used in calculation (QCOMP)
 ----------------------------------------------------------------
 Z-matrix   Atomic            Coordinates (in bohr)
  Symbol    Number           X              Y              Z
 ----------------------------------------------------------------
     O         8         0.00000000    -0.00000000     0.12600419
     H         1         0.00000000    -1.49411068    -0.99988896
     H         1         0.00000000     1.49411068    -0.99988896
 ----------------------------------------------------------------

--executable xjoda finished with status     0 in        0.12 seconds (walltime).
   The total correlation energy is -0.053429435390 a.u.
      A miracle has come to pass. The CC iterations have converged.
  The final electronic energy is       -75.017834877377283 a.u.
"""

MRCC = """
                          MRCC program system

 THE SCF ITERATION HAS CONVERGED!

 ***FINAL HARTREE-FOCK ENERGY:        -75.7413954285433988 [AU]

 CCSD correlation energy [au]:                             -0.229368662969
 Total CCSD energy [au]:                                  -75.970764091513
 Total CCSD(T) energy [au]:                               -75.977713462561
 Total LNO-CCSD(T) energy with MP2 corrections [au]:      -75.977694684591

                      Normal termination of mrcc.
"""


def read(tmp_path: Path, text: str, expected: OutputReader) -> Total:
    path = tmp_path / "a.out"
    path.write_text(text)
    assert reader_of(path) is expected
    total = expected.read(path)
    assert isinstance(total, Total)
    return total


def hartree(total: Total) -> dict[str, float]:
    return {level: pytest.approx(energy / HARTREE, abs=1e-10) for level, energy in total.energies.items()}


def test_molpro_s_levels_are_told_apart(tmp_path: Path) -> None:
    total = read(tmp_path, MOLPRO, molpro.READER)
    assert hartree(total) == {"scf": -76.024889896268, "ccsd": -76.237695489563, "ccsd(t)": -76.240838058396}
    assert total.atoms is not None
    assert str(total.atoms.symbols) == "OH2"
    assert total.atoms.positions[1] == pytest.approx([0.0, 1.457819894 * BOHR, 1.011524455 * BOHR])


def test_molpro_before_2012_writes_them_otherwise(tmp_path: Path) -> None:
    text = MOLPRO.replace("!CCSD(T) total energy   ", "!CCSD(T) STATE 1.1 ENERGY")
    text = text.replace("Molpro calculation terminated", "Variable memory released")
    assert hartree(read(tmp_path, text, molpro.READER))["ccsd(t)"] == -76.240838058396


def test_cfour_s_final_energy_is_taken(tmp_path: Path) -> None:
    total = read(tmp_path, CFOUR, cfour.READER)
    assert hartree(total) == {"total": -75.017834877377283}
    assert total.atoms is not None
    assert total.atoms.positions[2] == pytest.approx([0.0, 1.49411068 * BOHR, -0.99988896 * BOHR])


def test_mrcc_s_corrected_energy_is_a_level_of_its_own(tmp_path: Path) -> None:
    total = read(tmp_path, MRCC, mrcc.READER)
    assert hartree(total) == {
        "scf": -75.7413954285433988,
        "ccsd": -75.970764091513,
        "ccsd(t)": -75.977713462561,
        "lno-ccsd(t)+mp2": -75.977694684591,
    }
    assert total.atoms is None


def replaced(text: str, *pair: str) -> str:
    changed = text.replace(*pair)
    assert changed != text
    return changed


@pytest.mark.parametrize(
    ("text", "reader", "sentence"),
    [
        (replaced(MOLPRO, " Molpro calculation terminated", ""), molpro.read, "Molpro did not come to its end"),
        (replaced(MOLPRO, "  CCSD correl", " No convergence\n  CCSD correl"), molpro.read, "Molpro did not converge"),
        (MOLPRO + replaced(MOLPRO, "-76.240838", "-76.250838"), molpro.read, r"several energies of ccsd\(t\)"),
        (MOLPRO + replaced(MOLPRO, "1.011524455", "1.02"), molpro.read, "holds 2 geometries"),
        (replaced(MOLPRO, "ATOMIC COORD", "COORD"), molpro.read, "does not hold its geometry"),
        (replaced(MOLPRO, " O   ", " Qq  "), molpro.read, "no element"),
        (replaced(CFOUR, "final electronic", "electronic"), cfour.read, "CFOUR did not come to its end"),
        (replaced(CFOUR, "status     0", "status   256"), cfour.read, "failed or did not converge"),
        (CFOUR + replaced(CFOUR, "-75.0178", "-75.0278"), cfour.read, "several energies of total"),
        (replaced(MRCC, "Normal termination", "Fatal error"), mrcc.read, "MRCC did not come to its end"),
        (replaced(MRCC, "HAS CONVERGED", "GOES ON"), mrcc.read, "SCF of MRCC did not converge"),
        (MRCC + replaced(MRCC, "-75.977713", "-75.987713"), mrcc.read, r"several energies of ccsd\(t\)"),
        (replaced(replaced(MRCC, "Total ", "Sum "), "***FINAL", "FINAL"), mrcc.read, "holds no energy"),
    ],
)
def test_what_is_no_label_is_one_sentence(
    tmp_path: Path, text: str, reader: Callable[[Path], Total], sentence: str
) -> None:
    path = tmp_path / "a.out"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence) as error:
        reader(path)
    assert str(error.value).startswith(str(path))
