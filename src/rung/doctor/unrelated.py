"""Checks for labels that stand on other structures or have the other sign: they do not go with any other surface."""

from collections.abc import Iterator, Sequence

from rung.data.structure import Structure
from rung.doctor.differences import ENOUGH, FLAT, SMALL, Compared, compared_with_others
from rung.doctor.examined import Examined
from rung.doctor.findings import finding
from rung.doctor.outliers import far_from_fit
from rung.doctor.relaxed import STILL
from rung.results.findings import Finding

CLEAR = 4.0
"""By how many standard errors a slope must lie below 1, or below zero: what happens by chance once in 30,000."""

WILD = 10.0
"""Times the changes of another surface, and stated errors: labels that change so much are no noise."""


def unrelated_labels(examined: Examined) -> Iterator[Finding]:
    """Find energies of the other sign, and energies or forces that do not go with those of any other surface."""
    for split, members in examined.bonded.items():
        for fidelity in examined.judged:
            near = _near_others(members, fidelity)
            compared = [one for one in compared_with_others(examined, split, near, fidelity) if _tells(one)]
            if falling := next((one for one in compared if _falls(one)), None):
                sentence = (
                    f"{split}: the {fidelity!r} energies fall where {falling.against} rise (slope "
                    f"{falling.slope:.2f}). Are they binding or atomization energies? Labels are total energies; turn "
                    "their sign."
                )
                yield finding("error", "energy-sign", sentence, (split,), (fidelity,))
            elif strange := next((one for one in compared if _is_strange(one)), None):
                rows = "structures" if strange.kind == "energies" else "atoms"
                mine, other = strange.sizes
                unit = "eV" if strange.kind == "energies" else "eV/Å"
                sentence = (
                    f"{split}: the {fidelity!r} {strange.kind} do not go with {strange.against} (slope "
                    f"{strange.slope:.2f} ± {strange.slope_stderr:.2f}): they change by {mine:.2g} {unit}, r.m.s., "
                    f"where those change by {other:.2g}. Are they in the order of the {rows}?"
                )
                yield finding("warning", "unrelated-labels", sentence, (split,), (fidelity,))


def _near_others(members: Sequence[Structure], fidelity: str) -> list[Structure]:
    """Return structures without those whose energy is far off the others', which another check names.

    One of them, such as a zero among thousands of eV, hides whether the others go with anything.
    """
    labelled = [one for one in members if one.labelled(fidelity).has_energy]
    far = far_from_fit(labelled, fidelity, None) > 1.0
    away = {one.structure_id for one, is_far in zip(labelled, far, strict=True) if is_far}
    return [one for one in members if one.structure_id not in away]


def _tells(one: Compared) -> bool:
    """Return whether there is enough to judge, and the labels change by as much as the other surface."""
    small, large = one.sizes if one.free >= ENOUGH else (0.0, 0.0)
    least = one.least if one.kind == "energies" else STILL  # forces of frames relaxed at the other level are rests
    return large >= least and small > SMALL * large > 0.0


def _falls(one: Compared) -> bool:
    """Return whether energies go down where the other surface goes up; forces that do are found by another check."""
    return one.kind == "energies" and one.slope < -FLAT and -one.slope > CLEAR * one.slope_stderr


def _is_strange(one: Compared) -> bool:
    """Return whether labels surely do not follow, or change by far more than noise and nothing tells that they do."""
    if abs(one.slope) < FLAT and 1.0 - one.slope > CLEAR * one.slope_stderr:
        return True
    small, large = one.sizes
    unclear = one.kind == "energies" and abs(one.slope) < CLEAR * one.slope_stderr
    return unclear and small > WILD * max(large, one.noise)
