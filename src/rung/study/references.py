"""Reference energies that the draws of a study leave open: energy errors on such structures compare nothing."""

from collections.abc import Iterator

from rung.data.determined import determined_by
from rung.data.splits import draw_labels
from rung.errors import counted
from rung.results.references import OPEN_REFERENCES, WHAT_TO_DO, OpenReferences
from rung.study.config import StudyConfig
from rung.study.workshop import Workshop

Draw = tuple[int, int, int]
"""Number of labels, seed and fold."""


def open_references(workshop: Workshop) -> dict[str, dict[Draw, OpenReferences]]:
    """Return of which energies each draw leaves reference energies open, by split; draws without any are absent.

    A method has no part in it: draws are the same for all.
    """
    config = workshop.config
    found: dict[str, dict[Draw, OpenReferences]] = {}
    for fold in config.folds():
        sides = workshop.sides(fold)
        for n_labels, seed in ((n, seed) for n in config.labels for seed in config.seeds):
            known = determined_by(draw_labels(sides.train, config.target, n_labels, seed), config.target)
            for split, structures in sides.evaluate.items():
                one = known.open_among(structures, config.target)
                if one.n_open:
                    found.setdefault(split, {})[n_labels, seed, fold] = one
    return found


def open_sentences(config: StudyConfig, found: dict[str, dict[Draw, OpenReferences]]) -> Iterator[str]:
    """Yield a sentence for each split of which a draw leaves reference energies open."""
    n_draws = len(config.seeds) * len(config.folds())
    for split, draws in found.items():
        by_number: dict[int, list[OpenReferences]] = {}
        for (n_labels, _, _), one in draws.items():
            by_number.setdefault(n_labels, []).append(one)
        at = "; ".join(_at(n_labels, by_number[n_labels], n_draws) for n_labels in sorted(by_number))
        yield (
            f"Labels {OPEN_REFERENCES} on {split}, {at}: energy errors of every row there are mostly those of "
            f"reference energies that no label tells; {WHAT_TO_DO}."
        )


def _at(number: int, found: list[OpenReferences], n_draws: int) -> str:
    worst = max(found, key=lambda one: one.n_open)
    return f"with {counted(number, 'label')} for up to {worst.part} in {len(found)} of {counted(n_draws, 'draw')}"
