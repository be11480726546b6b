"""Codes that ASE reads: energies and units, and nothing that did not end or converge.

The texts are ours, in the layout that ASE's readers ask for; whole files of the programs are too large to ship.
"""

from pathlib import Path

import numpy as np
import pytest

from rung.collect.convert_settings import ConvertSettings
from rung.collect.converting import convert
from rung.collect.readers import reader_of
from rung.errors import DataError
from rung.units import BOHR, HARTREE

ORCA = """
                                 *****************
                                 * O   R   C   A *
                                 *****************

Number of atoms                             ...      3

---------------------------------
CARTESIAN COORDINATES (ANGSTROEM)
---------------------------------
  O      0.000000    0.000000    0.117300
  H      0.000000    0.757200   -0.469200
  H      0.000000   -0.757200   -0.469200

----------------------------
CARTESIAN COORDINATES (A.U.)
----------------------------

FINAL SINGLE POINT ENERGY       -75.013556309601

------------------
CARTESIAN GRADIENT
------------------

   1   O   :    0.000000000    0.000000000   -0.119611216
   2   H   :    0.000000000   -0.052620110    0.059812544
   3   H   :    0.000000000    0.052620110    0.059812544

Difference to translation invariance:
           :    0.0000000000    0.0000000000    0.0000000000

                             ****ORCA TERMINATED NORMALLY****
"""

ESPRESSO = """
     Program PWSCF v.6.5 starts on 19May2020 at  7:48:12

     bravais-lattice index     =            0
     lattice parameter (alat)  =      10.0000  a.u.
     number of atoms/cell      =            1
     number of atomic types    =            1

     celldm(1)=  10.000000  celldm(2)=   0.000000  celldm(3)=   0.000000
     celldm(4)=   0.000000  celldm(5)=   0.000000  celldm(6)=   0.000000

     crystal axes: (cart. coord. in units of alat)
               a(1) = (   1.000000   0.000000   0.000000 )
               a(2) = (   0.000000   1.000000   0.000000 )
               a(3) = (   0.000000   0.000000   1.000000 )

   Cartesian axes

     site n.     atom                  positions (alat units)
         1           Fe  tau(   1) = (   0.0000000   0.0000000   0.0000000  )

     number of k points=     1
                       cart. coord. in units 2pi/alat
        k(    1) = (   0.0000000   0.0000000   0.0000000), wk =   2.0000000

     End of self-consistent calculation

          k = 0.0000 0.0000 0.0000 (   100 PWs)   bands (ev):

    -5.0000   2.0000

     the Fermi energy is     1.0000 ev

!    total energy              =   -5206.00000000 Ry

     convergence has been achieved in  12 iterations

     Forces acting on atoms (cartesian axes, Ry/au):

     atom    1 type  1   force =     0.00000000    0.00000000    0.10000000

   JOB DONE.
"""


def vasprun(steps: int, most: int = 60) -> str:
    structure = """
  <crystal>
   <varray name="basis"> <v> 4.0 0.0 0.0 </v> <v> 0.0 4.0 0.0 </v> <v> 0.0 0.0 4.0 </v> </varray>
  </crystal>
  <varray name="positions"> <v> 0.0 0.0 0.25 </v> </varray>
 </structure>"""
    energy = """
  <energy>
   <i name="e_fr_energy">-4.2</i> <i name="e_wo_entrp">-4.0</i> <i name="e_0_energy">-4.1</i>
  </energy>"""
    return f"""<?xml version="1.0"?>
<modeling>
 <kpoints>
  <varray name="kpointlist"> <v> 0 0 0 </v> </varray>
  <varray name="weights"> <v> 1 </v> </varray>
 </kpoints>
 <parameters> <separator name="electronic"> <i type="int" name="NELM">{most:6d}</i> </separator> </parameters>
 <atominfo> <array name="atoms"> <set> <rc> <c>Al</c> <c>1</c> </rc> </set> </array> </atominfo>
 <structure name="initialpos">{structure}
 <calculation>{f" <scstep>{energy} </scstep>" * steps}
 <structure>{structure}
 <varray name="forces"> <v> 0.0 0.0 0.5 </v> </varray>{energy}
 </calculation>
</modeling>
"""


def written(tmp_path: Path, text: str, name: str = "a.out") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_orca_s_hartree_are_codata_s(tmp_path: Path) -> None:
    path = written(tmp_path, ORCA)
    reader = reader_of(path)
    assert reader is not None
    total = reader.read(path)
    assert (total.program, list(total.energies)) == ("ORCA", ["total"])
    assert total.energies["total"] == pytest.approx(-75.013556309601 * HARTREE, abs=1e-9)
    assert total.atoms.positions[1] == pytest.approx([0.0, 0.7572, -0.4692])
    assert total.forces[0] == pytest.approx([0.0, 0.0, 0.119611216 * HARTREE / BOHR])


def test_the_rydberg_of_ase_s_reader_of_espresso_is_taken_out(tmp_path: Path) -> None:
    """ASE multiplies by CODATA 2006 there: 5.6 meV off for 5206 Ry, as much as an energy of DMC is exact to."""
    path = written(tmp_path, ESPRESSO)
    reader = reader_of(path)
    assert reader is not None
    total = reader.read(path)
    assert total.energies["total"] == pytest.approx(-2603.0 * HARTREE, abs=1e-7)
    assert abs(-2603.0 * HARTREE - -5206.0 * 13.60569193) > 0.005
    assert total.forces[0, 2] == pytest.approx(0.05 * HARTREE / BOHR, rel=1e-6)
    assert total.atoms.pbc.all()


HYBRID = ESPRESSO.replace(
    "!    total energy              =   -5206.00000000 Ry",
    "     EXX-fraction              =        0.25\n!    total energy              =   -5200.00000000 Ry\n"
    "     est. exchange err (dexx)  =       0.1 Ry\n!    total energy              =   -5205.00000000 Ry\n"
    "!!   total energy              =   -5206.00000000 Ry",
)


def test_a_hybrid_of_espresso_has_the_energy_with_exact_exchange(tmp_path: Path) -> None:
    """Its self-consistency without exact exchange comes first, with a total energy of its own, which ASE takes."""
    path = written(tmp_path, HYBRID)
    reader = reader_of(path)
    assert reader is not None
    assert reader.read(path).energies["total"] == pytest.approx(-2603.0 * HARTREE, abs=1e-7)
    told = {"paths": (path,), "fidelity": "pbe0", "out": tmp_path / "out.extxyz"}
    with pytest.raises(DataError, match="of which ASE takes another energy; rung collect says"):
        convert(ConvertSettings.read(told))
    path = written(tmp_path, HYBRID.replace("!!  ", "    "))
    with pytest.raises(DataError, match=r"energy with exact exchange .* is not there"):
        reader.read(path)


def test_two_jobs_of_orca_are_refused_and_a_gradient_is_no_failed_optimisation(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """ASE joins the energy of the second job and the gradient of the first."""
    heads = [f"$$$$$$$$$$$$$$$$  JOB NUMBER  {number} $$$$$$$$$$$$$$\n" for number in (1, 2)]
    second = "FINAL SINGLE POINT ENERGY       -76.0\n****ORCA TERMINATED NORMALLY****\n"
    path = written(tmp_path, heads[0] + ORCA + heads[1] + second)
    reader = reader_of(path)
    assert reader is not None
    with pytest.raises(DataError, match="ORCA holds 2 jobs"):
        reader.read(path)
    said = ORCA.replace("CARTESIAN GRADIENT", "ORCA SCF GRADIENT CALCULATION\nCARTESIAN GRADIENT", 1)
    reader.read(written(tmp_path, said))
    assert not [one for one in recwarn if "optimization" in str(one.message)]


@pytest.mark.parametrize("line", ["HF+RPA corr. energy TOTEN  =       -36.96463791 eV", "   ALGO = ACFDTR"])
def test_an_energy_beyond_the_functional_is_not_left_unseen(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, outcar(9) + line, "OUTCAR")
    reader = reader_of(path)
    assert reader is not None
    with pytest.raises(DataError, match="holds an RPA energy, which rung does not read"):
        reader.read(path)


def test_vasp_s_energy_is_that_without_smearing(tmp_path: Path) -> None:
    path = written(tmp_path, vasprun(5), "vasprun.xml")
    reader = reader_of(path)
    assert reader is not None
    total = reader.read(path)
    assert total.energies == {"total": -4.1}
    assert total.forces == pytest.approx(np.array([[0.0, 0.0, 0.5]]))
    assert total.atoms.cell.lengths() == pytest.approx([4.0, 4.0, 4.0])


def outcar(*taken: int, most: int = 60, said: str = "aborting loop because EDIFF is reached") -> str:
    """Return the lines of an OUTCAR by which its end is judged: so many electronic steps of each ionic one."""
    loops = [
        f"-- Iteration {ionic:6d}({step:4d})  --\n"
        for ionic, most_of_it in enumerate(taken, 1)
        for step in range(1, most_of_it + 1)
    ]
    return (
        " vasp.5.4.4.18Apr17\n executed on             LinuxIFC date 2020.01.01\n"
        f"   NELM   = {most:6d};   NELMIN=  2; NELMDL= -5     # of ELM steps \n"
        f"{''.join(loops)}---- {said} ----\n General timing and accounting informations for this job:\n"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (outcar(60), "VASP did not converge .60 electronic steps of 60"),
        (outcar(9, 1, most=1), "VASP did not converge .1 electronic steps of 1"),
        (outcar(9, 60, said="aborting loop EDIFF was not reached (unconverged)"), "EDIFF was not reached"),
        (outcar(60, 9), "cannot be read by ASE"),  # the last ionic step counts, and it converged
        (outcar(59), "cannot be read by ASE"),
    ],
    ids=["most", "one", "vasp-6", "earlier", "converged"],
)
def test_an_outcar_that_took_all_its_steps_did_not_converge(tmp_path: Path, text: str, sentence: str) -> None:
    """VASP 5 writes that EDIFF is reached also where it gave up after NELM steps."""
    path = written(tmp_path, text, "OUTCAR")
    reader = reader_of(path)
    assert reader is not None
    with pytest.raises(DataError, match=sentence):
        reader.read(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ORCA.replace("****ORCA TERMINATED NORMALLY****", ""), "ORCA did not come to its end"),
        (ORCA.replace("FINAL SINGLE", "SCF NOT CONVERGED AFTER 125 CYCLES\nFINAL SINGLE"), "ORCA did not converge"),
        (ORCA.replace("FINAL SINGLE POINT ENERGY", "ENERGY"), "no energy"),
        (ESPRESSO.replace("JOB DONE.", ""), "Quantum ESPRESSO did not come to its end"),
        (ESPRESSO.replace("has been achieved in", "NOT achieved after"), "Quantum ESPRESSO did not converge"),
        (vasprun(60), "VASP did not converge .60 electronic steps of 60"),
        (vasprun(5).replace("</modeling>", ""), "VASP did not come to its end"),
        (vasprun(5).replace("<crystal>", "<cristal>", 1), "cannot be read by ASE"),
    ],
    ids=["orca-end", "orca-scf", "orca-energy", "pw-end", "pw-scf", "vasp-scf", "vasp-end", "vasp-damaged"],
)
def test_what_did_not_end_or_converge_never_enters(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    reader = reader_of(path)
    assert reader is not None
    with pytest.raises(DataError, match=sentence) as error:
        reader.read(path)
    assert str(path) in str(error.value)
