"""What a potential says of labelled structures, beside the labels and the base."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.batch import by_atoms
from rung.data.labels import Array, Labels
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.evaluate.coverage import LEVELS, against_labels, coverage_table
from rung.evaluate.errors import ErrorSums
from rung.model.domain import Place
from rung.model.potential import ReadoutPotential
from rung.model.predictions import predict_structures
from rung.model.standing import standing
from rung.progress import SILENT, Progress
from rung.results.geometries import Geometries
from rung.results.metrics import Calibration, DomainErrors, SplitErrors
from rung.results.predictions import Predictions

ATOMS_PER_BATCH = 300
"""Enough to fill the processor, little enough for any memory."""


@dataclass(frozen=True)
class SplitPrediction:
    """What a potential says of ``S`` structures of ``n`` atoms each.

    Parameters
    ----------
    energy
        eV, shape ``(S,)``.
    energy_stderr
        One-sigma error of each energy against a label, posterior and model error together, eV, shape ``(S,)``: what all
        labels share is not in it. NaN where unknown, infinite beyond what the labels determine.
    forces
        eV/Å, one ``(n, 3)`` a structure, None where they were not computed.
    forces_stderr
        One-sigma error of each component, like ``forces``; None where no error bars are known.
    stress
        eV/Å³, shape ``(S, 6)``, NaN without volume; None where it was not computed.
    places
        Where each structure lies, seen from those of the fit, None where the fit did not keep it; None without error
        bars.
    """

    energy: Array
    energy_stderr: Array
    forces: tuple[Array | None, ...]
    forces_stderr: tuple[Array | None, ...] | None = None
    stress: Array | None = None
    places: tuple[Place | None, ...] | None = None

    @property
    def outside(self) -> Array | None:
        """Whether each structure is outside the domain of the fit, NaN where that is not known, shape ``(S,)``."""
        if self.places is None:
            return None
        return np.array([np.nan if place is None else float(place.outside) for place in self.places])


def predict(
    potential: ReadoutPotential,
    structures: Sequence[Structure],
    fidelity: str,
    *,
    forces: bool = True,
    stress: bool = False,
    progress: Progress = SILENT,
) -> SplitPrediction:
    """Run a potential over structures in batches, without error bars; forces and stress where they are asked for.

    Raises
    ------
    ConfigError
        When the potential does not offer ``fidelity``.
    ModelError
        When it does not know an element.
    """
    potential.surface(fidelity)  # an unknown name is refused before the neighbours are listed
    batches = by_atoms(structures, ATOMS_PER_BATCH)
    predictions = []
    with progress.task(f"Predictions ({fidelity})", len(structures)) as task:
        for prediction in predict_structures(potential, batches, fidelity, forces=forces, stress=stress):
            predictions.append(prediction)
            task.advance()
    return SplitPrediction(
        energy=np.array([one.energy for one in predictions]),
        energy_stderr=np.full(len(predictions), np.nan),
        forces=tuple(one.forces for one in predictions),
        stress=np.array([one.stress for one in predictions]).reshape(-1, 6) if stress else None,
    )


def errors_of(
    prediction: SplitPrediction,
    structures: Sequence[Structure],
    fidelity: str,
    base: SplitPrediction | None = None,
) -> SplitErrors:
    """Return the errors of ``prediction`` against the labels of ``fidelity``, and its departure from the base."""
    sums = ErrorSums()
    add_errors(sums, prediction, structures, fidelity, base)
    return sums.errors()


def add_errors(
    sums: ErrorSums,
    prediction: SplitPrediction,
    structures: Sequence[Structure],
    fidelity: str,
    base: SplitPrediction | None = None,
) -> None:
    """Add the errors of some structures of a split to those of the others; see :func:`errors_of`."""
    labels = [structure.labelled(fidelity) for structure in structures]
    computed = [forces is not None for forces in prediction.forces]
    sums.add(
        prediction.energy,
        [label.energy for label in labels],
        [len(structure) for structure in structures],
        [structure.formula for structure in structures],
        energy_stderr_label=[label.energy_stderr for label in labels],
        energy_stderr=prediction.energy_stderr,
        forces=_blocks(prediction.forces, structures, computed),
        forces_label=_blocks([label.forces for label in labels], structures, computed),
        base_forces=None if base is None else _blocks(base.forces, structures, computed),
        stress=prediction.stress,
        stress_label=None if prediction.stress is None else _stresses(labels, structures),
        outside=prediction.outside,
    )


def _stresses(labels: Sequence[Labels], structures: Sequence[Structure]) -> list[Array]:
    """Return the labels of stress, NaN where a structure has no volume: there is none, whatever its label says."""
    return [
        label.stress if structure.atoms.pbc.any() and structure.atoms.cell.rank == 3 else np.full(6, np.nan)
        for label, structure in zip(labels, structures, strict=True)
    ]


def named_places(prediction: SplitPrediction, structures: Sequence[Structure]) -> list[tuple[str, Place | None]]:
    """Return the name of each structure and where it lies; none without error bars."""
    places = prediction.places or ()
    return [(structure.structure_id, place) for structure, place in zip(structures, places, strict=bool(places))]


def domain_errors(
    sums: ErrorSums, places: Iterable[tuple[str, Place | None]], split: str, fidelity: str
) -> DomainErrors:
    """Return what of a split is inside the domain of the fit and what is not, with how well error bars hold in each.

    Parameters
    ----------
    sums
        The errors of all structures of the split.
    places
        The name of each of them, and where it lies.
    split, fidelity
        For the sentence.
    """
    inside, outside = sums.calibration(outside=False), sums.calibration(outside=True)
    where = standing(places)
    numbers = where.numbers(
        f"structures of {split}",
        inside=_apply(fidelity, inside, sums.n_labelled(outside=False)),
        outside=_quoted(fidelity, inside, all_outside=len(where.outside) == len(where.places))
        + f"; {_apart(outside, sums.n_labelled(outside=True))}",
    )
    return DomainErrors(**numbers.as_json(), inside=inside, outside=outside)


def _apply(fidelity: str, inside: Calibration, n_labelled: int) -> str:
    if inside.n:
        return f"the error bars of {fidelity} apply, with a z² of {inside.z2:.2f} here"
    return f"no energy of {fidelity} has an error bar here" if n_labelled else f"the error bars of {fidelity} apply"


def _quoted(fidelity: str, inside: Calibration, *, all_outside: bool) -> str:
    if all_outside:
        return f"quote no error bar of {fidelity} here"
    return f"quote the error bars of {fidelity} for the others only" + (
        f", whose z² is {inside.z2:.2f}" if inside.n else ""
    )


def _apart(outside: Calibration, n_labelled: int) -> str:
    """Return how error bars hold outside the domain, for a sentence."""
    if outside.n:
        return f"there z² is {outside.z2:.2f}"
    return "no energy there has an error bar" if n_labelled else "no energy there is labelled"


def shares_of(prediction: SplitPrediction, structures: Sequence[Structure], fidelity: str) -> dict[str, float]:
    """Return how often error bars of 68 % and 95 % held the labels, as ``coverage_energy_68`` and so on.

    The bars are those of prediction and label together, as in z². Empty where nothing has a bar.
    """
    labels = [structure.labelled(fidelity) for structure in structures]
    found: dict[str, float] = {}
    bars = against_labels(prediction.energy_stderr, [label.energy_stderr for label in labels])
    shares = coverage_table(prediction.energy, [label.energy for label in labels], bars, LEVELS)
    found |= {f"coverage_energy_{100 * share.level:.0f}": share.fraction for share in shares if share.n}
    if prediction.forces_stderr is None:
        return found
    blocks = [
        (forces, label.forces, against_labels(stderr, label.forces_stderr))
        for forces, label, stderr in zip(prediction.forces, labels, prediction.forces_stderr, strict=True)
        if forces is not None and stderr is not None
    ]
    if blocks:
        values, truths, bars = (np.concatenate(part) for part in zip(*blocks, strict=True))
        shares = coverage_table(values, truths, bars, LEVELS)
        found |= {f"coverage_forces_{100 * share.level:.0f}": share.fraction for share in shares if share.n}
    return found


def has_stress(structures: Sequence[Structure], fidelity: str) -> bool:
    """Return whether any of ``structures`` has a stress label of ``fidelity``."""
    return any(structure.labelled(fidelity).has_stress for structure in structures)


def _blocks(forces: Sequence[Array | None], structures: Sequence[Structure], computed: Sequence[bool]) -> list[Array]:
    """Return one block a structure, NaN where the prediction has none, so that a label there does not count."""
    return [
        block if block is not None and known else np.full((len(structure), 3), np.nan)
        for block, structure, known in zip(forces, structures, computed, strict=True)
    ]


MOST_ATOMS = 20_000
"""In the geometries of a split that are kept to be looked at."""


def geometries_of(structures: Sequence[Structure]) -> Geometries:
    """Return the content of ``geometries/<split>.json``: of a large split evenly spread ones."""
    atoms = sum(len(structure) for structure in structures)
    count = len(structures) if atoms <= MOST_ATOMS else max(1, MOST_ATOMS * len(structures) // atoms)
    rows = evenly_spread(range(len(structures)), count)
    chosen = [structures[row].atoms for row in rows]
    return Geometries(
        rows=tuple(rows),
        symbols=tuple(" ".join(one.symbols) for one in chosen),
        positions=tuple(np.round(one.positions, 4) for one in chosen),
        cells=tuple(np.round(one.cell.array, 4) if one.cell.any() else None for one in chosen),
    )


KIND_KEYS = ("config_type", "kind", "category", "group", "molecule", "phase", "source", "dataset")
"""Entries of frames by which errors are told apart, the first that does so."""

MOST_KINDS = 30
"""More are names, not kinds."""


def kinds_of(structures: Sequence[Structure]) -> tuple[str, tuple[str, ...] | None]:
    """Return the entry that sorts the structures into two kinds or more, and what it says of each; else none."""
    for key in KIND_KEYS:
        values = [structure.info.get(key) for structure in structures]
        if all(isinstance(value, (str, int)) for value in values):
            kinds = tuple(map(str, values))
            if 2 <= len(set(kinds)) <= MOST_KINDS:
                return key, kinds
    return "", None


def beside_labels(
    structures: Sequence[Structure], fidelity: str, prediction: SplitPrediction, base: SplitPrediction | None
) -> Predictions:
    """Return the content of ``predictions/<split>.json``: values, labels and error bars of every structure."""
    labels, places = [structure.labelled(fidelity) for structure in structures], prediction.places
    key, kinds = kinds_of(structures)
    return Predictions(
        fidelity=fidelity,
        structure_ids=tuple(structure.structure_id for structure in structures),
        formulas=tuple(structure.formula for structure in structures),
        n_atoms=tuple(len(structure) for structure in structures),
        energy=prediction.energy,
        energy_stderr=prediction.energy_stderr,
        energy_label=np.array([label.energy for label in labels]),
        energy_stderr_label=np.array([label.energy_stderr for label in labels]),
        energy_base=None if base is None else base.energy,
        forces=prediction.forces,
        forces_stderr=prediction.forces_stderr,
        forces_label=tuple(label.forces if label.has_forces else None for label in labels),
        forces_base=None if base is None else base.forces,
        domain_distance=None
        if places is None
        else np.array([np.nan if one is None else one.distance for one in places]),
        outside=None if places is None else tuple(None if one is None else one.outside for one in places),
        kind_key=key,
        kinds=kinds,
    )
