"""What a campaign asks: settings of each kind of question, which need no model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from rung.config import Files
from rung.errors import ConfigError
from rung.evaluate.paths.barrier import BandSettings
from rung.evaluate.paths.refinement import BandDraws
from rung.settings import PLAIN, Settings, is_plain, paths_in, shown


class QuestionSettings(Settings):
    """What every question is told."""

    tolerance: float = Field(gt=0)
    """The one-sigma error to reach, in the unit of the question: eV, eV/atom or eV/Å."""


class BarrierQuestion(QuestionSettings):
    """A barrier along a band that is relaxed anew on each fit, eV."""

    kind: Literal["barrier"] = "barrier"
    initial: Path
    """The file of one end; the first structure counts."""
    final: Path
    """The file of the other end: the same atoms in one order and one cell."""
    images: Literal["auto"] | Annotated[int, Field(ge=3, le=1000)] = 7
    """Images of the band, both ends counted; auto: more and more until the barrier stands still."""
    band: BandSettings = BandSettings()
    """How a band is relaxed."""
    guess: Path | None = None
    """A file of a band to begin with in each round, ends counted, in place of an interpolation."""
    draws: BandDraws = 0
    """Posterior draws on which the band is relaxed again for the bar; 0 takes the bar of first order."""
    propose: bool = False
    """Whether the images of each relaxed band may be labelled, beside the pool; where the pool holds nothing like them
    it helps, and else bars get too small (docs/results/campaign.md)."""


class SumQuestion(QuestionSettings):
    """A sum of energies at geometries as they are, such as a reaction or a binding energy, eV."""

    kind: Literal["sum"] = "sum"
    structures: Path
    """Structures whose energies are summed, each times the key ``coefficient`` of its frame."""
    propose: bool = False
    """Whether these structures may be labelled, beside the pool."""


class MixingQuestion(QuestionSettings):
    """Energies of structures less those of the pure ends that they are made of, eV/atom: the largest bar counts."""

    kind: Literal["mixing"] = "mixing"
    structures: Files
    """The mixed structures."""
    ends: Files
    """Structures of the pure ends, one for each composition; every mixed composition is a sum of theirs."""
    propose: bool = False
    """Whether these structures may be labelled, beside the pool."""


class PoolQuestion(QuestionSettings):
    """Energies (eV/atom) or forces (eV/Å) of a pool of structures: the r.m.s. bar counts."""

    kind: Literal["energies", "forces"]
    structures: Files
    """The pool; up to 300 of its structures, for forces 40, stand for all of it, evenly spread."""


Question = Annotated[BarrierQuestion | SumQuestion | MixingQuestion | PoolQuestion, Field(discriminator="kind")]


def _named(value: object) -> object:
    for name in value if isinstance(value, dict) else ():
        if not isinstance(name, str) or not is_plain(name):
            raise ConfigError(f"The name {shown(str(name))} of a question must be a plain name: {PLAIN}.")
    return value


Questions = Annotated[dict[str, Question], BeforeValidator(_named), Field(min_length=1)]
"""Questions by name."""

UNITS = {"barrier": "eV", "sum": "eV", "mixing": "eV/atom", "energies": "eV/atom", "forces": "eV/Å"}


def files_of(name: str, question: QuestionSettings) -> Iterator[tuple[str, Path]]:
    """Yield every file that a question reads with the key that names it."""
    for field in type(question).model_fields:
        paths = list(paths_in(getattr(question, field)))
        for index, path in enumerate(paths):
            yield f"questions.{name}.{field}" + (f".{index}" if len(paths) > 1 else ""), path
