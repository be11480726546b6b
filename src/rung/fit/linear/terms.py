"""The terms of a linear fit as settings: each is one small class that adds its piece to the model.

A list of terms is the objective: what the energies say, which differences count, how far forces may leave their
anchor, how large the change of the weights is, and what is known of the reference energies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.optimize import brentq

from rung.data.labels import Array
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.errors import ConfigError, FitError
from rung.fit.linear import energies
from rung.fit.linear.anchor import Scale, Transform
from rung.fit.linear.anchored import anchored_rows, band_weight
from rung.fit.linear.evidence import HyperPrior
from rung.fit.linear.gaussian import MODEL_ERROR, EnergyData, LinearModel, PriorComponent
from rung.fit.linear.problem import Problem
from rung.settings import Settings

Automatic = Literal["auto"]
Choice = Automatic | float
Probing = Automatic | Annotated[int, Field(ge=0, le=10_000)]

TAU_OVER_FORCE = 0.3
"""Median of the hyper-prior of τ, in units of the anchor's r.m.s. force."""


@dataclass(frozen=True)
class Assembly:
    """A linear model under construction.

    Parameters
    ----------
    model
        Prior components and data so far.
    priors
        The hyper-prior of each hyper-parameter.
    directions
        A name for each uncertain direction of each component, by hyper-parameter.
    exact
        The covariance of the data's errors where each label without an error has one of 1: how many stand in each
        datum, shape ``(n,)``, or where data share labels, shape ``(n, n)``. None where evidence is to give them none.
    """

    model: LinearModel
    priors: Mapping[str, HyperPrior]
    directions: Mapping[str, tuple[str, ...]]
    exact: Array | None = None

    def with_component(
        self, component: PriorComponent, prior: HyperPrior, directions: tuple[str, ...] = ()
    ) -> "Assembly":
        """Return the assembly with one more factor of the prior."""
        return replace(
            self,
            model=replace(self.model, components=(*self.model.components, component)),
            priors={**self.priors, component.hyper: prior},
            directions={**self.directions, component.hyper: directions},
        )


MODEL_ERROR_SHARE, ALPHA_SHARE, RANDOM_ALPHA_SHARE = 0.2, 0.5, 0.1
"""Medians of the hyper-priors of s, of α and of α for random units, in units of the misfit."""

USUAL_MISFIT = 0.1
"""eV/√atom, where neither the energies nor the base tell the misfit: each alone in its composition."""

MISFIT_SHARE, MISFIT_WIDTH = 0.17, 0.9
"""The misfit over how far the base's own energies spread: median and width of its logarithm over seven pairs of levels,
0.04 to 0.34 (docs/theory.md)."""


def misfit(data: energies.Energies, spread: float) -> float:
    """Return by how much the base errs once its reference energies are refitted, r.m.s., eV/√atom.

    Hyper-priors are in units of it, so that they mean the same for levels of theory that are near and that are far.
    Few energies tell it badly, and may agree by chance: then what is usual for the base's spread counts as well.

    Parameters
    ----------
    data
        The energies less the base's.
    spread
        R.m.s. of the base's own energies of the training structures beyond their composition, eV/√atom; zero where
        they do not tell it.
    """
    blind = data.blind(np.inf) if len(data) else None
    usual = MISFIT_SHARE * spread if spread > 0 else USUAL_MISFIT
    told, freedom = (0.0, 0) if blind is None else blind.error_size(data.target)
    if not freedom:
        return usual
    told = max(told, 1e-9)
    return _expected(told, freedom, usual) if spread > 0 else told


def _expected(told: float, freedom: int, usual: float) -> float:
    """Return the expected size, by its logarithm, of normal numbers whose sizes are log-normal.

    Parameters
    ----------
    told, freedom
        Their r.m.s., and how many there are.
    usual
        The median of sizes; the width is :data:`MISFIT_WIDTH`.
    """
    data, start, pull = np.log(told), np.log(usual), 1.0 / MISFIT_WIDTH**2

    def slope(logarithm: float) -> float:
        return float(freedom * np.expm1(2.0 * (data - logarithm)) - pull * (logarithm - start))

    # numbers that are all zero take it down by freedom / pull, and none to below what they tell
    low = max(min(data, start), start - freedom / pull)
    best = brentq(slope, low - 1e-9, max(data, start) + 1e-9)
    width = 1.0 / np.sqrt(pull + 2.0 * freedom * np.exp(2.0 * (data - best)))
    points = best + width * np.linspace(-8.0, 8.0, 401)
    density = -freedom * (points + 0.5 * np.exp(2.0 * (data - points))) - 0.5 * pull * (points - start) ** 2
    weights = np.exp(density - density.max())
    return float(np.exp(weights @ points / weights.sum()))


def model_error_prior(size: float) -> HyperPrior:
    """Return the hyper-prior of s, eV/√atom, where it is ``auto``, given the base's misfit, eV/√atom."""
    return HyperPrior(MODEL_ERROR_SHARE * size, 1.5)


def band_prior(typical: float) -> HyperPrior:
    """Return the hyper-prior of τ, eV/Å, given the anchor's r.m.s. force, eV/Å."""
    return HyperPrior(TAU_OVER_FORCE * max(typical, 1e-3), 1.0)


def _chosen(choice: Choice, prior: HyperPrior) -> HyperPrior:
    return prior if choice == "auto" else HyperPrior(float(choice), 0.0)


def required_label_error(size: float) -> float:
    """Return an error of labels, eV; raise a :class:`~rung.errors.ConfigError` where it can be none."""
    if not size >= 0:
        raise ConfigError("label_error must be 0 or more eV, or auto.")
    return size


class Energies(Settings):
    """The target's energies, each with its own error σ and the model's own error s."""

    kind: Literal["energies"] = "energies"
    model_error: Choice = "auto"
    """s in eV/√atom, or ``auto``: log-normal hyper-prior of median 0.2 times the base's misfit and width 1.5."""
    label_error: Choice = 0.0
    """The error of each label that has no ``energy_stderr``, eV, or ``auto``: what evidence gives them, with a
    log-normal hyper-prior of median 1 meV and width 1.5."""

    def add(self, assembly: Assembly, problem: Problem) -> Assembly:
        """Return the assembly with the energies as data."""
        if self.model_error != "auto" and self.model_error < 0:
            raise ConfigError("model_error must be 0 or more eV/√atom, or auto.")
        data, exact = problem.energies, problem.exact
        if self.label_error != "auto" and required_label_error(self.label_error):
            data = data.with_variance(self.label_error**2 * exact)
        prior = _chosen(self.model_error, model_error_prior(misfit(data, problem.spread)))
        return replace(
            assembly,
            model=replace(assembly.model, data=data),
            priors={**assembly.priors, MODEL_ERROR: prior},
            exact=exact if self.label_error == "auto" and exact.any() else None,
        )


class EnergyPairs(Settings):
    """Named differences of energies replace the energies of their frames: what is common to both cancels."""

    kind: Literal["pairs"] = "pairs"
    pairs: tuple[tuple[str, str], ...]
    """Pairs of ``structure_id``: the energy of the first less that of the second."""

    def add(self, assembly: Assembly, problem: Problem) -> Assembly:
        """Return the assembly in which paired frames count through their differences alone."""
        if problem.has_differences:
            raise ConfigError(
                "The term pairs and differences in data.labels do not go together; write the pairs into the table."
            )
        names = [problem.structures[k].structure_id for k in problem.labelled]
        if len(assembly.model.data) != len(names):
            raise ConfigError("The term pairs must come after the term energies, once.")
        unknown = sorted({name for pair in self.pairs for name in pair} - set(names))
        if unknown:
            raise FitError(f"The pairs name structures without a target energy: {', '.join(unknown[:5])}.")
        if twice := sorted({name for pair in self.pairs for name in pair if names.count(name) > 1}):
            raise FitError(
                f"The pairs name structures with several energies, and do not say which: {', '.join(twice[:5])}."
            )
        single = [k for k, name in enumerate(names) if all(name not in pair for pair in self.pairs)]
        combination = np.zeros((len(single) + len(self.pairs), len(names)))
        combination[np.arange(len(single)), single] = 1.0
        for row, (first, second) in enumerate(self.pairs, start=len(single)):
            combination[row, names.index(first)] += 1.0
            combination[row, names.index(second)] -= 1.0
        if ring := _first_that_follows(self.pairs):
            raise FitError(
                f"The pair {', '.join(ring)} follows from the pairs before it, and says nothing more; leave it out."
            )
        return replace(
            assembly,
            model=replace(assembly.model, data=assembly.model.data.transformed(combination)),
            exact=None if assembly.exact is None else (combination * assembly.exact) @ combination.T,
        )


def _first_that_follows(pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the first pair whose structures the pairs before it join already; None where there is none."""
    joined: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := joined.setdefault(name, name)) != name:
            name = above
        return name

    for first, second in pairs:
        one, other = root(first), root(second)
        if one == other:
            return first, second
        joined[other] = one
    return None


class Band(Settings):
    """Forces should stay near an anchor: the r.m.s. length by which an atom's force leaves it is τ."""

    kind: Literal["band"] = "band"
    anchor: str = "base"
    """``base`` for the base's own forces, the name of a fidelity whose force labels anchor, or ``none``."""
    transforms: tuple[Transform, ...] = (Scale(),)
    """What the anchor's forces go through, in order."""
    shape: Literal["quadratic", "hinge"] = "quadratic"
    """``quadratic`` is solved in closed form with error bars; ``hinge`` lets forces be free within τ."""
    tau: Choice = "auto"
    """τ in eV/Å, or ``auto``: log-normal hyper-prior of median 0.3 times the anchor's r.m.s. force and width 1."""
    max_frames: int = Field(default=100, ge=1)
    """At most this many frames anchor, evenly spread, for each costs passes through the backbone."""
    probes: Probing = "auto"
    """Along how many random directions of each frame forces are held; 0 holds every component, by full designs.
    ``auto`` probes where full designs cost much, with as many directions as the band needs."""
    probe_seed: int = Field(default=0, ge=0)
    """Of the random directions: one for all fits, so that they share designs."""

    def frames(self, structures: Sequence[Structure]) -> list[int]:
        """Return the positions of the frames that anchor: evenly spread over those that can, whatever their energies.

        The choice does not depend on which frames carry target energies, so every draw of a study shares designs.
        """
        if self.anchor == "none":
            return []
        usable = [
            k
            for k, structure in enumerate(structures)
            if self.anchor == "base" or structure.labelled(self.anchor).has_forces
        ]
        return evenly_spread(usable, self.max_frames)

    @property
    def sees_atoms(self) -> bool:
        """Whether the band looks at single atoms, so that it needs every component of the forces."""
        return self.shape == "hinge" or not all(isinstance(one, Scale) for one in self.transforms)

    def add(self, assembly: Assembly, problem: Problem) -> Assembly:
        """Return the assembly with the band as a prior of the weights.

        With B the force designs of the anchored atoms, n_F their number and P the rank of B, the precision is
        ``(P/n_F) BᵀB / τ²``: then τ is the r.m.s. length of a departure whatever the number of frames.
        """
        if self.tau != "auto" and not self.tau > 0:
            raise ConfigError("tau must be more than 0 eV/Å, or auto.")
        rows = anchored_rows(self.anchor, self.transforms, problem, self.frames(problem.structures))
        if rows is None:
            return assembly
        weight = band_weight(rows.gram, rows.n_atoms)
        pulls = [weight * rows.design.T @ direction.forces for direction in rows.directions]
        component = PriorComponent(
            "tau",
            weight * rows.gram,
            weight * rows.design.T @ rows.departure,
            np.stack(pulls, axis=1) if pulls else np.zeros((len(rows.gram), 0)),
            np.array([direction.stderr for direction in rows.directions]),
        )
        names = tuple(direction.name for direction in rows.directions)
        return assembly.with_component(component, _chosen(self.tau, band_prior(rows.typical)), names)


class WeightPrior(Settings):
    """The change of the weights is small: α is the energy, per √atom, by which one weight's change moves a frame."""

    kind: Literal["weights"] = "weights"
    alpha: Choice = "auto"
    """α in eV/√atom, or ``auto``: log-normal hyper-prior of median 0.5 times the base's misfit and width 1.5."""
    random_alpha: Choice = "auto"
    """The same for the random units of a widened readout."""

    def add(self, assembly: Assembly, problem: Problem) -> Assembly:
        """Return the assembly with one component for the base's weights and one for random units."""
        random = np.array([group.endswith(".random") for group in problem.readout.groups])
        scale = problem.column_scale**2
        size = misfit(problem.energies, problem.spread)
        for name, choice, chosen, median in (
            ("alpha", self.alpha, ~random, ALPHA_SHARE * size),
            ("random_alpha", self.random_alpha, random, RANDOM_ALPHA_SHARE * size),
        ):
            if choice != "auto" and not choice > 0:
                raise ConfigError(f"{name} must be more than 0 eV/√atom, or auto.")
            if chosen.any():
                component = PriorComponent.centred(name, np.diag(np.where(chosen, scale, 0.0)))
                assembly = assembly.with_component(component, _chosen(choice, HyperPrior(median, 1.5)))
        return assembly


class ReferencePrior(Settings):
    """What is known of the change of the reference energies; without this term they are flat."""

    kind: Literal["reference"] = "reference"
    stderr: float = Field(gt=0)
    """One-sigma size of each element's change, eV."""

    def add(self, assembly: Assembly, problem: Problem) -> Assembly:  # noqa: ARG002 - one signature for all terms
        """Return the assembly with a normal prior of the reference energies."""
        return replace(assembly, model=replace(assembly.model, reference_stderr=self.stderr))


Term = Annotated[Energies | EnergyPairs | Band | WeightPrior | ReferencePrior, Field(discriminator="kind")]


def assemble(terms: tuple[Term, ...], problem: Problem) -> Assembly:
    """Return the linear model that ``terms`` describe.

    Raises
    ------
    ConfigError
        When the prior of the weights is missing: without it the fit is not proper.
    """
    empty = np.zeros((0, 0))
    n_weights, n_elements = len(problem.readout.weights), len(problem.elements)
    nothing = EnergyData(np.zeros((0, n_weights)), np.zeros((0, n_elements)), np.zeros(0), empty, empty)
    assembly = Assembly(LinearModel((), nothing), {MODEL_ERROR: HyperPrior(MODEL_ERROR_SHARE * USUAL_MISFIT, 0.0)}, {})
    for term in terms:
        assembly = term.add(assembly, problem)
    if not any(isinstance(term, WeightPrior) for term in terms):
        raise ConfigError("The method's terms need one of kind weights: a prior of the change of the weights.")
    return assembly
