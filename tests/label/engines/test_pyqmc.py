"""PyQMC: energies within their errors of exact ones, lengths fixed by a pilot, and every way to diverge refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from pyscf import gto

from rung.collect.statistics import FEW_INDEPENDENT, Estimate
from rung.data.readers.structures import read_structures, structure_from
from rung.errors import ConfigError, DataError, UnconvergedError
from rung.label.electrons import Electrons
from rung.label.engine import Made, Subject
from rung.label.engines.pyqmc import PILOT, PyqmcEngine, _key, _length, _require_below, label
from rung.label.labelling import Labelling, label_structures
from rung.label.trial import Trial, Variational, _is_better, is_non_local
from rung.label.walkers import Walkers
from rung.units import HARTREE

H2 = Atoms("H2", [[0, 0, 0], [0, 0, 0.7414]])
EXACT = -1.174475714
"""Of H2 at its equilibrium, Hartree (Kolos and Wolniewicz, J. Chem. Phys. 49, 404 (1968))."""

QUICK: dict[str, Any] = {
    "walkers": 50,
    "time_step": 0.1,
    "grid_level": 0,
    "basis": "sto-3g",
    "ecp": None,
    "optimisation_steps": 1,
}


def made_in(folder: Path, stderr: float, **settings: Any) -> Labelling:
    engine = PyqmcEngine.read({**QUICK, **settings})
    return label_structures([structure_from(H2, "H2")], "dmc", engine, folder, stderr=stderr)


def state_in(folder: Path) -> Walkers:
    (file,) = (folder / "structures" / "H2").glob("pyqmc-*/dmc.npz")
    walkers = Walkers.read(file)
    assert walkers is not None
    return walkers


@pytest.fixture(scope="module")
def hydrogen(tmp_path_factory: pytest.TempPathFactory) -> Labelling:
    """A label of H2 in seconds: few walkers, a long time step."""
    return made_in(tmp_path_factory.mktemp("hydrogen") / "labels", 0.3)


def test_diffusion_monte_carlo_finds_the_exact_energy_within_its_error(hydrogen: Labelling) -> None:
    assert hydrogen.failed == {}
    record = hydrogen.records["H2"]
    assert record.energy_stderr < 0.4
    assert abs(record.energy - EXACT * HARTREE) < 4.0 * record.energy_stderr
    assert record.independent >= FEW_INDEPENDENT
    assert record.details["blocks"] >= PILOT
    assert record.details["equilibration_blocks"] >= 20
    assert record.details["determinants_spread"] > record.details["vmc_spread"]
    assert record.method == "FN-DMC, time step 0.1, Slater(R-PBE/sto-3g)-Jastrow"
    assert record.versions.keys() >= {"pyqmc", "pyscf", "pymbar"}
    (frame,) = read_structures(hydrogen.file)
    assert frame.labelled("dmc").energy_stderr == record.energy_stderr
    assert frame.info["dmc_n_independent"] == round(record.independent, 1)


@pytest.mark.slow
def test_a_finer_label_goes_on_with_the_walkers_of_the_coarser(hydrogen: Labelling, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "labels"
    shutil.copytree(hydrogen.folder, folder)
    before = state_in(folder)
    made = made_in(folder, 0.15)
    after = state_in(folder)
    assert made.n_new == 1
    assert after.blocks > before.blocks
    np.testing.assert_array_equal(after.energies[: before.blocks], before.energies)
    assert after.cpu_seconds > before.cpu_seconds
    assert made.records["H2"].energy_stderr < hydrogen.records["H2"].energy_stderr


def test_runs_of_other_settings_lie_elsewhere(hydrogen: Labelling) -> None:
    with pytest.raises(DataError, match="another value of the engine's 'time_step'"):
        made_in(hydrogen.folder, 0.3, time_step=0.05)
    subject, usual = Subject("H2", H2, "dmc", 0.3, 1), PyqmcEngine.read(QUICK)
    electrons = Electrons(0, 1)
    keys = {
        _key(subject, usual, electrons),
        _key(replace(subject, stderr=0.1), usual, electrons),  # the same walk, longer
        _key(subject, PyqmcEngine.read({**QUICK, "time_step": 0.05}), electrons),
        _key(subject, PyqmcEngine.read({**QUICK, "walkers": 60}), electrons),
        _key(subject, usual, Electrons(0, 3)),
        _key(replace(subject, seed=2), usual, electrons),
    }
    assert len(keys) == 5


def walkers_of(energies: np.ndarray, first: int = 4) -> Walkers:
    start = Walkers.start(np.zeros((50, 2, 3)), -1.0, 0.5)
    energies = np.concatenate([np.full(first, -5.0), energies])
    ones = np.ones(len(energies))
    return replace(start, energies=energies, block_weights=ones, acceptance=ones, cpu_seconds=100.0)


def test_a_pilot_fixes_the_length_whatever_comes_after() -> None:
    noise = np.random.default_rng(3).normal(scale=0.01, size=400)
    subject = Subject("x", H2, "dmc", stderr=0.01)
    length = _length(walkers_of(noise[:PILOT]), 4, subject)
    expected = 1.2 * (0.01 * HARTREE / 0.01) ** 2
    assert 0.6 * expected < length < 1.6 * expected
    assert _length(walkers_of(noise), 4, subject) == length
    assert _length(walkers_of(noise[:PILOT]), 4, replace(subject, stderr=10.0)) == PILOT


def test_correlated_blocks_make_a_run_longer() -> None:
    rng = np.random.default_rng(4)
    series = np.zeros(PILOT)
    for step in range(1, PILOT):
        series[step] = 0.9 * series[step - 1] + rng.normal()
    assert _length(walkers_of(1e-6 * series), 4, Subject("x", H2, "dmc", stderr=10.0)) > 2 * PILOT


def test_an_error_out_of_reach_is_refused_with_its_price() -> None:
    noise = np.random.default_rng(3).normal(scale=0.01, size=PILOT)
    with pytest.raises(ConfigError, match=r"about \d+ h of processor time"):
        _length(walkers_of(noise), 4, Subject("x", H2, "dmc", stderr=1e-4))


PLAIN = Variational(-1.10, 0.01, 0.4)


@pytest.mark.parametrize(
    ("full", "better"),
    [
        (Variational(-1.15, 0.01, 0.2), True),
        (Variational(-1.10, 0.01, 0.2), True),
        (Variational(-0.90, 0.01, 0.2), False),
        (Variational(-1.15, 0.01, 0.5), False),
        (Variational(float("nan"), 0.01, 0.2), False),
        (Variational(-9.00, float("inf"), 0.2), False),
    ],
)
def test_a_jastrow_factor_has_to_be_better_than_none(full: Variational, better: bool) -> None:
    assert _is_better(full, PLAIN) is better


@pytest.mark.parametrize(("energy", "fine"), [(-1.17, True), (-1.02, False), (-3.0, False)])
def test_a_walk_that_leaves_its_trial_wave_function_is_refused(energy: float, fine: bool) -> None:
    trial = Trial(None, None, None, PLAIN, Variational(-1.16, 0.002, 0.2), np.zeros((1, 1, 3)))  # type: ignore[arg-type]
    found = Estimate(energy * HARTREE, 0.05, 60, 0, 0, 1.0, 60.0)
    if fine:
        _require_below(found, trial, PyqmcEngine())
    else:
        with pytest.raises(UnconvergedError, match="the walk diverged"):
            _require_below(found, trial, PyqmcEngine())


def run(atoms: Atoms, folder: Path, stderr: float = 0.3, **settings: Any) -> Made:
    return label(Subject("x", atoms, "dmc", stderr, 7), PyqmcEngine.read({**QUICK, **settings}), folder)


def test_a_jastrow_factor_that_diverged_gives_no_label(tmp_path: Path) -> None:
    file = tmp_path / "bad.npz"
    np.savez(file, wf2acoeff=np.full((2, 5, 2), 40.0))
    with pytest.raises(UnconvergedError, match="no better than none"):
        run(H2, tmp_path, jastrow=str(file))


def test_a_jastrow_factor_of_another_molecule_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.npz"
    np.savez(file, wf2acoeff=np.zeros((3, 5, 2)))
    with pytest.raises(ConfigError, match="of another molecule"):
        run(H2, tmp_path, jastrow=str(file))
    file.write_text("no such thing")
    with pytest.raises(DataError, match="holds no Jastrow factor"):
        run(H2, tmp_path, jastrow=str(file))
    with pytest.raises(DataError, match="There is no file"):
        made_in(tmp_path / "labels", 0.3, jastrow=str(tmp_path / "absent.npz"))


def test_only_a_non_local_core_potential_needs_t_moves() -> None:
    def mole(symbol: str, ecp: str) -> Any:
        return gto.M(atom=f"{symbol} 0 0 0", basis="sto-3g", ecp=ecp, spin=None, verbose=0)

    assert not is_non_local(mole("H", "ccecp"))
    assert is_non_local(mole("O", "ccecp"))
    assert not is_non_local(mole("O", ""))


@pytest.mark.parametrize("settings", [{"equilibration": 2.0}, {"walkers": 10}, {"time_step": 0.0}])
def test_what_is_known_to_fail_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        PyqmcEngine.read(settings)


@pytest.mark.slow
def test_a_long_run_is_exact_to_a_hundredth_of_an_electronvolt(tmp_path: Path) -> None:
    made = run(H2, tmp_path, 0.03, walkers=500, time_step=0.02, grid_level=2, basis="cc-pvtz", optimisation_steps=8)
    assert made.energy_stderr < 0.045
    assert abs(made.energy - EXACT * HARTREE) < 3.0 * made.energy_stderr


@pytest.mark.slow
def test_water_has_t_moves_and_lies_near_coupled_cluster(tmp_path: Path) -> None:
    from rung.label.engines.pyscf import PyscfEngine
    from rung.label.engines.pyscf import label as coupled_cluster

    water, core = molecule("H2O"), {"ecp": "ccecp", "basis": "ccecp-ccpvtz"}
    made = run(water, tmp_path, 0.15, walkers=200, time_step=0.03, grid_level=1, optimisation_steps=8, **core)
    assert made.method.endswith("T-moves")
    assert made.energy < made.details["vmc_energy"] < made.details["determinants_energy"]
    engine = PyscfEngine(method="ccsd(t)", forces=False, **core)
    reference = coupled_cluster(Subject("x", water, "cc"), engine, tmp_path).energy
    assert abs(made.energy - reference) < 1.0  # TZ is 0.7 eV above the limit, and fixed nodes 0.4 eV above the truth


@pytest.mark.slow
def test_variational_monte_carlo_lies_above(tmp_path: Path) -> None:
    made = run(H2, tmp_path, 0.1, method="vmc", walkers=200, basis="cc-pvdz", optimisation_steps=5)
    assert made.energy + 3.0 * made.energy_stderr > EXACT * HARTREE
    assert made.energy < made.details["determinants_energy"] + 0.3
