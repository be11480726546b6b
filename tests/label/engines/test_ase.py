"""Any calculator of ASE: GFN2-xTB for real, and what calculators do when they fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from rung.errors import ConfigError, DataError, LabelError, UnconvergedError, UntrustedError
from rung.label.engine import Made, Subject
from rung.label.engines.ase import ENGINE, AseEngine, label


def run(atoms: Atoms, folder: Path, calculator: str, **settings: Any) -> Made:
    engine = AseEngine.read({"calculator": calculator, "trusted": True, **settings})
    ENGINE.check(engine)
    return label(Subject("x", atoms, "low"), engine, folder)


class Broken(Calculator):
    """Gives what it is told."""

    implemented_properties = ["energy"]  # noqa: RUF012 - as ASE has it

    def __init__(self, energy: float = 0.0, converged: bool = True, folder: str = "") -> None:
        super().__init__()
        self.energy, self.converged, self.folder = energy, converged, folder

    def calculate(self, *_: Any, **__: Any) -> None:
        self.results = {"energy": self.energy}


def scaled(**arguments: Any) -> Any:
    return object()


HERE = "tests.label.engines.test_ase"


def test_xtb_gives_its_own_energy_and_the_derivative_of_it(tmp_path: Path) -> None:
    water = molecule("H2O")
    water.rattle(0.05, seed=2)
    options = {"method": "GFN2-xTB", "verbosity": 0, "accuracy": 0.01}
    made = run(water, tmp_path, "tblite.ase:TBLite", arguments=options, energy_stderr=0.01)
    assert made.energy_stderr == 0.01
    assert made.method == "GFN2-xTB"
    ends = []
    for sign in (1, -1):
        moved = water.copy()
        moved.positions[1, 1] += sign * 1e-3
        ends.append(run(moved, tmp_path, "tblite.ase:TBLite", arguments=options).energy)
    assert made.forces is not None
    assert made.forces[1, 1] == pytest.approx(-(ends[0] - ends[1]) / 2e-3, abs=2e-3)


def test_a_crystal_has_a_stress_where_it_is_asked_for(tmp_path: Path) -> None:
    copper = bulk("Cu", a=3.7)
    made = run(copper, tmp_path, "ase.calculators.emt:EMT", stress=True)
    copper.calc = EMT()
    np.testing.assert_allclose(made.stress, copper.get_stress())
    assert run(copper, tmp_path, "ase.calculators.emt:EMT").stress is None


def test_a_calculator_without_forces_gives_energies(tmp_path: Path) -> None:
    made = run(molecule("H2O"), tmp_path, f"{HERE}:Broken", arguments={"energy": -3.0})
    assert (made.energy, made.forces) == (-3.0, None)


def test_the_folder_of_a_structure_can_be_an_argument(tmp_path: Path) -> None:
    made = run(molecule("H2O"), tmp_path, f"{HERE}:Broken", arguments={"folder": "{folder}/out.txt"})
    assert made.method == "unknown"


@pytest.mark.parametrize(
    ("calculator", "arguments", "kind", "sentence"),
    [
        ("Broken", {"energy": float("inf")}, ConfigError, "finite"),
        ("Broken", {"converged": False}, UnconvergedError, "did not converge"),
        ("Broken", {"enrgy": 1.0}, ConfigError, "does not take these arguments"),
        ("scaled", {}, LabelError, "no calculator of ASE"),
        ("Brken", {}, ConfigError, "cannot be imported"),
    ],
)
def test_what_is_no_label_is_one_sentence(
    calculator: str, arguments: dict[str, Any], kind: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=sentence):
        run(molecule("H2O"), tmp_path, f"{HERE}:{calculator}", arguments=arguments)


def test_a_module_that_python_does_not_find_is_answered_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"PYTHONPATH=\. rung"):
        run(molecule("H2O"), tmp_path, "not_to_be_found.at_all:Calculator")


def test_numbers_that_are_not_finite_are_no_label(tmp_path: Path) -> None:
    engine = AseEngine(calculator=f"{HERE}:Broken", arguments={"energy": "nan"}, trusted=True)
    with pytest.raises(UnconvergedError, match="not finite"):
        label(Subject("x", molecule("H2O"), "low"), engine, tmp_path)


def test_a_charge_that_a_calculator_may_not_read_is_refused(tmp_path: Path) -> None:
    ion = molecule("H2O")
    ion.info["charge"] = -1
    with pytest.raises(DataError, match="reads_state"):
        run(ion, tmp_path, f"{HERE}:Broken")
    assert run(ion, tmp_path, f"{HERE}:Broken", reads_state=True).energy == 0.0
    ion.info["charge"] = 0
    assert run(ion, tmp_path, f"{HERE}:Broken").energy == 0.0


def test_code_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(UntrustedError, match="trusted: true"):
        ENGINE.check(AseEngine(calculator=f"{HERE}:Broken"))
    with pytest.raises(ConfigError, match="calculator"):
        AseEngine.read({"calculator": "os.system"})
