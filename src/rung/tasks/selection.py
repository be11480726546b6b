"""Which structures of a pool to label next, and how precisely, for what is asked of the lifted potential."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, model_validator

from rung.data.energy_table import read_energy_tables, with_table
from rung.data.labels import Array
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import evenly_spread
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError, counted
from rung.progress import SILENT, Progress
from rung.report.tasks.selection import PAGE, selection_summary, write_selection_report
from rung.results.selection import (
    SELECTION_FILE,
    ChosenLabel,
    Course,
    QuestionBars,
    SelectionResult,
    Way,
)
from rung.results.settings import SettingsEntry
from rung.select.gaussian import Label
from rung.select.greedy import Offer, farthest_first, greedy, in_order, spent
from rung.select.questions import (
    WIDE,
    Asked,
    Question,
    asked,
    difference_asked,
    energies_asked,
    forces_asked,
    sum_asked,
)
from rung.settings import Option, Settings
from rung.storage import content_hash
from rung.tasks.folder import TaskFolder
from rung.tasks.opened import OneFidelity, Opened
from rung.tasks.task import Task

if TYPE_CHECKING:
    from rung.calculator import RungCalculator
    from rung.features.cache import DesignCache
    from rung.model.protocols import Backbone

STRUCTURES = "selected.extxyz"
FOLDER = TaskFolder("a selection of labels", (SELECTION_FILE, STRUCTURES, PAGE), begun=(SELECTION_FILE,))

MOST_CANDIDATES = 3000
"""Of how many structures the covariance is held."""

ENERGIES, FORCES = 300, 40
"""How many structures of the pool stand for all of it where its energies or forces are asked for."""

DRAWS = 20
"""How many random orders are drawn beside the choice."""

UNIDENTIFIED = 0.5 * WIDE**0.5
"""A bar as large as this, eV, stands for none."""

COEFFICIENT = "coefficient"
"""The key of a frame that says what its energy counts in a sum."""


class SelectionTask(Settings):
    """What ``rung select`` does."""

    pool: Annotated[tuple[Path, ...], Option(positional=True)]
    """Structures that may be labelled; those with a label of the fidelity are left out."""
    labels: tuple[Path, ...] = ()
    """Tables (CSV) of energies that are there already, as in data.labels: their structures are left out too."""
    count: int = Field(default=10, ge=1, le=1000)
    """How many labels, or what they may cost: the unit is a label of mean size with the largest error offered."""
    stderr: tuple[Annotated[float, Field(gt=0)], ...] = (0.03,)
    """One-sigma errors that a label may have, eV for the whole structure; of several the best for its cost is taken."""
    power: float = Field(default=0.0, ge=0, le=10)
    """A label's cost grows as N to this power, and as one over the square of its error."""
    energies: float = Field(default=0.1, ge=0)
    """What the energies of the pool count; beside other questions a little, so that reference energies are settled."""
    forces: float = Field(default=0.0, ge=0)
    """What the forces of the pool count."""
    band: Path | None = None
    """Images of a path: the highest less the first is asked for."""
    band_weight: float = Field(default=1.0, ge=0)
    """What the band counts."""
    sum: Path | None = None
    """Structures whose energies are summed, each times the key ``coefficient`` of its frame."""
    sum_weight: float = Field(default=1.0, ge=0)
    """What the sum counts."""

    @model_validator(mode="after")
    def _asks(self) -> "SelectionTask":
        if not (self.energies or self.forces or self.band or self.sum):
            raise ValueError("nothing is asked for: give energies, forces, band or sum a weight")
        if not self.stderr:
            raise ValueError("stderr needs at least one error")
        return self


def select_labels(potential: Opened, task: SelectionTask, out: Path, *, progress: Progress = SILENT) -> SelectionResult:
    """Choose labels into ``out/selected.extxyz``; return what ``out/select.json`` then says.

    Parameters
    ----------
    potential
        With error bars, of any method that leaves a posterior.
    task
        The pool, what is asked, and what labels cost.
    out
        The folder of the result.
    progress
        Where work is reported.

    Raises
    ------
    ConfigError
        When the potential has no error bars.
    DataError
        When no structure of the pool is without a label, a frame of the sum has no coefficient, or there is nothing
        to ask of the band or the sum: its first image is the highest, its coefficients cancel.
    """
    calculator = _with_bars(potential)
    table = read_energy_tables(task.labels).of(potential.fidelity)
    pool = with_table(read_structures(list(task.pool)), table)
    candidates = [one for one in pool if not one.labelled(potential.fidelity).has_energy]
    if not candidates:
        raise DataError(
            f"{counted(len(pool), 'structure is in the pool and has', 'structures are in the pool and all have')} "
            f"{potential.fidelity}_energy; add others."
        )
    warnings = []
    if len(candidates) > MOST_CANDIDATES:
        warnings.append(f"Of {len(candidates)} candidates {MOST_CANDIDATES} are weighed, evenly spread over the pool.")
        candidates = [candidates[k] for k in evenly_spread(range(len(candidates)), MOST_CANDIDATES)]
    potential.check_state(*(one.atoms for one in candidates))
    identity = {
        "pool": content_hash(*sorted(one.geometry_hash for one in candidates)),
        "setting": content_hash(task.model_dump_json(exclude={"pool"} if task.labels else {"pool", "labels"})),
    }
    with FOLDER.open(out, {potential.fidelity: potential}, identity, reads=task):
        wanted = asked(calculator.errors, candidates, _questions(task, candidates, calculator))
        if wanted.settled:
            raise DataError(
                f"The {wanted.settled[0]} leaves nothing open: its structures are one, or their coefficients cancel; "
                "leave it out, or give structures that differ."
            )
        offer = Offer(np.array([len(one) for one in candidates], dtype=float), task.stderr, task.power)
        courses = _courses(wanted, offer, task.count, calculator, candidates, progress)
        labels = courses["chosen"].steps[-1] if courses["chosen"].steps else []
        result = SelectionResult(
            fidelity=potential.fidelity,
            model=potential.source,
            settings=SettingsEntry.model_validate(task.model_dump(mode="json")),
            candidates=len(candidates),
            labels=tuple(_entry(label, candidates, wanted) for label in labels),
            questions=_bars(wanted, offer),
            courses=tuple(
                Course(way=way, cost=course.cost, bars=course.bars(wanted)) for way, course in courses.items()
            ),
            own_error=calculator.errors.posterior.model_error * float(np.sqrt(offer.sizes.mean())),
            warnings=tuple(warnings),
        )
        write_structures(
            out / STRUCTURES, [_asked_for(candidates[one.candidate], one, potential.fidelity) for one in labels]
        )
        result.write(out / SELECTION_FILE)
        write_selection_report(out)
    return result


def _with_bars(potential: Opened) -> "RungCalculator":
    if potential.error_bars is None:
        raise ConfigError(
            f"{potential.source} has no error bars at {potential.fidelity}, so nothing says what a label is worth; "
            "fit with the method readout, tangent or auto."
        )
    return potential.error_bars.calculator


def _questions(task: SelectionTask, candidates: Sequence[Structure], calculator: "RungCalculator") -> list[Question]:
    questions = []
    if task.energies:
        questions.append(energies_asked(_some(candidates, ENERGIES), task.energies))
    if task.forces:
        questions.append(forces_asked(_some(candidates, FORCES), task.forces))
    if task.band is not None:
        images = read_structures(task.band)
        if len(images) < 2:
            raise DataError(f"{task.band} has {len(images)} image; a band has at least two.")
        energies = [calculator.get_potential_energy(one.atoms) for one in images]
        top = int(np.argmax(energies))
        if top == 0:
            raise DataError(
                f"{task.band}: the first image is the highest, so the path has no barrier from there; give its images "
                "from a minimum on, or in the other order."
            )
        questions.append(difference_asked(f"barrier of {task.band.name}", images[top], images[0], task.band_weight))
    if task.sum is not None:
        terms = read_structures(task.sum)
        questions.append(sum_asked(f"sum of {task.sum.name}", terms, coefficients_of(task.sum, terms), task.sum_weight))
    return questions


def _some(structures: Sequence[Structure], count: int) -> list[Structure]:
    return [structures[k] for k in evenly_spread(range(len(structures)), count)]


def coefficients_of(path: Path, terms: Sequence[Structure]) -> Array:
    """Return what the energy of each frame of a file counts in a sum, shape ``(S,)``.

    Raises
    ------
    DataError
        When a frame has no coefficient; the message names it.
    """
    found = []
    for index, one in enumerate(terms):
        value = one.info.get(COEFFICIENT)
        if not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise DataError(f"{path}, frame {index}: no finite number {COEFFICIENT}=; say what its energy counts.")
        found.append(float(value))
    return np.array(found)


@dataclass(frozen=True)
class Steps:
    """Labels chosen so far, after each choice; of several draws the quantities are medians.

    Parameters
    ----------
    steps
        Of one order.
    others
        Of further orders of the same way.
    """

    steps: list[list[Label]]
    others: tuple[list[list[Label]], ...] = ()

    @property
    def cost(self) -> tuple[float, ...]:
        """Of the labels so far."""
        return (0.0, *(spent(labels) for labels in self.steps))

    def bars(self, wanted: Asked) -> tuple[tuple[float, ...], ...]:
        """Return the bars of each question after each choice."""
        draws = [self._bars(steps[: len(self.steps)], wanted) for steps in (self.steps, *self.others)]
        shortest = min(draw.shape[1] for draw in draws)
        middle = np.median([draw[:, :shortest] for draw in draws], axis=0)
        return tuple(tuple(row) for row in middle.tolist())

    @staticmethod
    def _bars(steps: list[list[Label]], wanted: Asked) -> Array:
        known = [wanted.knowledge.variance_after(labels) for labels in ([], *steps)]
        return np.array([[*wanted.bars(variance).values()] for variance in known]).T


def _courses(
    wanted: Asked,
    offer: Offer,
    budget: float,
    calculator: "RungCalculator",
    candidates: Sequence[Structure],
    progress: Progress,
) -> dict[Way, Steps]:
    random = np.random.default_rng(0)
    orders = [random.permutation(len(candidates)).tolist() for _ in range(DRAWS)]
    first, *others = (list(in_order(order, offer, budget)) for order in orders)
    far = farthest_first(
        mean_features(candidates, calculator.errors.potential.backbone, calculator.fidelity), len(candidates)
    )
    return {
        "chosen": Steps(list(greedy(wanted.knowledge, offer, budget, progress=progress))),
        "random": Steps(first, tuple(others)),
        "farthest": Steps(list(in_order(far, offer, budget))),
    }


def mean_features(
    structures: Sequence[Structure], backbone: "Backbone", fidelity: str, *, cache: "DesignCache | None" = None
) -> Array:
    """Return the mean features of the atoms of each structure, each of unit spread, shape ``(n, D)``."""
    from rung.features.passes import features_of  # noqa: PLC0415 - torch takes seconds, and --help reads this module

    features = features_of(structures, backbone, fidelity=fidelity, cache=cache)
    means = np.array([one.mean(axis=0) for one in features])
    spread = means.std(axis=0)
    return np.asarray((means - means.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _bars(wanted: Asked, offer: Offer) -> tuple[QuestionBars, ...]:
    everything = [offer.label(k, min(offer.stderrs)) for k in range(len(offer.sizes))]
    now = wanted.bars(wanted.knowledge.variance)
    least = wanted.bars(wanted.knowledge.variance_after(everything))
    return tuple(
        QuestionBars(
            name=question.name,
            unit=question.unit,
            now=_or_unknown(now[question.name]),
            model_error=least[question.name],
        )
        for question in wanted.questions
    )


def _or_unknown(bar: float) -> float:
    """Return a bar, or NaN where what no label identifies makes it."""
    return bar if bar < UNIDENTIFIED else float("nan")


def _entry(label: Label, candidates: Sequence[Structure], wanted: Asked) -> ChosenLabel:
    structure = candidates[label.candidate]
    return ChosenLabel(
        structure_id=structure.structure_id,
        n_atoms=len(structure),
        stderr=label.stderr,
        cost=label.cost,
        now=_or_unknown(float(np.sqrt(wanted.knowledge.candidates[label.candidate, label.candidate]))),
    )


def _asked_for(structure: Structure, label: Label, fidelity: str) -> Structure:
    """Return a structure that says which error its label should have."""
    return replace(structure, info={**structure.info, f"{fidelity}_stderr_wanted": label.stderr})


TASK = Task(
    name="select",
    note="Ask for a barrier with --band, for forces with --forces 1, for a sum of energies with --sum; energies count "
    "a little beside them. The labels go to selected.extxyz, the page to select.html.",
    kept="The selection is in",
    example="rung select model.rung pool.extxyz --fidelity dmc --count 10 --band band.extxyz --out next",
    potential=OneFidelity,
    settings=SelectionTask,
    work=select_labels,
    summary=selection_summary,
    json=SelectionResult.as_json,
)
