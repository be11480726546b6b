"""Writing one fidelity of a model as files for other programs: the fit, draws from its posterior, converted models."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms

from rung.backends import export, library_type, native_suffix, route_to
from rung.backends.cards import card_of
from rung.backends.precision import REFERENCE_ENERGY, largest_reference_energy, step_sentence
from rung.backends.routes import Converted, Route, convert, script_of
from rung.checkpoint import Checkpoint, open_model
from rung.data.readers.structures import read_structures
from rung.data.trial_structures import trial_structures
from rung.errors import ModelError, StorageError
from rung.fit.fidelities.normalisation import refuse_strangers
from rung.model.draws import committee_of
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from rung.model.tangent import TangentPosterior
from rung.progress import SILENT, Progress
from rung.results.origin import Card, Draw
from rung.run.file_settings import ExportSettings
from rung.units import MILLI

MOST_COMPARED = 20
"""Structures of a user's file on which a converted file is compared with rung."""

WEIGHTS = "what the labels leave open in weights and reference energies"
SMOOTH = f"{WEIGHTS}, and the smooth part of the model's own error"


@dataclass(frozen=True)
class Exported:
    """What an export left.

    Parameters
    ----------
    files
        The files, that of the fit first.
    warnings
        What their user must know.
    energy, force
        The largest difference of a converted file from rung, eV/atom and eV/Å; NaN of a native file.
    n_structures
        On how many structures.
    """

    files: tuple[Path, ...]
    warnings: tuple[str, ...] = ()
    energy: float = math.nan
    force: float = math.nan
    n_structures: int = 0


def export_files(settings: ExportSettings, *, progress: Progress = SILENT) -> Exported:
    """Write one fidelity of a model for its own library or for another engine, with draws where they are asked for.

    Raises
    ------
    ConfigError
        When the model's backend knows no way to the engine: the sentence lists what there is.
    ModelError
        When the model cannot be such a file, the file differs from rung, or there is no posterior to draw from.
    StorageError
        When there is a file of one of the names: an export never replaces one.
    """
    if settings.out is not None:
        require_free([settings.out])
    opened = open_model(settings.model, fidelity=settings.fidelity, trusted=settings.trusted, dtype=settings.dtype)
    route = _route(opened.potential, settings)
    suffix = native_suffix(opened.potential, settings.fidelity) if route is None else route.suffix
    targets = _names(settings, suffix)
    require_free(targets if route is None else [*targets, *(script_of(route, target) for target in targets)])
    members = _members(opened, settings)
    structures = () if route is None else _structures(opened.potential, settings)
    files: list[Path] = []
    differences: list[tuple[float, float]] = []
    with progress.task("Exporting", len(targets)) as task:
        for target, (potential, draw) in zip(targets, members, strict=True):
            card = card_of(potential, settings.fidelity, opened.origin).model_copy(update={"draw": draw})
            if route is None:
                export(potential, settings.fidelity, target, card=card)
                files.append(target)
            else:
                made = _converted(route, target, potential, structures, card)
                files += [made.file, made.script]
                differences.append((made.energy, made.force))
            task.advance()
    energy, force = np.max(differences, axis=0).tolist() if differences else (math.nan, math.nan)
    return Exported(tuple(files), tuple(_warnings(opened, settings, targets[0])), energy, force, len(structures))


def export_file(settings: ExportSettings) -> str:
    """Write what :func:`export_files` writes; return what the user must know, or nothing; errors as there."""
    return " ".join(export_files(settings).warnings)


def require_free(paths: Sequence[Path]) -> None:
    """Raise a :class:`~rung.errors.StorageError` where one of the files is there already."""
    for path in paths:
        if path.exists():
            raise StorageError(f"{path} is there already, and an export replaces no file; name another.")


def _route(potential: ReadoutPotential, settings: ExportSettings) -> Route | None:
    if settings.engine is None:
        return None
    return route_to(settings.engine, potential, settings.fidelity)


def _names(settings: ExportSettings, suffix: str) -> list[Path]:
    """Return the name of the fit's file, then those of the draws, as many as there are."""
    fit = settings.out if settings.out is not None else Path(f"{settings.fidelity}{suffix}")
    ending = suffix if fit.name.endswith(suffix) else fit.suffix
    stem = fit.name.removesuffix(ending)
    return [fit, *(fit.with_name(f"{stem}-draw{number}{ending}") for number in range(settings.committee))]


def _members(opened: Checkpoint, settings: ExportSettings) -> list[tuple[ReadoutPotential, Draw | None]]:
    """Return the fit and the draws from its posterior, each with what its card says.

    Raises
    ------
    ModelError
        When there is no posterior of this fidelity's readout.
    """
    fit: tuple[ReadoutPotential, Draw | None] = (opened.potential, None)
    if not settings.committee:
        return [fit]
    posterior, fidelity = opened.posterior, settings.fidelity
    if isinstance(posterior, TangentPosterior):
        raise ModelError(
            "The draws of a tangent fit change energies linearly in all weights, which no file of the network does; "
            "RungCalculator.draws has them, and --committee takes fits of the readout."
        )
    if posterior is None or opened.metadata.get("target", fidelity) != fidelity:
        raise ModelError(
            f"{settings.model} has no posterior of {fidelity!r} to draw from; a fit by readout leaves that of "
            "its target."
        )
    known = posterior.with_smooth_error() if settings.model_error else posterior
    drawn = committee_of(opened.potential, fidelity, known, settings.committee, seed=settings.seed)
    holds = SMOOTH if settings.model_error and posterior.model_covariance is not None else WEIGHTS
    count = settings.committee
    return [fit, *((one, Draw(number=k, of=count, seed=settings.seed, holds=holds)) for k, one in enumerate(drawn))]


def _structures(potential: ReadoutPotential, settings: ExportSettings) -> tuple[Atoms, ...]:
    """Return where a converted file is compared with rung."""
    if settings.structures is None:
        return tuple(trial_structures(sorted(potential.elements)))
    read = read_structures(settings.structures)[:MOST_COMPARED]
    refuse_strangers(read, sorted(potential.elements))
    return tuple(one.atoms for one in read)


def _converted(
    route: Route, target: Path, potential: ReadoutPotential, structures: Sequence[Atoms], card: Card
) -> Converted:
    with TemporaryDirectory(prefix="rung-") as folder:
        native = Path(folder) / f"native{native_suffix(potential, card.fidelity)}"
        export(potential, card.fidelity, native)
        return convert(route, native, target, potential=potential, structures=structures, card=card)


def _warnings(opened: Checkpoint, settings: ExportSettings, file: Path) -> Iterator[str]:
    energy = largest_reference_energy(opened.potential, settings.fidelity)
    if opened.metadata.get("target") == settings.fidelity:
        energy = float(opened.metadata.get(REFERENCE_ENERGY, energy))
    runs_in = library_type(opened.potential, settings.fidelity)
    if sentence := step_sentence(opened.potential, energy, file, runs_in=runs_in):
        yield sentence
    posterior = opened.posterior
    if settings.committee and isinstance(posterior, Posterior):
        uncertain = 100.0 / math.sqrt(2.0 * settings.committee)
        if len(posterior.unidentified):
            yield (
                "No label identifies the reference energies of each element alone; nothing is drawn there, so compare "
                "spreads within one composition."
            )
        yield (
            f"The spread of {settings.committee} draws is itself uncertain by {uncertain:.0f} %, and "
            f"the rough part of the model's own error, {MILLI * math.sqrt(posterior.rough_variance):.3g} meV times "
            "√atoms in an energy, is in no file."
        )
