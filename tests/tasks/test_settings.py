"""The settings of tasks hold every option that the commands of rung 0.1 had, under the same word and default."""

from typing import Any

import pytest

from rung.cli.options import ABSENT, leaves_of
from rung.settings import Settings
from rung.tasks.barrier import BarrierTask
from rung.tasks.free_energy import FreeEnergyTask
from rung.tasks.md import MDTask
from rung.tasks.opened import Source
from rung.tasks.relaxation import RelaxationTask
from rung.tasks.transport import TransportTask
from rung.tasks.vacancies import VacancyTask

OF_EVERY_COMMAND = {"model", "trusted", "device", "dtype"}
WORDS: dict[type[Settings], str] = {
    BarrierTask: "initial final images image-tolerance fmax steps endpoint-fmax keep-ends free-molecule "
    "match-atoms allow-exchange draws seed rate no-modes moving displacement path energies target",
    VacancyTask: "metal chalcogen lattice thickness counts ways margin most-margin tolerance images fmax steps "
    "chemical-potential",
    FreeEnergyTask: "start cv temperature windows steps spring timestep friction band reactant transition-state "
    "length bins draws target-energies target free-drift seed",
    MDTask: "start temperature steps ensemble timestep friction sample-every frame-every save-every "
    "leverage-limit leverage-reference discard free-drift seed",
    RelaxationTask: "start fmax steps cell plane",
    TransportTask: "files species temperature frame-fs charge draw axes skip-fs start-fs longest slope-tolerance "
    "extrapolate unwrapped runs draws steps timestep frame-every friction seed",
}
DEFAULTS: dict[type[Settings], dict[str, Any]] = {
    BarrierTask: {"images": 7, "image-tolerance": 0.01, "fmax": 0.05, "steps": 500, "endpoint-fmax": 0.02, "draws": 16},
    VacancyTask: {
        "counts": (1, 2, 3, 4, 5, 6),
        "ways": ("concerted",),
        "images": 5,
        "most-margin": 4,
        "tolerance": 0.02,
    },
    FreeEnergyTask: {"steps": 4000, "friction": 0.01, "bins": 60, "reactant": "low", "length": 1.0, "draws": 32},
    MDTask: {"sample-every": 10, "frame-every": 50, "save-every": 500, "discard": 0.2, "temperature": ABSENT},
    RelaxationTask: {"fmax": 0.02, "steps": 500, "cell": False, "plane": False},
    TransportTask: {"runs": 3, "draws": 0, "steps": 20000, "frame-every": 20, "friction": 0.002, "longest": 0.5},
}


@pytest.mark.parametrize("task", WORDS)
def test_every_option_is_a_field_with_its_default_and_a_sentence(task: type[Settings]) -> None:
    leaves = [*leaves_of(Source), *leaves_of(task)]
    words = [word for leaf in leaves for word in leaf.spellings]
    assert len(words) == len(set(words)), "no two fields are spelt alike"
    assert OF_EVERY_COMMAND | set(WORDS[task].split()) <= {word.replace("_", "-") for word in words}
    assert all(str(leaf.field.description).strip().endswith(".") for leaf in leaves)
    defaults = {word: leaf.parameter().default for leaf in leaves for word in leaf.spellings}
    assert {word: defaults[word] for word in DEFAULTS[task]} == DEFAULTS[task]
