"""Checks of statistical errors: missing, zero, negative, absurd."""

from collections.abc import Iterator, Sequence

import numpy as np

from rung.data.labels import ENERGY_STDERR
from rung.data.soundness import any_not_positive, negative_keys
from rung.data.structure import Structure
from rung.doctor.examined import Examined
from rung.doctor.findings import few, finding, ids
from rung.errors import counted
from rung.results.findings import Finding

TINY = 1.0e-6
"""eV: no sampling of an energy gets here, and thresholds of self-consistency leave no less."""

UNEVEN = 500.0
"""Times the median of a fidelity: errors per √atom spread by factors of 10 or 30, and by 1000 where some are in meV."""

ENOUGH = 4
"""Errors, of which a median tells what is usual."""


def stderr_missing(examined: Examined) -> Iterator[Finding]:
    """Find energies without an error among energies with one, and a target to learn from that has none at all."""
    teaches = examined.teaches
    fitted = {id(structure) for structure in examined.fitted.get(teaches, ())}
    for split, fidelity, members in examined.labelled():
        # what a fit leaves out counts as nothing there; elsewhere it is scored
        counting = [one for one in members if split != teaches or id(one) in fitted]
        with_energy = [structure for structure in counting if structure.labels[fidelity].has_energy]
        without = [structure for structure in with_energy if np.isnan(structure.labels[fidelity].energy_stderr)]
        if without and len(without) < len(with_energy):
            yield finding(
                "warning",
                "stderr-missing",
                f"{split}: {len(without)} of {len(with_energy)} {fidelity!r} energies "
                f"{'has' if len(without) == 1 else 'have'} no energy_stderr and "
                f"count{'s' if len(without) == 1 else ''} as exact beside those that have one: {few(ids(without))}.",
                (split,),
                (fidelity,),
                ids(without),
            )
        elif without and fidelity == examined.target and split == teaches:
            yield finding(
                "note",
                "stderr-absent",
                f"{split}: no {fidelity!r} energy has an energy_stderr; all count as exact.",
                (split,),
                (fidelity,),
            )


def stderr_sign(examined: Examined) -> Iterator[Finding]:
    """Find errors that are negative, or zero."""
    for split, fidelity, members in examined.labelled():
        if not any_not_positive([structure.labels[fidelity] for structure in members]):
            continue
        noisy = [structure for structure in members if not np.isnan(structure.labels[fidelity].energy_stderr)]
        negative = [structure for structure in members if negative_keys(structure.labels[fidelity])]
        zero = [structure for structure in noisy if structure.labels[fidelity].energy_stderr == 0.0]
        if negative:
            sentence = (
                f"{split}: {counted(len(negative), 'frame has', 'frames have')} a negative {fidelity!r} error: "
                f"{few(ids(negative))}."
            )
            yield finding("error", "stderr-negative", sentence, (split,), (fidelity,), ids(negative))
        if zero:
            some = len(zero) < len(noisy)
            yield finding(
                "error" if some else "warning",
                "stderr-zero",
                f"{split}: {len(zero)} of {len(noisy)} {fidelity!r} energies {'has' if len(zero) == 1 else 'have'} an "
                f"energy_stderr of 0 and would outweigh all others; leave {fidelity}{ENERGY_STDERR} out where the "
                "energy is exact.",
                (split,),
                (fidelity,),
                ids(zero),
            )


def stderr_absurd(examined: Examined) -> Iterator[Finding]:
    """Find errors below any that can be, errors larger than what they belong to, and errors without an energy."""
    for split, fidelity, members in examined.labelled():
        noisy = [structure for structure in members if structure.labels[fidelity].energy_stderr > 0]
        tiny = [structure for structure in noisy if structure.labels[fidelity].energy_stderr <= TINY]
        alone = [structure for structure in noisy if not structure.labels[fidelity].has_energy]
        if tiny:
            sentence = (
                f"{split}: {counted(len(tiny), 'frame has', 'frames have')} a {fidelity!r} energy_stderr of "
                f"{TINY:.0e} eV or less: "
                f"{few(ids(tiny))}; is it in eV?"
            )
            yield finding("warning", "stderr-tiny", sentence, (split,), (fidelity,), ids(tiny))
        if alone:
            sentence = (
                f"{split}: {counted(len(alone), 'frame has', 'frames have')} a {fidelity!r} energy_stderr and no "
                "energy."
            )
            yield finding("warning", "stderr-alone", sentence, (split,), (fidelity,), ids(alone))
        yield from _larger_than_spread(split, fidelity, noisy)


def stderr_uneven(examined: Examined) -> Iterator[Finding]:
    """Find a few errors that are hundreds of times those of the other labels, or as much smaller."""
    for split, fidelity, members in examined.labelled():
        noisy = [
            one for one in members if one.labels[fidelity].has_energy and one.labels[fidelity].energy_stderr > TINY
        ]
        if len(noisy) < ENOUGH:
            continue
        stderr = np.array([structure.labels[fidelity].energy_stderr for structure in noisy])
        per_atom = stderr / np.sqrt([len(structure) for structure in noisy])  # sampling of larger cells errs by more
        ratio, median = per_atom / np.median(per_atom), np.median(stderr)
        for far, outcome in (
            (ratio > UNEVEN, "these labels hardly count"),
            (ratio < 1.0 / UNEVEN, "these labels outweigh all others"),
        ):
            if far.any():
                concerned = [noisy[place] for place in np.flatnonzero(far)]
                worst = int(np.argmax(np.where(far, np.abs(np.log(ratio)), -1.0)))
                yield finding(
                    "warning",
                    "stderr-uneven",
                    f"{split}: {counted(len(concerned), 'frame has', 'frames have')} a {fidelity!r} energy_stderr "
                    "far from the others', in "
                    f"{noisy[worst].structure_id} {stderr[worst]:.3g} eV where the median is {median:.3g} eV: "
                    f"{few(ids(concerned))}; {outcome}. Are all in eV?",
                    (split,),
                    (fidelity,),
                    ids(concerned),
                )


def _larger_than_spread(split: str, fidelity: str, noisy: Sequence[Structure]) -> Iterator[Finding]:
    by_formula: dict[str, list[Structure]] = {}
    for structure in noisy:
        if structure.labels[fidelity].has_energy:
            by_formula.setdefault(structure.formula, []).append(structure)
    drowned = {formula: members for formula, members in by_formula.items() if _drowned(members, fidelity)}
    if drowned:
        concerned = [structure for members in drowned.values() for structure in members]
        yield finding(
            "warning",
            "stderr-large",
            f"{split}: the {fidelity!r} energies of {few(sorted(drowned))} differ by less than their energy_stderr: "
            "they say nothing, or the unit is not eV.",
            (split,),
            (fidelity,),
            ids(concerned),
        )


def _drowned(members: Sequence[Structure], fidelity: str) -> bool:
    """Whether errors exceed the spread of energies; a sample of noise alone spreads by about one standard error."""
    energies = np.array([structure.labels[fidelity].energy for structure in members])
    stderr = float(np.median([structure.labels[fidelity].energy_stderr for structure in members]))
    distinct = len({structure.geometry_hash for structure in members})
    return distinct >= 4 and stderr > 1.5 * float(energies.std(ddof=1))
