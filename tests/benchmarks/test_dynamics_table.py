"""Runs of several machines in one table: the longer one counts, and a run keeps all of its numbers."""

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "sevennet_bases" / "dynamics_table.py"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("dynamics_table", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dynamics_table"] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["dynamics_table"]


def made(script: ModuleType, name: str, picoseconds: float, temperature: float = 800.0) -> object:
    radial = {pair: np.full(4, picoseconds) for pair in script.PAIRS}
    return script.Made(name, temperature, picoseconds, False, temperature, 1.0, radial, None)


def test_a_longer_run_of_another_machine_stays(script: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    first = script.kept_runs([made(script, "truth", 50.0), made(script, "lifted", 20.0)], file)
    assert first[800.0, "lifted"]["g(r) Li-S"] == 30.0  # 20 and 50 everywhere
    later = script.kept_runs([made(script, "truth", 10.0), made(script, "lifted", 40.0)], file)
    assert later[800.0, "truth"]["ps"] == 50.0
    assert later[800.0, "lifted"]["ps"] == 40.0
    assert script.kept_runs([], file).keys() == later.keys()


def test_a_run_that_replaces_another_keeps_none_of_its_numbers(script: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    script.kept_runs([made(script, "truth", 10.0), made(script, "lifted", 10.0)], file)
    later = script.kept_runs([made(script, "lifted", 20.0)], file)  # without the truth there is nothing to compare
    assert math.isnan(later[800.0, "lifted"]["g(r) Li-S"])


def test_an_activation_energy_is_that_of_the_rates(script: ModuleType, tmp_path: Path) -> None:
    runs = script.kept_runs([made(script, "base", 50.0, kelvin) for kelvin in (600.0, 800.0, 1000.0)], None)
    for (kelvin, _), said in runs.items():
        rate = math.exp(-0.3 / (8.617333e-5 * kelvin))
        said.update({"diffusive": 1.0, "slope": 1.0, "slope stderr": 0.01, "D": rate, "D stderr": 0.01 * rate,
                     "sigma": 1.0, "sigma stderr": 0.1})  # fmt: skip
    lines = list(script.table(runs))
    assert lines[-1].startswith("- base: activation energy of the diffusivity 0.300 ± 0.00")
    del runs[600.0, "base"]
    assert list(script.table(runs))[-1].startswith("- base: 2 of the three temperatures")
