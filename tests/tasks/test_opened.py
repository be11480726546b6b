"""What a task may evaluate: opened from files and functions, told apart by a fingerprint, and imported late."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import write

from rung.calculator import RungCalculator
from rung.data.readers.structures import read_structures
from rung.errors import ConfigError, DataError, ModelError, UntrustedError
from rung.evaluate.free_energy import collective
from rung.model.potential import ReadoutPotential
from rung.model.reference import ReferenceEnergies
from rung.tasks import fixed_paths
from rung.tasks.opened import Opened, Source, open_calculator, open_fidelities, read_start
from rung.tasks.prediction import PredictionTask, predict_file
from tests.pair_hop import lifted
from tests.run.small_world import SmallWorld

WELL = "tests.evaluate.paths.wells:tilted"


def test_a_model_of_rung_brings_what_rung_knows_of_it(finished: SmallWorld) -> None:
    model = finished.folder / "run" / "model.rung"
    potentials = open_fidelities(Source(model=model), ["high", "low", "high"])
    assert list(potentials) == ["high", "low"]
    high, low = potentials.values()
    assert high.error_bars is not None
    assert low.error_bars is None  # the posterior is of the target
    assert high.metadata["target"] == "high"
    assert (high.source, high.fidelity, set(high.offered)) == (str(model), "high", {"high", "low"})
    known = RungCalculator(model, fidelity="high").potential.surface("high").reference.energies
    assert high.reference == {"H": known[1], "C": known[6], "O": known[8]}


def test_a_fingerprint_tells_potentials_apart() -> None:
    def fingerprint(potential: ReadoutPotential) -> str:
        return Opened.of(RungCalculator(potential, fidelity="high"), fidelity="high").fingerprint

    potential = lifted().potential
    surface = potential.surface("high")
    here = fingerprint(potential)
    assert here == fingerprint(lifted().potential)
    assert here == fingerprint(potential.with_surface("low", surface)), "another fidelity of the file changes nothing"
    moved = replace(surface, reference=ReferenceEnergies({6: -1.0, 8: -2.5}))
    assert here != fingerprint(potential.with_surface("high", moved))
    step = np.zeros(len(surface.readout.weights))
    step[0] = 1e-9
    assert here != fingerprint(potential.with_surface("high", replace(surface, readout=surface.readout.moved(step))))


def test_any_calculator_is_known_by_where_it_comes_from() -> None:
    source = Source(model=WELL, trusted=True)
    well = open_calculator(source, "high")
    assert well.fingerprint == open_calculator(source, "high").fingerprint
    assert (
        well.fingerprint != open_calculator(Source(model="ase.calculators.emt:EMT", trusted=True), "high").fingerprint
    )
    assert (well.error_bars, well.reference, well.metadata, well.offered) == (None, None, {}, ("high",))
    assert Opened.of(EMT(), fidelity="emt").source == "ase.calculators.emt:EMT"
    with pytest.raises(UntrustedError, match="--trusted"):
        open_calculator(Source(model=WELL), "high")
    with pytest.raises(ConfigError, match="holds one fidelity and was asked for high, low"):
        open_fidelities(source, ["high", "low"])
    with pytest.raises(ConfigError, match="Name a fidelity"):
        open_fidelities(source, [])


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Source(model="one.two:three").imported
    Path("one.two:three").touch()
    assert not Source(model="one.two:three").imported


def test_what_a_calculator_of_a_user_raises_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback of code that is not rung's says nothing to most people; it is kept for those who wrote it."""
    (tmp_path / "mine_that_fails.py").write_text(
        "from ase.calculators.emt import EMT\n\n\ndef unready():\n    raise OSError('no\\nlicence')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"mine_that_fails:unready failed \(OSError: no licence\); RUNG_DEBUG=1"):
        open_calculator(Source(model="mine_that_fails:unready", trusted=True), "high")
    emt = open_calculator(Source(model="mine_that_fails:EMT", trusted=True), "high").calculator
    atoms = Atoms("CuSi", positions=[[0, 0, 0], [0, 0, 2.2]], calculator=emt)
    with pytest.raises(
        ModelError, match=r"EMT on CuSi failed \(NotImplementedError: No EMT-potential for Si\)"
    ) as told:
        atoms.get_forces()
    assert isinstance(told.value.__cause__, NotImplementedError)
    copper = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2]])
    plain = Atoms("Cu2", positions=copper.positions, calculator=EMT())
    copper.calc = emt  # after an error it goes on
    np.testing.assert_array_equal(copper.get_forces(), plain.get_forces())


def test_tasks_are_imported_without_torch() -> None:
    """``rung barrier --help`` reads the settings of a task, and torch takes seconds."""
    names = ["barrier", "vacancies", "free_energy", "md", "relaxation", "transport", "transport_runs"]
    script = f"import sys, importlib\nfor name in {names}: importlib.import_module(f'rung.tasks.{{name}}')\n"
    script += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize(
    ("positions", "cell", "sentence"),
    [
        ([[0, 0, 0], [0, 0, 0.7], [0, 0, 0.7]], None, "atoms 1 .* and 2 .* at one place"),
        ([[0, 0, 0], [0, 0, 2], [0, 2, 0]], [0.02, 9, 9], "repeats within 0.02 Å"),
        ([[0, 0, 0], [0, 0, 0.4], [0, 0.4, 0]], [1, 1, 1], "0.33 Å³ an atom"),
    ],
)
def test_a_start_or_band_that_no_matter_has_is_refused_with_its_file(
    tmp_path: Path, positions: list[list[float]], cell: list[float] | None, sentence: str
) -> None:
    """Every task begins with one of these readers."""
    atoms = Atoms("H3", positions, cell=cell, pbc=cell is not None)
    atoms.info |= {"dmc_energy": -1.0, "dmc_energy_stderr": 0.1}
    path = tmp_path / "start.xyz"
    write(path, atoms, format="extxyz")
    readers = (
        read_start,
        fixed_paths.read_band,
        partial(fixed_paths.read_labelled_band, target="dmc"),
        partial(collective.read_band, start=atoms),
    )
    for reader in readers:
        with pytest.raises(DataError, match=rf"start.xyz, frame 0: the structure H3 has .*{sentence}"):
            reader(path)


def test_a_calculator_of_a_user_may_lack_forces_and_have_an_array_for_an_energy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wrap coupled cluster have no forces, and those that wrap torch often give an array of one."""
    (tmp_path / "mine_of_arrays.py").write_text(
        "import numpy as np\nfrom ase.calculators.emt import EMT\n\n\n"
        "class Wrapped(EMT):\n    size = 1\n\n    def calculate(self, *arguments, **named):\n"
        "        super().calculate(*arguments, **named)\n"
        "        self.results['energy'] = np.full(self.size, self.results['energy'])\n\n\n"
        "class Several(Wrapped):\n    size = 2\n\n\n"
        "class Bare(EMT):\n    implemented_properties = ['energy']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    copper = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2]])
    plain = Atoms("Cu2", positions=copper.positions, calculator=EMT()).get_potential_energy()
    found = {}
    for name in ("Wrapped", "Several", "Bare"):
        potential = open_calculator(Source(model=f"mine_of_arrays:{name}", trusted=True), "high")
        found[name] = potential.calculator
    assert found["Wrapped"].get_potential_energy(copper) == pytest.approx(plain)
    assert isinstance(found["Wrapped"].get_potential_energy(copper), float)
    with pytest.raises(ModelError, match=r"gives an energy of the shape \(2,\), and it should be one number"):
        found["Several"].get_potential_energy(copper)
    with pytest.raises(ModelError, match="mine_of_arrays:Bare gives no forces, which this asks for"):
        found["Bare"].get_forces(copper)
    write(tmp_path / "cu.extxyz", copper)
    task = PredictionTask(structures=(tmp_path / "cu.extxyz",), out=tmp_path / "out.extxyz")
    predict_file(Opened.of(found["Bare"], fidelity="high"), task)
    labels = read_structures(tmp_path / "out.extxyz")[0].labels["high"]
    assert labels.energy == pytest.approx(plain) and not labels.has_forces
