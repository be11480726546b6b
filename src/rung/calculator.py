"""An ASE calculator for any potential of rung, with error bars where the fit left a posterior."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from rung.checkpoint import Checkpoint, open_model
from rung.data.batch import collate
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import ConfigError, ModelError, one_of
from rung.features.design import Design
from rung.features.passes import build_designs
from rung.fidelity import require_fidelity
from rung.model.draws import drawn_change, drawn_potential
from rung.model.errorbars import DifferenceVariance, linear_covariance, variance_of_difference
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.protocols import Potential

ModelErrorKind = Literal["none", "independent", "correlated"]

UNCORRELATED = "The fit did not say how the model's own error is correlated; ask for 'independent'."


class RungCalculator(Calculator):
    """Energies, forces, stress and per-atom energies of one fidelity, for ASE.

    Parameters
    ----------
    model
        A path (``model.rung``, or a file that a backend reads), a :class:`~rung.checkpoint.Checkpoint` or a potential.
    fidelity
        Which fidelity to evaluate; of a backend's file, the name of what it was trained on.
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
        fidelity: str,
        trusted: bool = False,
        head: str | None = None,
        device: str = "cpu",
        dtype: str | None = None,
    ) -> None:
        super().__init__()
        checkpoint = _opened(model, fidelity, trusted=trusted, head=head, device=device, dtype=dtype)
        self.potential = checkpoint.potential
        self.posterior = checkpoint.posterior
        self.fidelity = require_fidelity(fidelity, self.potential.fidelities)
        self.metadata = dict(checkpoint.metadata)
        self._posterior_of = checkpoint.metadata.get("target", fidelity)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate all properties at once: they share one pass through the model."""
        super().calculate(atoms, properties, system_changes)
        structure = Structure(self.atoms, "", {})
        batch = collate(
            [structure],
            [self.fidelity],
            self.potential.cutoff,
            dtype=self.potential.dtype,
            device=self.potential.device,
        )
        has_volume = bool(self.atoms.pbc.any() and abs(np.linalg.det(self.atoms.cell.array)) > 0)
        found = self.potential.predict(batch, forces=True, stress=has_volume)
        energy = float(found.energy[0])
        self.results = {"energy": energy, "free_energy": energy, "energies": _numpy(found.atom_energies)}
        if found.forces is not None:
            self.results["forces"] = _numpy(found.forces)
        if found.stress is not None:
            self.results["stress"] = _numpy(found.stress[0])

    def get_energy_stderr(self, atoms: Atoms | None = None, *, model_error: bool = True) -> float:
        """Return the one-sigma error of the energy, eV; infinite where no label identifies the composition.

        Parameters
        ----------
        atoms
            By default those of the last calculation.
        model_error
            Whether to add what the fitted form cannot express, √N s; without it, the weights and E0 alone.
        """
        kind: ModelErrorKind = "independent" if model_error else "none"
        return float(np.sqrt(self.energy_covariance([self._given(atoms)], model_error=kind)[0, 0]))

    def get_forces_stderr(self, atoms: Atoms | None = None, *, model_error: bool = True) -> Array:
        """Return the one-sigma error of each component of the forces, eV/Å, shape ``(n, 3)``.

        Parameters
        ----------
        atoms
            By default those of the last calculation.
        model_error
            Whether to add what the fitted form cannot express; without it, the weights alone.
        """
        (design,), posterior = self._designs([self._given(atoms)], forces=True)
        weights = design.forces.shape[1]
        covariance = posterior.covariance[:weights, :weights]
        variance = np.einsum("fp,pq,fq->f", design.forces, covariance, design.forces, optimize=True)
        own = posterior.force_error**2 if model_error else 0.0
        return np.asarray(np.sqrt(np.maximum(variance, 0.0) + own).reshape(-1, 3))

    def energy_covariance(self, structures: Sequence[Atoms], *, model_error: ModelErrorKind = "independent") -> Array:
        """Return the covariance of the energies of several structures, eV², shape ``(S, S)``.

        Parameters
        ----------
        structures
            The structures.
        model_error
            ``none``: the weights and E0 alone. ``independent``: with N s² on the diagonal. ``correlated``: with the
            model's own error as a random function of the features, so that what structures share cancels.

        Notes
        -----
        Rows and columns of structures whose composition no label identifies are infinite; their differences may
        still be known: :meth:`energy_difference_stderr`.
        """
        gradients, sizes, posterior = self._gradients(structures)
        return linear_covariance(gradients, posterior) + _own_covariance(gradients, sizes, posterior, model_error)

    def energy_difference_variance(self, first: Atoms, second: Atoms) -> DifferenceVariance:
        """Return the variance of the energy of ``first`` minus that of ``second``, eV², by what it counts.

        It is infinite where their compositions differ in a way that no label identifies.
        """
        return self.energy_combination_variance([first, second], [1.0, -1.0])

    def energy_combination_variance(
        self, structures: Sequence[Atoms], coefficients: Sequence[float]
    ) -> DifferenceVariance:
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
        gradients, sizes, posterior = self._gradients(structures)
        factors = np.asarray(coefficients, dtype=float)
        return variance_of_difference(factors @ gradients, float(factors**2 @ sizes), posterior)

    def energy_difference_stderr(
        self, first: Atoms, second: Atoms, *, model_error: ModelErrorKind | Literal["larger"] = "larger"
    ) -> float:
        """Return the one-sigma error of the energy of ``first`` minus that of ``second``, eV.

        Parameters
        ----------
        first, second
            The structures.
        model_error
            As for :meth:`energy_covariance`, or ``larger``: the larger of ``independent`` and ``correlated``.
        """
        variance = self.energy_difference_variance(first, second)
        kinds = {
            "none": variance.weights,
            "independent": variance.independent,
            "correlated": variance.correlated,
            "larger": variance.headline,
        }
        if model_error not in kinds:
            raise ConfigError(one_of(model_error, kinds, "kind of model error"))
        if np.isnan(kinds[model_error]):
            raise ModelError(UNCORRELATED)
        return float(np.sqrt(kinds[model_error]))

    @property
    def has_error_bars(self) -> bool:
        """Whether the fit left a posterior of this very fidelity."""
        return (
            self.posterior is not None
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
        if self.posterior is None or not self.has_error_bars:
            raise ModelError(f"The model has no posterior of {self.fidelity!r}, so nothing can be drawn from it.")
        drawn = drawn_potential(self.potential, self.fidelity, self.posterior, seed=seed, index=index)
        return RungCalculator(drawn, fidelity=self.fidelity)

    def energy_changes(self, structures: Sequence[Atoms], count: int, *, seed: int = 0) -> Array:
        """Return the energies on :meth:`draws` less those of this calculator, eV, shape ``(count, S)``.

        Energies are linear in what is drawn, so one design of each structure serves all draws.

        Raises
        ------
        ModelError
            When the model has no posterior of this fidelity.
        """
        gradients, _, posterior = self._gradients(structures)
        drawn = [drawn_change(posterior, seed, index) for index in range(count)]
        return np.array(drawn) @ gradients.T

    def get_atom_energies_stderr(self, atoms: Atoms | None = None) -> Array:
        """Return √(hᵀΣh) of each atom, eV, shape ``(n,)``: the error that the weights give to its energy.

        h are the derivatives of the atom's energy with respect to the fitted weights; reference energies and the
        model's own error are not in it. Where it is larger than on the training structures the features are new.

        Raises
        ------
        ModelError
            When the model has no posterior of this fidelity.
        """
        potential, posterior = self.potential, self.posterior
        if posterior is None or not isinstance(potential, ReadoutPotential) or not self.has_error_bars:
            raise ModelError(f"The model has no posterior of {self.fidelity!r}, so it has no error bars.")
        structure = Structure(self._given(atoms), "", {})
        batch = collate([structure], [self.fidelity], potential.cutoff, dtype=potential.dtype, device=potential.device)
        with torch.no_grad():
            basis = _numpy(potential.surface(self.fidelity).readout.basis(potential.backbone.features(batch)))
        weights = basis.shape[1]
        variance = np.einsum("ip,pq,iq->i", basis, posterior.covariance[:weights, :weights], basis, optimize=True)
        return np.sqrt(np.maximum(variance, 0.0))

    def _given(self, atoms: Atoms | None) -> Atoms:
        atoms = atoms if atoms is not None else self.atoms
        if atoms is None:
            raise ConfigError("No structure was given and none was calculated before.")
        return atoms

    def _designs(self, structures: Sequence[Atoms], *, forces: bool) -> tuple[list[Design], Posterior]:
        potential = self.potential
        if self.posterior is None or not isinstance(potential, ReadoutPotential):
            raise ModelError("The model has no posterior, so it has no error bars.")
        readout = potential.surface(self.fidelity).readout
        names = self.posterior.parameters[: len(readout.weights)]
        if self._posterior_of != self.fidelity or names != readout.parameters:
            raise ModelError(f"The model's error bars are those of {self._posterior_of!r}, not of {self.fidelity!r}.")
        rows = [Structure(atoms, str(index), {}) for index, atoms in enumerate(structures)]
        designs = build_designs(rows, potential.backbone, readout, forces=forces, fidelity=self.fidelity)
        return designs, self.posterior

    def _gradients(self, structures: Sequence[Atoms]) -> tuple[Array, Array, Posterior]:
        """Return ∂E/∂(weights, E0) of each structure, their numbers of atoms, and the posterior."""
        designs, posterior = self._designs(structures, forces=False)
        elements = sorted(self.potential.elements)
        rows = [
            np.concatenate([design.energy, _by_parameter(design.composition, elements, posterior)])
            for design in designs
        ]
        return np.array(rows), np.array([float(design.n_atoms) for design in designs]), posterior


def _opened(
    model: str | Path | Checkpoint | Potential,
    fidelity: str,
    *,
    trusted: bool,
    head: str | None,
    device: str,
    dtype: str | None,
) -> Any:
    if isinstance(model, (str, Path)):
        return open_model(model, fidelity=fidelity, trusted=trusted, head=head, device=device, dtype=dtype)
    if isinstance(model, Checkpoint):
        return model
    return Checkpoint(model)  # type: ignore[arg-type] # any potential serves where no file is written


def _own_covariance(gradients: Array, sizes: Array, posterior: Posterior, kind: ModelErrorKind) -> Array:
    if kind == "none":
        return np.zeros((len(sizes), len(sizes)))
    if kind == "independent":
        return np.diag(sizes * posterior.model_error**2)
    if kind != "correlated":
        raise ConfigError(f"model_error is 'none', 'independent' or 'correlated', not {kind!r}.")
    if posterior.model_covariance is None:
        raise ModelError(UNCORRELATED)
    return np.asarray(gradients @ posterior.model_covariance @ gradients.T)


def _by_parameter(composition: Array, elements: Sequence[int], posterior: Posterior) -> Array:
    """Return the composition in the order of the posterior's E0 parameters.

    Raises
    ------
    ModelError
        When the structure has an element whose E0 the fit did not have.
    """
    counts = dict(zip(elements, composition, strict=True))
    fitted = [int(found[1]) for name in posterior.parameters if (found := re.fullmatch(r"E0\[(\d+)\]", name))]
    missing = sorted(number for number, count in counts.items() if count and number not in fitted)
    if missing:
        raise ModelError(f"The fit had no reference energy for the atomic numbers {missing}, so no error bar is known.")
    return np.array([counts.get(number, 0.0) for number in fitted])


def _numpy(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)
