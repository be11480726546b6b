"""Inputs from templates: written once, never over a user's changes; outputs become labels once they are there."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import molecule

from rung.data.readers.structures import read_structures, structure_from
from rung.errors import ConfigError, DataError
from rung.label.engine import Subject
from rung.label.engines.files import FilesEngine
from rung.label.labelling import Labelling, label_structures
from rung.label.summary import summary_of
from rung.label.templates import rendered, values_of
from rung.units import BOHR, HARTREE
from tests.collect.samples import DIAMOND
from tests.label.springs import molecules, rattled

EXAMPLES = Path(__file__).parents[3] / "examples" / "label_templates"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "job.inp.j2"
    path.write_text("{{ method }} {{ charge }} {{ multiplicity }}\n{% for a in atoms %}{{ a.symbol }}\n{% endfor %}")
    return path


def run(template: Path, structures: Any = None, **settings: Any) -> Labelling:
    engine = FilesEngine.read({"templates": [str(template)], "variables": {"method": "cc"}, **settings})
    return label_structures(structures or molecules("H2O", "CH3"), "cc", engine, template.parent / "labels")


def test_inputs_are_written_and_outputs_awaited(template: Path) -> None:
    made = run(template)
    assert made.waiting == ("H2O", "CH3")
    assert made.failed == {}
    folder = made.folder / "structures"
    assert (folder / "H2O" / "job.inp").read_text() == "cc 0 1\nO\nH\nH\n"
    assert (folder / "CH3" / "job.inp").read_text() == "cc 0 2\nC\nH\nH\nH\n"
    assert not made.file.exists()
    said = " ".join(summary_of(made).sentences)
    assert "2 waiting" in said
    assert "rung collect" in said
    assert summary_of(made).failures == ()


def test_outputs_become_labels_and_the_rest_goes_on_waiting(tmp_path: Path) -> None:
    template = tmp_path / "pyscf_input.py.j2"
    template.write_text(
        "from pyscf import gto, scf\n"
        "m = gto.M(atom=[{% for a in atoms %}('{{ a.symbol }}', {{ a.bohr }}),{% endfor %}], unit='Bohr',\n"
        "  basis='sto-3g', verbose=4, output='{{ out }}')\n"
        "f = scf.RHF(m).run(); f.nuc_grad_method().kernel(); m.stdout.close()\n"
    )
    structures = molecules("H2O", "NH3")
    made = run(template, structures, variables={"out": "out.log"})
    folder = made.folder / "structures" / "H2O"
    program = (folder / "pyscf_input.py").read_text().replace("out.log", str(folder / "out.log"))
    exec(compile(program, "pyscf_input.py", "exec"), {})
    made = run(template, structures, variables={"out": "out.log"})
    assert made.waiting == ("NH3",)
    (frame,) = read_structures(made.file)
    labels = frame.labelled("cc")
    assert labels.energy == pytest.approx(-74.96 * HARTREE, abs=0.2)
    assert labels.has_forces
    assert frame.info["cc_program"] == "PySCF"


def test_series_of_monte_carlo_come_with_their_errors(template: Path) -> None:
    diamond = replace(molecules("H2O")[0], structure_id="odd name/1")
    options = {"outputs": {"series": [2], "equilibration": 10}}
    made = run(template, [diamond], **options)
    (folder,) = (made.folder / "structures").iterdir()
    shutil.copy(DIAMOND / "dmc.s002.scalar.dat", folder)
    made = run(template, [diamond], **options)
    record = made.records["odd name/1"]
    assert record.energy == pytest.approx(-10.530522 * HARTREE, abs=2e-5)
    assert record.energy_stderr > 0
    assert record.independent > 5
    assert record.program == "QMCPACK"


def test_a_bad_output_is_said_and_looked_at_again(template: Path) -> None:
    made = run(template)
    output = made.folder / "structures" / "H2O" / "dmc.s000.scalar.dat"
    output.touch()
    made = run(template)
    assert "empty" in made.failed["H2O"]
    assert made.waiting == ("CH3",)
    shutil.copy(DIAMOND / "dmc.s002.scalar.dat", output)
    assert list(run(template).records) == ["H2O"]


def test_what_a_user_changed_is_kept(template: Path) -> None:
    made = run(template)
    changed = made.folder / "structures" / "H2O" / "job.inp"
    changed.write_text("more memory")
    made = run(template)
    assert changed.read_text() == "more memory"
    (entry,) = [entry for entry in made.labelled.entries if entry.structure_id == "H2O"]
    assert "job.inp differs from what the template gives and is kept" in entry.sentence


def test_inputs_of_a_mended_template_are_written_anew(template: Path) -> None:
    """They are rung's own: an old one would have run, and its output become the label of the new one."""
    folder = run(template).folder / "structures"
    (folder / "CH3" / "job.inp").write_text("mine")
    template.write_text("tight " + template.read_text())
    made = run(template)
    assert (folder / "H2O" / "job.inp").read_text() == "tight cc 0 1\nO\nH\nH\n"
    assert (folder / "CH3" / "job.inp").read_text() == "mine"
    told = {entry.structure_id: entry.sentence for entry in made.labelled.entries}
    assert "is kept" in told["CH3"] and "is kept" not in told["H2O"]


def test_another_geometry_of_a_name_that_waits_is_refused(template: Path) -> None:
    """Its input would stay, and an output that holds no geometry become the label of the other one."""
    folder = run(template).folder
    with pytest.raises(DataError, match="holds inputs of another geometry called H2O; give this one another"):
        run(template, [rattled(molecules("H2O")[0], "H2O")])
    assert (folder / "structures" / "H2O" / "job.inp").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{% for a in atoms %}", "line 1"),
        ("{{ atoms.__class__.__mro__ }}", "unsafe"),
        ("{{ stderr }}", "'stderr' is undefined"),
        ("{{ method + 1 }}", "concatenate|unsupported"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_one_sentence(text: str, sentence: str, template: Path) -> None:
    template.write_text(text)
    made = run(template)
    assert set(made.failed) == {"H2O", "CH3"}
    with pytest.raises(ConfigError, match=sentence):
        rendered(template, values_of(Subject("x", molecule("H2O"), "cc"), {"method": "cc"}))


def test_names_that_clash_are_refused(template: Path) -> None:
    with pytest.raises(ConfigError, match=r"two files would be called job\.inp"):
        FilesEngine.read({"templates": ["a/job.inp.j2", "b/job.inp"]})
    with pytest.raises(ConfigError, match=r"structure\.extxyz"):
        FilesEngine.read({"templates": ["structure.extxyz.j2"]})
    with pytest.raises(ConfigError, match="called 'charge'"):
        values_of(Subject("x", molecule("H2O"), "cc"), {"charge": 1})
    with pytest.raises(DataError, match="There is no"):
        run(template.with_name("absent.j2"))


def test_what_a_template_sees_is_in_stated_units() -> None:
    values = values_of(Subject("x", molecule("H2O"), "cc", stderr=0.0272113860217, seed=3), {})
    assert values["stderr_hartree"] == pytest.approx(0.001)
    atom = values["atoms"][1]
    np.testing.assert_allclose(np.array(atom["bohr"]) * BOHR, atom["position"], atol=1e-12)
    assert values["n_electrons"] == 10


VARIABLES = {"basis": "cc-pVTZ", "cores": 8, "walkers": 1000, "blocks": 400, "time_step": 0.01, "core_electrons": 2}


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.j2")), ids=lambda path: path.name)
def test_the_examples_hold_the_structure(example: Path) -> None:
    text = rendered(example, values_of(Subject("water", molecule("H2O"), "dmc", stderr=0.02, seed=5), VARIABLES))
    known = {
        "orca.inp.j2": "* xyz 0 1\nO 0.0000000000 0.0000000000 0.1192620000\n",
        "qmcpack-orbitals.py.j2": "spin=0,\n)\nfield = dft.RKS(molecule)",
        "qmcpack.in.xml.j2": '<pseudo elementType="O" href="O.ccECP.xml"/>\n      <pseudo elementType="H"',
        "casino.input.j2": "neu               : 4\nned               : 4\n",
    }
    assert known[example.name] in text
    if example.suffixes[-2] == ".py":
        compile(text, example.name, "exec")


def test_frames_with_a_periodic_cell_are_written_too(template: Path) -> None:
    template.write_text("{{ cell[2][2] }} {{ pbc[0] }} {{ '%.6f' | format(cell_bohr[2][2]) }}")
    atoms = molecule("H2O", vacuum=2.0)
    atoms.pbc = True
    made = run(template, [structure_from(atoms, "box")])
    height = atoms.cell[2, 2]
    assert (made.folder / "structures" / "box" / "job.inp").read_text() == f"{height} True {height / BOHR:.6f}"


def test_a_project_that_was_moved_goes_on_and_another_template_does_not(tmp_path: Path) -> None:
    """Inputs are written at home and run on a cluster: there the template has another path."""
    options = {"outputs": {"series": [2], "equilibration": 10}}
    (tmp_path / "home").mkdir()
    template = tmp_path / "home" / "job.inp.j2"
    template.write_text("{{ charge }}")
    made = run(template, molecules("H2O"), **options)
    shutil.copy(DIAMOND / "dmc.s002.scalar.dat", made.folder / "structures" / "H2O")
    first = run(template, molecules("H2O"), **options).records
    assert list(first) == ["H2O"]
    (tmp_path / "home").rename(tmp_path / "cluster")
    moved = tmp_path / "cluster" / "job.inp.j2"
    made = run(moved, **options)
    assert made.n_new == 0 and made.waiting == ("CH3",)
    assert made.records == first
    moved.write_text("tight")
    with pytest.raises(DataError, match=r"with other content of .*cluster/job\.inp\.j2"):
        run(moved, **options)
