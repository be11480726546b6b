"""PyQMC: variational and fixed-node diffusion Monte Carlo of molecules, on determinants of a mean field by PySCF.

A pilot of 40 blocks fixes the length of a run before it goes on: a run that stopped because its error looked small
would stop where the error is underestimated. Runs of other settings lie in other folders, so none is gone on with by
mistake.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np
from pydantic import Field

from rung.collect.statistics import FEW_INDEPENDENT, Estimate, estimate, mean_and_error
from rung.errors import ConfigError, DataError, UnconvergedError
from rung.evaluate.free_energy.mbar import pymbar
from rung.label.accounting import cpu_seconds, versions
from rung.label.electrons import Electrons, electrons_of
from rung.label.engine import Engine, Made, Subject
from rung.label.mean_field import MeanField, converged_field, molecule, spin_warning
from rung.label.packages import package
from rung.label.trial import STEP, Optimisation, Trial, is_non_local, trial_of
from rung.label.walkers import Block, Sampler, Walkers
from rung.storage import content_hash, jsonable
from rung.units import HARTREE

PACKAGES = ("pyqmc", "pyscf")

PILOT = 40
"""Blocks after equilibration that fix the length of a run, and the fewest that a label stands on."""

MARGIN = 1.2
"""By how much a run is longer than its pilot asks for, whose error is itself uncertain."""

MOST_BLOCKS = 50_000
"""Blocks beyond which a run is refused: the error that is asked for is out of reach."""

BLOCK_TIME, BRANCH_TIME = 0.5, 0.1
"""Imaginary time of a block and between branchings, a.u."""

VMC_STEPS, VMC_EQUILIBRATION = 10, 4
"""Steps of a block, and blocks of equilibration, of variational Monte Carlo."""

BRANCH_CUT = 10.0
"""Spreads of the local energy at which it is cut off in weights, PyQMC's default."""

ABOVE, BELOW = 5.0, 2.0
"""Standard errors by which diffusion Monte Carlo may lie above variational, and spreads by which below."""

MISSED = 1.25
"""Times the error asked for above which a label says that it missed it."""


class PyqmcEngine(MeanField):
    """Make labels of molecules with PyQMC: Slater-Jastrow wave functions, variational or diffusion Monte Carlo."""

    name: Literal["pyqmc"] = "pyqmc"
    method: Literal["dmc", "vmc"] = "dmc"
    """Fixed-node diffusion Monte Carlo, with T-moves where the core potential is non-local, or variational."""
    xc: str | None = "pbe"
    """The density functional of the orbitals; null takes those of Hartree-Fock."""
    basis: str = "ccecp-ccpvtz"
    """The basis of the orbitals."""
    ecp: str | None = "ccecp"
    """The core potential; null keeps all electrons."""
    walkers: int = Field(default=1000, ge=50)
    """How many walkers there are."""
    time_step: float = Field(default=0.02, gt=0, le=0.25)
    """Of diffusion Monte Carlo, a.u.; its error is not extrapolated away, and all labels share most of it."""
    equilibration: float = Field(default=10.0, ge=8.0)
    """Imaginary time before anything counts, a.u.; 2 a.u. left H2 + H 0.25 eV too high."""
    optimisation_steps: int = Field(default=10, ge=1, le=200)
    """Steps in which the Jastrow factor of each structure is optimised."""
    jastrow: Path | None = None
    """A file with the Jastrow factor of all structures, which have the same atoms in one order; then none is optimised.
    jastrow.npz in the folder of a structure is one, and so is the HDF5 of an optimisation by PyQMC."""


def label(subject: Subject, settings: PyqmcEngine, folder: Path) -> Made:
    """Return the energy of a molecule with the error that was asked for.

    Raises
    ------
    UnconvergedError
        When the field does not converge, no Jastrow factor is better than none, the walk diverges, or its series tells
        no error.
    ConfigError
        When the error asked for is out of reach.
    """
    electrons = electrons_of(subject.structure_id, subject.atoms, settings.charge, settings.multiplicity)
    state = folder / f"pyqmc-{_key(subject, settings, electrons)[:12]}"
    state.mkdir(parents=True, exist_ok=True)
    with molecule(subject.atoms, electrons, settings, state, "pyqmc") as mole, _quiet(mole.stdout):
        field = converged_field(mole, settings, lambda one: _field(one, electrons, settings))
        warnings, details = spin_warning(field, electrons)
        how = Optimisation(
            settings.walkers, settings.optimisation_steps, subject.seed, state / "jastrow.npz", settings.jastrow
        )
        began = cpu_seconds()
        trial = trial_of(mole, field, how)
        walkers, first = _walk(trial, subject, settings, state, cpu_seconds() - began)
    found = _mean(state, walkers, first)
    _require_below(found, trial, settings)
    if found.stderr > MISSED * subject.stderr:
        warnings = (*warnings, f"its error is {found.stderr / subject.stderr:.2f} times the one asked for")
    return Made(
        found.mean,
        "PyQMC",
        _level(settings, electrons, is_non_local(mole)),
        found.stderr,
        independent=found.independent,
        warnings=(*warnings, *found.warnings),
        details=details | _details(walkers, first, found, trial, electrons),
    )


def _key(subject: Subject, settings: PyqmcEngine, electrons: Electrons) -> str:
    """Return a hash of what decides a walk; how precise it has to be does not."""
    atoms, installed = subject.atoms, versions(*PACKAGES)
    given = "" if settings.jastrow is None else content_hash(settings.jastrow.read_bytes())
    return content_hash(
        repr(sorted(jsonable(settings.model_dump(mode="json", exclude={"jastrow"})).items())),
        given,
        np.asarray(atoms.numbers, dtype=np.int64),
        np.asarray(atoms.positions, dtype=float) + 0.0,
        (electrons.charge, electrons.multiplicity, subject.seed),
        tuple(installed.get(name, "") for name in PACKAGES),
    )


def _field(mole: Any, electrons: Electrons, settings: PyqmcEngine) -> Any:
    unrestricted = settings.unrestricted(electrons)
    if settings.xc is None:
        scf = package("pyscf.scf", "pyqmc")
        return scf.UHF(mole) if unrestricted else scf.RHF(mole)
    dft = package("pyscf.dft", "pyqmc")
    field = dft.UKS(mole) if unrestricted else dft.RKS(mole)
    field.xc, field.grids.level = settings.xc, settings.grid_level
    return field


def _walk(trial: Trial, subject: Subject, settings: PyqmcEngine, state: Path, spent: float) -> tuple[Walkers, int]:
    """Return the walkers at the end, and their first block that counts."""
    diffusion = settings.method == "dmc"
    file = state / f"{settings.method}.npz"
    advance = _diffuse(trial, settings) if diffusion else _vary(trial)
    sampler = Sampler(advance, diffusion, file, subject.seed, cpu_seconds)
    walkers = Walkers.read(file)
    if walkers is None:
        walkers = Walkers.start(trial.positions, trial.full.energy, trial.full.spread)
    walkers = replace(walkers, cpu_seconds=walkers.cpu_seconds + spent)
    first = int(np.ceil(settings.equilibration / BLOCK_TIME)) if diffusion else VMC_EQUILIBRATION
    walkers = sampler.run(walkers, first + PILOT)
    return sampler.run(walkers, first + _length(walkers, first, subject)), first


def _length(walkers: Walkers, first: int, subject: Subject) -> int:
    """Return how many blocks have to count, from the pilot alone.

    Raises
    ------
    ConfigError
        When they are too many.
    """
    pilot = slice(first, first + PILOT)
    _, stderr, inefficiency = mean_and_error(HARTREE * walkers.energies[pilot], walkers.block_weights[pilot])
    blocks = max(PILOT, MARGIN * PILOT * (stderr / subject.stderr) ** 2, MARGIN * FEW_INDEPENDENT * inefficiency)
    if blocks > MOST_BLOCKS:
        each = walkers.cpu_seconds / walkers.blocks
        raise ConfigError(
            f"An error of {subject.stderr:g} eV would take {blocks:.0f} blocks, about {blocks * each / 3600:.0f} h of "
            f"processor time; {PILOT} blocks reach {stderr:.2g} eV. Ask for less."
        )
    return int(np.ceil(blocks))


def _diffuse(trial: Trial, settings: PyqmcEngine) -> Callable[[Walkers], Block]:
    """Return what follows walkers for a block of diffusion Monte Carlo, which holds several branchings."""
    dmc, coord = package("pyqmc.method.dmc", "pyqmc"), package("pyqmc.configurations.coord", "pyqmc")
    steps = max(1, round(BRANCH_TIME / settings.time_step))
    branchings = max(1, round(BLOCK_TIME / (steps * settings.time_step)))

    def advance(walkers: Walkers) -> Block:
        configs, weights = coord.OpenConfigs(walkers.positions.copy()), walkers.weights.copy()
        rows = []
        for _ in range(branchings):
            row, configs, weights = dmc.dmc_propagate(
                trial.wave,
                configs,
                weights,
                settings.time_step,
                BRANCH_CUT * walkers.spread,
                e_trial=walkers.trial,
                e_est=walkers.reference,
                nsteps=steps,
                accumulators={"energy": trial.energies},
            )
            configs, weights, _ = dmc.branch(configs, weights)
            rows.append((float(np.real(row["energytotal"])), float(row["weight"]), float(row["acceptance"])))
        energies, block_weights, acceptance = np.array(rows).T
        energy = float(np.average(energies, weights=block_weights))
        return Block(configs.configs, weights, energy, float(block_weights.mean()), float(acceptance.mean()))

    return advance


def _vary(trial: Trial) -> Callable[[Walkers], Block]:
    """Return what follows walkers for a block of variational Monte Carlo."""
    mc, coord = package("pyqmc.method.mc", "pyqmc"), package("pyqmc.configurations.coord", "pyqmc")

    def advance(walkers: Walkers) -> Block:
        configs = coord.OpenConfigs(walkers.positions.copy())
        row, configs = mc.vmc_worker(trial.wave, configs, STEP, VMC_STEPS, {"energy": trial.energies})
        energy = float(np.real(row["energytotal"]))
        return Block(configs.configs, walkers.weights, energy, 1.0, float(row["acceptance"]))

    return advance


def _mean(state: Path, walkers: Walkers, first: int) -> Estimate:
    """Return the mean in eV, by the statistics of :mod:`rung.collect`; what these refuse is no label."""
    try:
        return estimate(state, HARTREE * walkers.energies[first:], walkers.block_weights[first:])
    except DataError as error:
        raise UnconvergedError(str(error)) from error


def _require_below(found: Estimate, trial: Trial, settings: PyqmcEngine) -> None:
    """Refuse an energy of diffusion Monte Carlo that is none beside that of its trial wave function."""
    if settings.method == "vmc":
        return
    energy, spread = HARTREE * trial.full.energy, HARTREE * trial.full.spread
    error = float(np.hypot(found.stderr, HARTREE * trial.full.stderr))
    if not energy - BELOW * spread < found.mean < energy + ABOVE * error:
        raise UnconvergedError(
            f"Diffusion Monte Carlo gives {found.mean:.3f} ± {found.stderr:.3f} eV and its trial wave function "
            f"{energy:.3f} ± {HARTREE * trial.full.stderr:.3f} eV, with a spread of {spread:.2f} eV: the walk diverged."
        )


def _details(walkers: Walkers, first: int, found: Estimate, trial: Trial, electrons: Electrons) -> dict[str, float]:
    return {
        "charge": float(electrons.charge),
        "multiplicity": float(electrons.multiplicity),
        "blocks": float(walkers.blocks - first),
        "equilibration_blocks": float(first + found.equilibration),
        "inefficiency": found.inefficiency,
        "acceptance": float(walkers.acceptance[first:].mean()),
        "mean_weight": float(walkers.block_weights[first:].mean()),
        "vmc_energy": HARTREE * trial.full.energy,
        "vmc_energy_stderr": HARTREE * trial.full.stderr,
        "vmc_spread": HARTREE * trial.full.spread,
        "determinants_energy": HARTREE * trial.plain.energy,
        "determinants_spread": HARTREE * trial.plain.spread,
        "cpu_seconds": walkers.cpu_seconds,
    }


def _level(settings: PyqmcEngine, electrons: Electrons, moves: bool) -> str:
    letter = "U" if settings.unrestricted(electrons) else "R"
    orbitals = f"{letter}-{(settings.xc or 'hf').upper()}/{settings.basis}"
    core = f", {settings.ecp}" if settings.ecp else ""
    if settings.method == "vmc":
        return f"VMC, Slater({orbitals})-Jastrow{core}"
    return f"FN-DMC, time step {settings.time_step:g}, Slater({orbitals})-Jastrow{core}{', T-moves' if moves else ''}"


@contextmanager
def _quiet(log: TextIO) -> Iterator[None]:
    """Put what PyQMC prints into the log, and let its warnings of large weights go: the population is watched here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(log):
            yield
    finally:
        logging.disable(before)


def _check(_: PyqmcEngine) -> None:
    for name in PACKAGES:
        package(name, "pyqmc")
    pymbar()


ENGINE = Engine(
    PyqmcEngine,
    label,
    _check,
    packages=(*PACKAGES, "pymbar"),
    inputs=lambda settings: () if settings.jastrow is None else (settings.jastrow,),
    statistical=lambda _: True,
    power=lambda _: 3.0,
)
