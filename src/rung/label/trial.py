"""The trial wave function: determinants of a mean field times a Jastrow factor, which is checked once it is optimised.

Optimisers of Monte Carlo diverge without an exception. A Jastrow factor is therefore taken only where variational Monte
Carlo finds a lower energy and a smaller spread of local energies with it than with the determinants alone.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from rung.collect.hdf5 import SIGNATURE, opened
from rung.data.labels import Array
from rung.errors import ConfigError, DataError, UnconvergedError, counted
from rung.label.packages import package
from rung.label.walkers import seeded
from rung.storage import atomic_path

STEP = 0.3
"""Time step of variational Monte Carlo, a.u., which decides its efficiency alone."""

WARM_BLOCKS, LOOKS, STEPS_BETWEEN = 5, 20, 5
"""Blocks before anything counts, and how often local energies are looked at, with so many steps between."""

RANGES = (0.3, 0.1)
"""How far each line search goes: a second, shorter one where the first diverged."""

FARTHEST = 3.0
"""Standard errors by which the energy with a Jastrow factor may lie above that without."""


@dataclass(frozen=True)
class Variational:
    """What variational Monte Carlo says of a wave function, Hartree.

    Parameters
    ----------
    energy, stderr
        Its energy, and a rough error of it.
    spread
        Standard deviation of local energies.
    """

    energy: float
    stderr: float
    spread: float


@dataclass(frozen=True)
class Trial:
    """A trial wave function.

    Parameters
    ----------
    mole
        The molecule of PySCF.
    wave
        The wave function of PyQMC.
    energies
        Gives local energies; knows whether the core potential is non-local.
    plain, full
        Of the determinants alone, and with the Jastrow factor.
    positions
        Electrons that sample it, shape ``(walkers, electrons, 3)``, Bohr.
    """

    mole: Any
    wave: Any
    energies: "LocalEnergies"
    plain: Variational
    full: Variational
    positions: Array


@dataclass(frozen=True)
class Optimisation:
    """How a Jastrow factor is found.

    Parameters
    ----------
    walkers
        How many sample it.
    steps
        Steps of stochastic reconfiguration.
    seed
        Of random numbers.
    file
        Where it is kept.
    given
        A file that holds it, where it is not optimised.
    """

    walkers: int
    steps: int
    seed: int
    file: Path
    given: Path | None = None


def trial_of(mole: Any, field: Any, how: Optimisation) -> Trial:
    """Return the trial wave function of a converged field.

    Raises
    ------
    UnconvergedError
        When no optimisation gives a Jastrow factor that is better than none.
    ConfigError
        When the file of one does not fit the molecule.
    """
    tools, mc = package("pyqmc.wftools", "pyqmc"), package("pyqmc.method.mc", "pyqmc")
    energies = local_energies(mole)
    plain, _ = tools.generate_slater(mole, field)
    with seeded(how.seed, "plain"):
        without, walkers = _look(plain, mc.initial_guess(mole, how.walkers), energies)
    file = how.given or (how.file if how.file.exists() else None)
    ranges = RANGES if file is None else (0.0,)
    full = without
    for attempt, step_range in enumerate(ranges):
        wave, to_opt = tools.generate_wf(mole, field)
        if file is not None:
            _read(file, wave)
        else:
            with seeded(how.seed, "jastrow", attempt):
                _optimise(mole, wave, to_opt, how, step_range)
        with seeded(how.seed, "full"):
            full, walkers = _look(wave, mc.initial_guess(mole, how.walkers), energies)
        if _is_better(full, without):
            if how.given is None:
                _write(how.file, wave.parameters)
            return Trial(mole, wave, energies, without, full, np.asarray(walkers.configs))
    what = "that the file holds" if file is not None else f"after {counted(how.steps, 'step')}"
    raise UnconvergedError(
        f"The Jastrow factor {what} is no better than none: energy {full.energy:.4f} ± {full.stderr:.4f} Hartree with "
        f"a spread of {full.spread:.3f}, against {without.energy:.4f} ± {without.stderr:.4f} with {without.spread:.3f}."
    )


def _is_better(full: Variational, plain: Variational) -> bool:
    """Return whether a Jastrow factor is worth having; of one electron alone it need not be."""
    error = float(np.hypot(full.stderr, plain.stderr))
    finite = np.isfinite([full.energy, full.stderr, full.spread]).all()
    return bool(finite and full.energy < plain.energy + FARTHEST * error and full.spread < plain.spread)


@dataclass(frozen=True)
class LocalEnergies:
    """What gives local energies of walkers; T-moves are made only where the core potential is non-local.

    Parameters
    ----------
    accumulator
        PyQMC's own, which makes T-moves wherever there is a core potential.
    non_local
        Whether they move anything.
    """

    accumulator: Any
    non_local: bool

    def __call__(self, configs: Any, wave: Any) -> Mapping[str, Array]:
        """Return local energies and their parts, Hartree, each of shape ``(walkers,)``."""
        found: Mapping[str, Array] = self.accumulator(configs, wave)
        return found

    def avg(self, configs: Any, wave: Any) -> Mapping[str, Any]:
        """Return their means over walkers."""
        return {name: np.mean(values, axis=0) for name, values in self(configs, wave).items()}

    def has_nonlocal_moves(self) -> bool:
        """Return whether T-moves are made."""
        return self.non_local

    def nonlocal_tmoves(self, configs: Any, wave: Any, electron: int, step: float) -> Any:
        """Return the T-moves of an electron."""
        return self.accumulator.nonlocal_tmoves(configs, wave, electron, step)


def local_energies(mole: Any) -> LocalEnergies:
    """Return what gives local energies of a molecule."""
    accumulators = package("pyqmc.observables.accumulators", "pyqmc")
    return LocalEnergies(accumulators.EnergyAccumulator(mole), is_non_local(mole))


def is_non_local(mole: Any) -> bool:
    """Return whether a core potential acts on some angular momenta and not on others: ccECP of H and He does not."""
    return any(
        abs(term[1]) > 0
        for _, channels in mole._ecp.values()
        for momentum, powers in channels
        if momentum >= 0
        for power in powers
        for term in power
    )


def _optimise(mole: Any, wave: Any, to_opt: Any, how: Optimisation, step_range: float) -> None:
    accumulators, linemin = (
        package("pyqmc.observables.accumulators", "pyqmc"),
        package("pyqmc.method.linemin", "pyqmc"),
    )
    configs = package("pyqmc.method.mc", "pyqmc").initial_guess(mole, how.walkers)
    try:
        linemin.line_minimization(
            wave,
            configs,
            accumulators.gradient_generator(mole, wave, to_opt),
            steprange=step_range,
            npts=10,
            max_iterations=how.steps,
            warmup_options={"nblocks": 1, "nsteps_per_block": 30, "tstep": STEP},
            vmcoptions={"nblocks": 4, "nsteps_per_block": 5, "tstep": STEP},
        )
    except (ValueError, np.linalg.LinAlgError):
        return  # NaN, or a singular matrix: what is left is looked at like any other, and found wanting


def _look(wave: Any, configs: Any, energies: Any) -> tuple[Variational, Any]:
    """Return what variational Monte Carlo says of a wave function, and walkers that sample it."""
    mc = package("pyqmc.method.mc", "pyqmc")
    _, configs = mc.vmc(wave, configs, tstep=STEP, nblocks=WARM_BLOCKS, nsteps_per_block=10)
    seen = []
    for _ in range(LOOKS):
        _, configs = mc.vmc(wave, configs, tstep=STEP, nblocks=1, nsteps_per_block=STEPS_BETWEEN)
        seen.append(np.real(energies(configs, wave)["total"]))
    local = np.array(seen)
    means = local.mean(axis=0)  # of each walker, for walkers are independent and looks are not
    return (
        Variational(float(local.mean()), float(means.std(ddof=1) / np.sqrt(len(means))), float(local.std())),
        configs,
    )


def _write(path: Path, parameters: Mapping[str, Any]) -> None:
    arrays: dict[str, Any] = {name: np.asarray(parameters[name]) for name in parameters if name.startswith("wf2")}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def _read(path: Path, wave: Any) -> None:
    """Put the Jastrow factor of a file into a wave function: of rung's own, or of an optimisation by PyQMC.

    Raises
    ------
    ConfigError
        When it is of another molecule.
    DataError
        When the file cannot be read.
    """
    if path.read_bytes()[: len(SIGNATURE)] == SIGNATURE:
        with opened(path) as file:
            arrays = {name: np.asarray(file["wf"][name]) for name in file["wf"] if name.startswith("wf2")}
    else:
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
            raise DataError(f"{path} holds no Jastrow factor ({error}).") from error
    if not arrays:
        raise DataError(f"{path} holds no Jastrow factor.")
    for name, values in arrays.items():
        if np.shape(wave.parameters[name]) != values.shape:
            raise ConfigError(
                f"{path} holds the Jastrow factor of another molecule ({name} has shape {values.shape}, and should "
                f"have {np.shape(wave.parameters[name])}); leave it out, and each structure gets its own."
            )
        wave.parameters[name] = values
