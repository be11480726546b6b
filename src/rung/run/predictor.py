"""Predictions with error bars from designs of a frozen backbone: each design is computed once, whatever reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rung.backends.errors import tangent_errors
from rung.data.labels import Array
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.features.cache import DesignCache
from rung.features.design import Design
from rung.features.errorbars import places_in
from rung.features.passes import build_designs
from rung.features.predict import DesignPrediction, difference_variance, predict_designs
from rung.features.tangent_errors import TangentErrors
from rung.fit.linear.probing import ForceDesigns
from rung.model.domain import Place
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.tangent import TangentPosterior
from rung.progress import SILENT, Progress
from rung.results.fits import BandBarrier
from rung.run.evaluation import SplitPrediction, predict

_Key = tuple[str, str, str, str, bool]

CHEAP_ATOMS = 2000
"""Of a split whose forces are all predicted where nothing else is asked for: a few seconds a fit on one core."""

FEWEST = 60
"""Structures that have their forces predicted in a larger split, however large they are."""


@dataclass(frozen=True)
class Predictor:
    """Predicts for many fits on one set of structures.

    Parameters
    ----------
    base
        The base whose backbone the fits share; a fit that moved the backbone is run as it is, without error bars.
    cache
        Where designs are kept; None keeps them in memory alone.
    force_structures
        At most so many structures of a split have their forces predicted, with error bars; None predicts as many as
        :data:`CHEAP_ATOMS` hold, and :data:`FEWEST` of them with error bars, whose designs cost most.
    progress
        Where long work reports.
    """

    base: ReadoutPotential | None
    cache: DesignCache | None = None
    force_structures: int | None = None
    progress: Progress = SILENT
    _designs: dict[_Key, Design] = field(default_factory=dict, repr=False)
    _dear: dict[tuple[str, ...], bool] = field(default_factory=dict, repr=False)
    _errors: dict[int, TangentErrors] = field(default_factory=dict, repr=False)

    def predict(
        self,
        potential: ReadoutPotential,
        posterior: Posterior | TangentPosterior | None,
        structures: Sequence[Structure],
        fidelity: str,
        target: str,
        *,
        forces: bool = True,
    ) -> SplitPrediction:
        """Return energies of all, and forces of some: of those whose forces ``target`` labels, or else of any.

        Parameters
        ----------
        potential, posterior
            The potential and what its fit knows of its parameters.
        structures
            What to predict.
        fidelity
            The fidelity to predict.
        target
            The fidelity whose labels decide which structures have their forces predicted.
        forces
            Whether any structure has its forces predicted.
        """
        rows = force_rows(structures, target, self.force_structures).rows if forces else ()
        barred = evenly_spread(rows, FEWEST) if self.force_structures is None else rows
        if isinstance(posterior, TangentPosterior):
            errors = self._tangent(potential, fidelity, posterior)
            return self._with_all_bars(self._run(potential, structures, fidelity, rows), errors, structures, barred)
        if not self._frozen(potential):
            run = self._run(potential, structures, fidelity, rows)
            return run if posterior is None else with_bars(run, potential, posterior, structures, fidelity)
        energies = self._predicted(potential, posterior, structures, fidelity, forces=False)
        pulled, bars = self._forces(potential, posterior, [structures[row] for row in barred], fidelity)
        others = sorted(set(rows) - set(barred))
        rest = predict(potential, [structures[row] for row in others], fidelity, progress=self.progress)
        known = dict(zip((*barred, *others), (*pulled, *rest.forces), strict=True))
        stderr = dict(zip(barred, bars, strict=True))
        return SplitPrediction(
            energy=np.array([one.energy for one in energies]),
            energy_stderr=np.sqrt(np.array([one.energy_label_variance for one in energies])),
            forces=tuple(known.get(k) for k in range(len(structures))),
            forces_stderr=tuple(stderr.get(k) for k in range(len(structures))),
            places=self._places(potential, posterior, structures, fidelity),
        )

    def static_barrier(
        self,
        potential: ReadoutPotential,
        posterior: Posterior | TangentPosterior | None,
        images: Sequence[Structure],
        fidelity: str,
    ) -> BandBarrier:
        """Return the highest energy of a band less the first, with its error bars: NaN without a posterior."""
        if not self._frozen(potential) and posterior is not None and not isinstance(posterior, TangentPosterior):
            return Predictor(potential, progress=self.progress).static_barrier(potential, posterior, images, fidelity)
        if not self._frozen(potential):
            energies = predict(potential, images, fidelity).energy
        else:
            found = self._predicted(potential, None, images, fidelity, forces=False)
            energies = np.array([one.energy for one in found])
        saddle = int(np.argmax(energies))
        barrier = float(energies[saddle] - energies[0])
        if isinstance(posterior, TangentPosterior):
            ends = self._tangent(potential, fidelity, posterior).energies([images[saddle], images[0]])
            variance = ends.combination_variance([1.0, -1.0])
        elif posterior is None:
            return BandBarrier(barrier=barrier, barrier_stderr=np.nan, barrier_stderr_total=np.nan)
        else:
            first, highest = self.designs(potential, [images[0], images[saddle]], fidelity, forces=False)
            variance = difference_variance(highest, first, sorted(potential.elements), posterior)
        return BandBarrier(
            barrier=barrier,
            barrier_stderr=float(np.sqrt(variance.weights)),
            barrier_stderr_total=float(np.sqrt(variance.total)),
        )

    def designs(
        self, potential: ReadoutPotential, structures: Sequence[Structure], fidelity: str, *, forces: bool
    ) -> list[Design]:
        """Return the design of each structure, from memory where it was asked for before."""
        readout, backbone = potential.surface(fidelity).readout, potential.backbone
        common = (backbone.fingerprint, readout.fingerprint, fidelity if backbone.conditioned else "")
        keys: list[_Key] = [(*common, structure.geometry_hash, forces) for structure in structures]
        missing = [structure for structure, key in zip(structures, keys, strict=True) if key not in self._designs]
        if missing:
            made = build_designs(
                missing,
                backbone,
                readout,
                forces=forces,
                fidelity=fidelity,
                cache=self.cache,
                keep_features=True,
                progress=self.progress,
            )
            for structure, design in zip(missing, made, strict=True):
                self._designs[*common, structure.geometry_hash, forces] = design
        return [self._designs[key] for key in keys]

    def _places(
        self, potential: ReadoutPotential, posterior: Posterior | None, structures: Sequence[Structure], fidelity: str
    ) -> tuple[Place | None, ...] | None:
        if posterior is None or posterior.domain is None:
            return None
        return tuple(places_in(posterior.domain, self.designs(potential, structures, fidelity, forces=False)))

    def _frozen(self, potential: ReadoutPotential) -> bool:
        return self.base is not None and potential.backbone.fingerprint == self.base.backbone.fingerprint

    def _predicted(
        self,
        potential: ReadoutPotential,
        posterior: Posterior | None,
        structures: Sequence[Structure],
        fidelity: str,
        *,
        forces: bool,
    ) -> list[DesignPrediction]:
        designs = self.designs(potential, structures, fidelity, forces=forces)
        return predict_designs(designs, potential.surface(fidelity), sorted(potential.elements), posterior)

    def _forces(
        self,
        potential: ReadoutPotential,
        posterior: Posterior | None,
        structures: Sequence[Structure],
        fidelity: str,
    ) -> tuple[list[Array], list[Array | None]]:
        """Return forces with error bars from designs; from the whole model, without bars, where designs are dear."""
        if not structures:
            return [], []
        names = (potential.backbone.fingerprint, *(structure.geometry_hash for structure in structures))
        if names not in self._dear:
            makes = ForceDesigns(potential.backbone, potential.surface(fidelity).readout, fidelity)
            self._dear[names] = makes.are_dear(structures)
        if self._dear[names]:
            run = predict(potential, structures, fidelity, progress=self.progress)
            return [one for one in run.forces if one is not None], [None] * len(structures)
        found = self._predicted(potential, posterior, structures, fidelity, forces=True)
        return [one.forces for one in found], [np.sqrt(one.force_total_variance) for one in found]

    def _tangent(self, potential: ReadoutPotential, fidelity: str, posterior: TangentPosterior) -> TangentErrors:
        """Return the error bars of a tangent fit; those of the last one are kept, for their rows cost passes."""
        known = self._errors.get(id(posterior))
        if known is None or known.posterior is not posterior:
            self._errors.clear()
            known = self._errors[id(posterior)] = tangent_errors(potential, fidelity, posterior)
        return known

    def _with_all_bars(
        self,
        prediction: SplitPrediction,
        errors: TangentErrors,
        structures: Sequence[Structure],
        barred: Sequence[int],
    ) -> SplitPrediction:
        """Return ``prediction`` with the bars of its energies, and of the forces of the structures at ``barred``."""
        asked = set(barred)
        with self.progress.task("Error bars", len(structures)) as task:
            energies, forces = [], []
            for row, structure in enumerate(structures):
                energies.append(errors.energy_variances([structure])[0])
                forces.append(errors.forces_stderr(structure) if row in asked else None)
                task.advance()
        return replace(
            prediction,
            energy_stderr=np.sqrt(np.array(energies)),
            forces_stderr=tuple(forces),
            places=tuple(errors.places(structures)),
        )

    def _run(
        self, potential: ReadoutPotential, structures: Sequence[Structure], fidelity: str, rows: Sequence[int]
    ) -> SplitPrediction:
        """Return energies of all and forces of ``rows``, in batches through the whole model."""
        pulled = predict(potential, [structures[row] for row in rows], fidelity, progress=self.progress)
        others = [k for k in range(len(structures)) if k not in set(rows)]
        rest = predict(potential, [structures[k] for k in others], fidelity, forces=False, progress=self.progress)
        energy = np.empty(len(structures))
        energy[list(rows)], energy[others] = pulled.energy, rest.energy
        forces = dict(zip(rows, pulled.forces, strict=True))
        return SplitPrediction(
            energy=energy,
            energy_stderr=np.full(len(structures), np.nan),
            forces=tuple(forces.get(k) for k in range(len(structures))),
        )


@dataclass(frozen=True)
class ForceRows:
    """Which structures of a split have their forces predicted.

    Parameters
    ----------
    rows
        Their positions, evenly spaced.
    n_able
        How many could be asked: those whose forces are labelled, or else all.
    """

    rows: tuple[int, ...]
    n_able: int


def force_rows(structures: Sequence[Structure], target: str, at_most: int | None) -> ForceRows:
    """Return which structures have their forces predicted: of those whose forces ``target`` labels, or else of any.

    Parameters
    ----------
    structures
        A split.
    target
        The fidelity whose labels decide.
    at_most
        How many; None takes as many as :data:`CHEAP_ATOMS` hold, and :data:`FEWEST` at least.
    """
    labelled = [k for k, structure in enumerate(structures) if structure.labelled(target).has_forces]
    able = labelled or list(range(len(structures)))
    if at_most is None:
        atoms = sum(len(structures[row]) for row in able)
        at_most = max(FEWEST, CHEAP_ATOMS * len(able) // max(atoms, 1))
    return ForceRows(tuple(evenly_spread(able, at_most)), len(able))


def with_bars(
    prediction: SplitPrediction,
    potential: ReadoutPotential,
    posterior: Posterior | TangentPosterior,
    structures: Sequence[Structure],
    fidelity: str,
    *,
    cache: DesignCache | None = None,
    progress: Progress = SILENT,
) -> SplitPrediction:
    """Return ``prediction`` with the error bars of its energies, which one forward pass a structure gives."""
    if isinstance(posterior, TangentPosterior):
        errors = tangent_errors(potential, fidelity, posterior)
        return replace(
            prediction,
            energy_stderr=np.sqrt(errors.energy_variances(structures)),
            places=tuple(errors.places(structures)),
        )
    designs = Predictor(potential, cache, 0, progress).designs(potential, structures, fidelity, forces=False)
    found = predict_designs(designs, potential.surface(fidelity), sorted(potential.elements), posterior)
    places = [None] * len(designs) if posterior.domain is None else places_in(posterior.domain, designs)
    return replace(
        prediction,
        energy_stderr=np.sqrt(np.array([one.energy_label_variance for one in found])),
        places=tuple(places),
    )
