"""What ``rung inspect`` found, in a few words."""

import math
from collections.abc import Iterator, Mapping

from rung.report.summary import UNKNOWN, Summary, Table, number
from rung.results.inspection import Inspection, ModelFacts
from rung.results.origin import Card, Origin, TrainingLabels
from rung.units import MILLI

MANY = 12
"""Elements from which on E0 is left to ``--json``."""


def inspection_summary(found: Inspection) -> Summary:
    """Return the tables and sentences of an inspection."""
    head = Table("", ("file", found.file), tuple(_file_rows(found)), n_names=2)
    models = [Table("", ("backend", one.backend), tuple(_model_rows(one)), n_names=2) for one in found.models]
    origin = [] if found.origin is None else [_labels(found.origin), _made_from(found.origin)]
    energies = _energies(found)
    return Summary(
        tables=(head, *models, *origin, *([energies] if energies is not None else [])),
        sentences=() if found.origin is not None else ("The file does not say what it was made from.",),
        warnings=tuple(f"rung cannot use this model: {one.trouble}" for one in found.models if one.trouble),
    )


def _file_rows(found: Inspection) -> Iterator[tuple[str, str]]:
    yield "what it is", found.kind
    yield "size", f"{found.size:,} bytes"
    yield "SHA-256, 32 digits", found.sha256_32
    if found.card is not None:
        yield from _card_rows(found.card)
    for name, one in found.fidelities.items():
        yield f"fidelity {name}", f"{one.n_weights} weights in its readout"
    if found.fidelities:
        yield "error bars", found.posterior or "none"
    if found.exported:
        yield "exported", ", ".join(found.exported)


def _card_rows(card: Card) -> Iterator[tuple[str, str]]:
    yield "fidelity", card.fidelity
    level = _level(card.origin, card.fidelity)
    if level:
        yield "level of theory", level
    yield "written by", f"rung {card.rung}"
    if card.draw is not None:
        yield "draw", f"{card.draw.number + 1} of {card.draw.of}, seed {card.draw.seed}: {card.draw.holds}"


def _model_rows(model: ModelFacts) -> Iterator[tuple[str, str]]:
    yield "kind", model.kind
    if model.heads:
        yield "heads", ", ".join(model.heads)
    yield "elements", f"{len(model.elements)}: {' '.join(model.elements)}" if model.elements else UNKNOWN
    yield "cutoff", f"{number(model.cutoff, 2)} Å"
    yield "an atom sees", f"{number(model.receptive_field, 2)} Å"
    yield "type of numbers", model.dtype or UNKNOWN
    yield "weights", UNKNOWN if model.n_weights is None else f"{model.n_weights:,}"
    for name, value in model.details.items():
        yield name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _labels(origin: Origin) -> Table:
    headings = ("fidelity", "level of theory", "energies", "differences", "with forces", "σ, meV", "shared, meV")
    return Table(
        "Labels that the fit learnt from",
        headings,
        [
            (
                name,
                one.level_of_theory or UNKNOWN,
                str(one.n_energies),
                str(one.n_differences),
                str(one.n_forces),
                number(MILLI * one.energy_stderr, 2),
                number(MILLI * one.energy_shared_stderr, 2),
            )
            for name, one in origin.labels.items()
        ],
        n_names=2,
    )


def _made_from(origin: Origin) -> Table:
    rows = [("method", origin.method, ""), ("target", origin.target, ""), ("fitted by", f"rung {origin.rung}", "")]
    if origin.base is not None:
        rows.append((f"base ({origin.base_fidelity})", origin.base.name, origin.base.sha256_32))
    rows += [(key, file.name, file.sha256_32) for key, file in origin.data.items()]
    return Table("", ("made from", "", "SHA-256, 32 digits"), rows, n_names=3)


def _energies(found: Inspection) -> Table | None:
    """Return the reference energies of each fidelity, or of each head; None where there are too many to read."""
    columns: dict[str, Mapping[str, float]] = {
        name: one.reference_energies for name, one in found.fidelities.items()
    } or {head: energies for one in found.models for head, energies in one.reference_energies.items()}
    symbols = list(dict.fromkeys(symbol for energies in columns.values() for symbol in energies))
    if not columns or len(symbols) > MANY:
        return None
    rows = [
        (symbol, *(number(energies.get(symbol, math.nan), 4) for energies in columns.values())) for symbol in symbols
    ]
    return Table("", ("E0, eV", *columns), rows)


def _level(origin: Origin | None, fidelity: str) -> str:
    known: Mapping[str, TrainingLabels] = {} if origin is None else origin.labels
    return known[fidelity].level_of_theory if fidelity in known else ""
