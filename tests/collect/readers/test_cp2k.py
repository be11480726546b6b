"""CP2K: excerpts in the layouts of version 6 and 2025; whole outputs were compared with dpdata by hand."""

from pathlib import Path

import numpy as np
import pytest

from rung.collect.readers import reader_of
from rung.collect.readers.cp2k import READER, read
from rung.errors import DataError
from rung.units import BOHR, HARTREE

OLD = """
  **** **** ******  **  PROGRAM STARTED AT               2020-08-14 06:09:53.115

 CP2K| version string:                                          CP2K version 6.1

 CELL| Vector a [angstrom]:       5.038     0.000     0.000    |a| =       5.038
 CELL| Vector b [angstrom]:      -2.519     4.363     0.000    |b| =       5.038
 CELL| Vector c [angstrom]:       0.000     0.000    13.772    |c| =      13.772

 MODULE QUICKSTEP:  ATOMIC COORDINATES IN angstrom

  Atom  Kind  Element       X           Y           Z          Z(eff)       Mass

       1     1 Fe  26    0.000000    0.000000    1.992808     16.00      55.8450
       2     2 O    8    0.500000    0.000000    8.878808      6.00      15.9990

  *** SCF run converged in    47 steps ***

 ENERGY| Total FORCE_EVAL ( QS ) energy (a.u.):            -1766.225653832774242

 ATOMIC FORCES in [a.u.]

 # Atom   Kind   Element          X              Y              Z
      1      1      Fe          0.00021561     0.00034116     0.00317438
      2      2      O          -0.00021697    -0.00027978     0.00317440
 SUM OF ATOMIC FORCES           0.00000000     0.00000000    -0.00000000     0.00000000

  **** **** ******  **  PROGRAM ENDED AT                 2020-08-14 06:10:02.425
"""

NEW_FORCES = """ FORCES| Atomic forces [hartree/bohr]

 FORCES| Atom x y z |f|

 FORCES| 1 2.1561E-04 3.4116E-04 3.17438E-03 3.2E-03
 FORCES| 2 -2.1697E-04 -2.7978E-04 3.17440E-03 3.2E-03
"""


def new() -> str:
    begin, end = OLD.index(" ATOMIC FORCES"), OLD.index(" SUM OF")
    return (OLD[:begin] + NEW_FORCES + OLD[end:]).replace("(a.u.):", "[hartree]")


@pytest.mark.parametrize("text", [OLD, new()], ids=["6.1", "2025"])
def test_energy_geometry_and_forces(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cp2k.out"
    path.write_text(text)
    assert reader_of(path) is READER
    total = read(path)
    assert total.energies == {"total": pytest.approx(-1766.225653832774242 * HARTREE, abs=1e-8)}
    assert total.atoms is not None
    assert str(total.atoms.symbols) == "FeO"
    assert total.atoms.positions[1] == pytest.approx([0.5, 0.0, 8.878808])
    assert total.atoms.cell.array[1] == pytest.approx([-2.519, 4.363, 0.0])
    forces = np.array([[2.1561, 3.4116, 31.7438], [-2.1697, -2.7978, 31.744]]) * 1e-4 * HARTREE / BOHR
    assert total.forces == pytest.approx(forces)


def test_what_is_no_label_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "cp2k.out"
    cases = {
        "CP2K did not come to its end": OLD.replace("PROGRAM ENDED AT", ""),
        "SCF of CP2K did not converge": OLD.replace("SCF run converged", "SCF run NOT converged"),
        "several energies of total": OLD + OLD.replace("-1766.2", "-1766.3"),
        "holds 2 geometries": OLD + OLD.replace("1.992808", "1.9"),
        "holds 0 geometries": OLD.replace("ATOMIC COORDINATES", "COORDINATES"),
        "holds no energy": OLD.replace("Total FORCE_EVAL", "Sum"),
        "its forces are not whole": OLD.replace("      2      2      O ", "      x      2      O "),
    }
    for sentence, text in cases.items():
        path.write_text(text)
        with pytest.raises(DataError, match=sentence) as error:
            read(path)
        assert str(error.value).startswith(str(path))
