"""An ASE calculator for any potential of rung, with error bars where the fit left a posterior."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from rung.backends.errors import errors_of
from rung.checkpoint import Checkpoint, open_model
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import ConfigError, ModelError
from rung.features.errorbars import JointEnergies, PosteriorErrors
from rung.features.tangent_errors import TangentEnergies, TangentErrors
from rung.fidelity import require_fidelity
from rung.model.domain import Place
from rung.model.errorbars import EnergyVariance, ModelErrorKind
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.predictions import predict_structures
from rung.model.protocols import Potential
from rung.model.tangent import TangentPosterior


class RungCalculator(Calculator):
    """Energies, forces, stress and per-atom energies of one fidelity, for ASE.

    Parameters
    ----------
    model
        A path (``model.rung``, or a file that a backend reads), a :class:`~rung.checkpoint.Checkpoint` or a potential.
    fidelity
        Which fidelity to evaluate; of a backend's file, the name of what it was trained on. It must be named: without
        it the error lists what the model offers.
    trusted
        Whether a backend's file may run code while it loads.
    head
        Which head (or modality) of a backend's file that has several.
    device
        Where to compute, as torch spells it; for paths only.
    dtype
        ``float32`` or ``float64``; by default that of the file; for paths only.

    Raises
    ------
    ConfigError
        When the model does not offer ``fidelity``; the message lists what it offers.
    ModelError
        When the file cannot be used.

    Notes
    -----
    Results are in ASE's units: eV, eV/Å, eV/Å³. ``stress`` exists for cells that are periodic and have a volume.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress", "energies"]

    def __init__(
        self,
        model: str | Path | Checkpoint | Potential,
        *,
        fidelity: str = "",
        trusted: bool = False,
        head: str | None = None,
        device: str = "cpu",
        dtype: str | None = None,
    ) -> None:
        super().__init__()
        if isinstance(model, (str, Path)):
            model = open_model(model, fidelity=fidelity, trusted=trusted, head=head, device=device, dtype=dtype)
        self.posterior: Posterior | TangentPosterior | None = None
        self._known: PosteriorErrors | TangentErrors | None = None
        self.metadata: dict[str, Any] = {}
        self.potential: Potential
        if isinstance(model, Checkpoint):
            self.potential, self.posterior, self.metadata = model.potential, model.posterior, dict(model.metadata)
        else:
            self.potential = model
        self.fidelity = _named(fidelity, self.potential.fidelities)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate all properties at once: they share one pass through the model."""
        super().calculate(atoms, properties, system_changes)
        has_volume = bool(self.atoms.pbc.any() and abs(np.linalg.det(self.atoms.cell.array)) > 0)
        batches = [[Structure(self.atoms, "", {})]]
        (prediction,) = predict_structures(self.potential, batches, self.fidelity, stress=has_volume)
        energy = prediction.energy
        self.results = {"energy": energy, "free_energy": energy, "energies": prediction.atom_energies}
        if prediction.forces is not None:
            self.results["forces"] = prediction.forces
        if prediction.stress is not None:
            self.results["stress"] = prediction.stress

    def get_energy_stderr(self, atoms: Atoms | None = None, *, model_error: bool = True) -> float:
        """Return the one-sigma error of the energy, eV; infinite where no label identifies the composition.

        Parameters
        ----------
        atoms
            By default those of the last calculation.
        model_error
            Whether to add what the fitted form cannot express; without it, the weights and E0 alone.
        """
        kind: ModelErrorKind = "total" if model_error else "none"
        return float(np.sqrt(self.energy_covariance([self._atoms_or_last(atoms)], model_error=kind)[0, 0]))

    def get_forces_stderr(self, atoms: Atoms | None = None, *, model_error: bool = True) -> Array:
        """Return the one-sigma error of each component of the forces, eV/Å, shape ``(n, 3)``.

        Parameters
        ----------
        atoms
            By default those of the last calculation.
        model_error
            Whether to add what the fitted form cannot express; without it, the weights alone.
        """
        structure = Structure(self._atoms_or_last(atoms), "", {})
        return self.errors.forces_stderr(structure, model_error=model_error)

    def energy_covariance(self, structures: Sequence[Atoms], *, model_error: ModelErrorKind = "total") -> Array:
        """Return the covariance of the energies of several structures, eV², shape ``(S, S)``.

        Parameters
        ----------
        structures
            The structures.
        model_error
            ``none``: the weights and E0 alone. ``total``: with the model's own error, of which structures share what
            they have in common.

        Notes
        -----
        Rows and columns of structures whose composition no label identifies are infinite; their differences may
        still be known: :meth:`energy_difference_stderr`.
        """
        return self._energies(structures).covariance(model_error)

    def energy_difference_variance(self, first: Atoms, second: Atoms) -> EnergyVariance:
        """Return the variance of the energy of ``first`` minus that of ``second``, eV², by what it counts.

        It is infinite where their compositions differ in a way that no label identifies.
        """
        return self.energy_combination_variance([first, second], [1.0, -1.0])

    def energy_combination_variance(self, structures: Sequence[Atoms], coefficients: Sequence[float]) -> EnergyVariance:
        """Return the variance of Σ c E over several structures, eV², by what it counts.

        Parameters
        ----------
        structures
            The structures.
        coefficients
            One number each; a binding energy of vacancies has 2, -1 and -1.

        Notes
        -----
        It is infinite where the combination leaves atoms over of an element whose E0 no label identifies.
        """
        return self._energies(structures).combination_variance(coefficients)

    def energy_combination_variances(
        self, structures: Sequence[Atoms], coefficients: Array
    ) -> tuple[EnergyVariance, ...]:
        """Return the variance of several sums over the same structures, a row of ``(Q, S)`` coefficients each."""
        energies = self._energies(structures)
        return tuple(energies.combination_variance(row) for row in coefficients)

    def energy_difference_stderr(self, first: Atoms, second: Atoms, *, model_error: ModelErrorKind = "total") -> float:
        """Return the one-sigma error of the energy of ``first`` minus that of ``second``, eV.

        Parameters
        ----------
        first, second
            The structures.
        model_error
            As for :meth:`energy_covariance`.
        """
        return self.energy_difference_variance(first, second).stderr(model_error)

    def places(self, structures: Sequence[Atoms]) -> list[Place | None]:
        """Return where structures lie, seen from those of the fit: inside its domain or outside, and why.

        None for each where the fit did not keep it.

        Raises
        ------
        ModelError
            When the model has no posterior of this fidelity.
        """
        return self.errors.places([Structure(atoms, str(index), {}) for index, atoms in enumerate(structures)])

    @property
    def has_error_bars(self) -> bool:
        """Whether the fit left error bars of this very fidelity; a hinge band leaves none."""
        return (
            self.posterior is not None
            and self.posterior.is_known
            and isinstance(self.potential, ReadoutPotential)
            and self._posterior_of == self.fidelity
        )

    def draws(self, count: int, *, seed: int = 0) -> tuple["RungCalculator", ...]:
        """Return calculators whose weights and E0 are drawn from the posterior, for what is not linear in them.

        Their spread is the part of an error bar that the weights make; the model's own error is not in it.

        Parameters
        ----------
        count
            How many; the first ones stay the same when more are asked for.
        seed
            Which draws.

        Raises
        ------
        ModelError
            When the model has no posterior of this fidelity.
        """
        return tuple(self.draw(index, seed=seed) for index in range(count))

    def draw(self, index: int, *, seed: int = 0) -> "RungCalculator":
        """Return the draw number ``index`` of :meth:`draws` alone."""
        return RungCalculator(self.errors.draw(index, seed=seed), fidelity=self.fidelity)

    def energy_changes(self, structures: Sequence[Atoms], count: int, *, seed: int = 0) -> Array:
        """Return the energies on :meth:`draws` less those of this calculator, eV, shape ``(count, S)``.

        Energies are linear in what is drawn, so one design of each structure serves all draws.

        Raises
        ------
        ModelError
            When the model has no posterior of this fidelity.
        """
        return self._energies(structures).changes(count, seed=seed)

    def get_atom_energies_stderr(self, atoms: Atoms | None = None) -> Array:
        """Return √(hᵀΣh) of each atom, eV, shape ``(n,)``: the error that the weights give to its energy.

        h are the derivatives of the atom's energy with respect to the fitted weights; reference energies and the
        model's own error are not in it. Where it is larger than on the training structures the features are new.

        Raises
        ------
        ModelError
            When the model has no posterior of this fidelity.
        """
        return self.errors.atom_energies_stderr(Structure(self._atoms_or_last(atoms), "", {}))

    def _atoms_or_last(self, atoms: Atoms | None) -> Atoms:
        atoms = atoms if atoms is not None else self.atoms
        if atoms is None:
            raise ConfigError("No structure was given and none was calculated before.")
        return atoms

    @property
    def _posterior_of(self) -> str:
        return str(self.metadata.get("target", self.fidelity))

    @property
    def errors(self) -> PosteriorErrors | TangentErrors:
        """The error bars that the fit left, for what is asked of many structures at once.

        Raises
        ------
        ModelError
            When the model has no posterior of this fidelity.
        """
        if self.posterior is None or not isinstance(self.potential, ReadoutPotential):
            raise ModelError(f"The model has no posterior of {self.fidelity!r}, so it has no error bars and no draws.")
        if self._posterior_of != self.fidelity:
            raise ModelError(f"The model's error bars are those of {self._posterior_of!r}, not of {self.fidelity!r}.")
        if self._known is None:  # the rows of a tangent fit are worth keeping
            self._known = errors_of(self.potential, self.fidelity, self.posterior)
        return self._known

    def _energies(self, structures: Sequence[Atoms]) -> JointEnergies | TangentEnergies:
        return self.errors.energies([Structure(atoms, str(index), {}) for index, atoms in enumerate(structures)])


def _named(fidelity: str, offered: Sequence[str]) -> str:
    """Return the fidelity if it is offered; the error lists what is, also where none was named."""
    if fidelity:
        return require_fidelity(fidelity, offered)
    listed = ", ".join(sorted(offered)).strip(", ")
    raise ConfigError(
        f"Name a fidelity: there is {listed}."
        if listed
        else "Name the level of theory that the model was trained on, such as fidelity='pbe'."
    )
