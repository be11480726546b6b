"""What a model file or a run is, for people; nothing in a file runs unless the user trusts it."""

from pathlib import Path

from ase.data import chemical_symbols

from rung.backends import describe, facts
from rung.backends.archive import is_checkpoint
from rung.backends.cards import card_in
from rung.checkpoint import load
from rung.errors import ModelError
from rung.model.tangent import TangentPosterior
from rung.results.inspection import FidelityFacts, Inspection
from rung.results.provenance import Provenance
from rung.run.file_settings import InspectSettings
from rung.run.folder import RunFolder
from rung.storage import file_hash


def inspect_file(settings: InspectSettings) -> Inspection:
    """Return what a file is: a checkpoint of rung, a run, a model of a backend, or a file that was converted from one.

    Parameters
    ----------
    settings
        Which file or folder, and whether it is trusted.

    Raises
    ------
    ModelError
        When there is no such file, it is damaged, or it is no model.
    UntrustedError
        When only trust would open it.
    StorageError
        When what it says of itself is damaged.
    """
    path = settings.file
    if path.is_dir():
        return _inspected_run(path)
    if not path.is_file():
        raise ModelError(f"There is no file {path}.")
    if is_checkpoint(path):
        return _inspected_checkpoint(path)
    card = card_in(path)
    whole = {"file": str(path), "size": path.stat().st_size, "sha256_32": file_hash(path), "card": card}
    if card is not None and card.route:
        return Inspection(kind=f"a model converted for {card.route}", origin=card.origin, **whole)
    model = describe(path, trusted=settings.trusted)
    kind = "a model exported by rung" if card is not None else f"a model of the backend {model.backend}"
    return Inspection(kind=kind, models=(model,), origin=None if card is None else card.origin, **whole)


def _inspected_run(path: Path) -> Inspection:
    """Return what the model of a run is.

    Raises
    ------
    ModelError
        When the folder has no model, or not yet.
    """
    folder = RunFolder(path)
    if not folder.model.is_file():
        raise ModelError(f"{path} holds no {folder.model.name}: give the folder of a run that has fitted, or a file.")
    known = Provenance.read_optional(folder.provenance)
    export = None if known is None else known.export
    inspected = _inspected_checkpoint(folder.model)
    exported = () if export is None or export.file is None else (export.file,)
    return inspected.model_copy(update={"kind": "the model of a run", "exported": exported})


def _inspected_checkpoint(path: Path) -> Inspection:
    checkpoint = load(path)
    potential, posterior = checkpoint.potential, checkpoint.posterior
    word = "all weights (tangent)" if isinstance(posterior, TangentPosterior) else "readout and reference energies"
    return Inspection(
        file=str(path),
        kind="a checkpoint of rung",
        size=path.stat().st_size,
        sha256_32=file_hash(path),
        models=facts(potential.backbone),
        fidelities={
            name: FidelityFacts(
                n_weights=len(surface.readout.weights),
                reference_energies={
                    chemical_symbols[number]: float(energy)
                    for number, energy in sorted(surface.reference.energies.items())
                },
            )
            for name, surface in potential.surfaces.items()
        },
        posterior="" if posterior is None else word,
        origin=checkpoint.origin,
    )
