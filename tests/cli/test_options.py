"""Options are the fields of settings: their names, sentences and defaults, and what a file says beside them."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from cyclopts import App, Parameter
from pydantic import Field

from rung.cli import CACHE_COMMANDS, COMMANDS, build_app
from rung.cli.options import Printing, command, leaves_of
from rung.errors import ConfigError
from rung.settings import Option, Settings


class Band(Settings):
    """A group within."""

    images: Literal["auto"] | int = 7
    """Images of the band."""
    max_steps: Annotated[int, Option(("steps",)), Field(ge=1)] = 500
    """Steps at most."""
    relax_ends: Annotated[bool, Option(off=("no-relax-ends", "keep-ends"))] = True
    """Whether the ends relax."""


class Refined(Settings):
    """A group that may be absent."""

    tolerance: float = 0.01
    """When to stop."""


class Piece(Settings):
    """One of a list."""

    depth: int = 1


class Shared(Settings):
    """What several commands have."""

    trusted: bool = False
    """Whether the file is trusted."""


class Work(Shared):
    """Everything that a command is told."""

    model: Annotated[str, Option(positional=True)]
    """Which model."""
    files: Annotated[tuple[Path, ...], Option(positional=True)] = ()
    """Which files."""
    temperature: float
    """K."""
    window: tuple[float, float, int] | None = None
    """From, to, how many."""
    moving: tuple[int, ...] | None = None
    """Which atoms; by default all."""
    rates: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Option(("rate", "temperatures"))] = ()
    """At which temperatures, K."""
    potentials: Annotated[dict[str, float], Option(form="fidelity=value")] = Field(default_factory=dict)
    """By fidelity, eV."""
    band: Band = Band()
    """The band."""
    refinement: Refined | None = None
    """How images are added."""
    pieces: tuple[Piece, ...] = ()
    """Only a file can give these."""


def run(*words: str) -> tuple[Work, Printing]:
    """Return the settings that a command of ``Work`` gets from these words."""
    seen: list[tuple[Work, Printing]] = []

    def act(work: Work, printing: Printing) -> int:
        """Do it."""
        seen.append((work, printing))
        return 0

    app = App(name="rung", default_parameter=Parameter(negative=()), result_action="return_value")
    app.command(command("work", act, Work, Printing, example="rung work model --temperature 300", filed=Work))
    assert app(["work", *words], exit_on_error=False, print_error=False) == 0
    return seen[0]


def test_what_is_not_given_has_the_default_of_the_settings() -> None:
    work, printing = run("m", "--temperature", "300")
    assert work == Work(model="m", temperature=300.0)
    assert work.model_fields_set == {"model", "files", "temperature"}
    assert printing == Printing()


def test_every_kind_of_field_is_read() -> None:
    work, printing = run(
        *("m", "a.xyz", "b.xyz", "--temperature", "-3.5", "--window", "-1", "2.5", "8", "--rate", "300", "600"),
        *("--moving", "0", "2"),
        *("--potentials", "pbe=-4.1", "dmc=-5", "--images", "auto", "--steps", "3", "--no-relax-ends"),
        *("--tolerance", "0.5", "--trusted", "--json"),
    )
    assert work == Work(
        model="m",
        files=(Path("a.xyz"), Path("b.xyz")),
        temperature=-3.5,
        window=(-1.0, 2.5, 8),
        moving=(0, 2),
        rates=(300.0, 600.0),
        potentials={"pbe": -4.1, "dmc": -5.0},
        band=Band(images="auto", max_steps=3, relax_ends=False),
        refinement=Refined(tolerance=0.5),
        trusted=True,
    )
    assert printing.as_json


def test_older_spellings_are_still_taken() -> None:
    work, _ = run("m", "--temperature", "1", "--temperatures", "300", "--keep-ends")
    assert work.rates == (300.0,)
    assert not work.band.relax_ends


def test_a_file_says_what_options_do_not_and_never_the_same_thing(tmp_path: Path) -> None:
    file = tmp_path / "more.yaml"
    file.write_text("pieces: [{depth: 2}, {}]\nband: {images: 5}\n")
    words = ("m", "--temperature", "1", "--settings", str(file))
    work, _ = run(*words, "--steps", "9")
    assert work.pieces == (Piece(depth=2), Piece())
    assert work.band == Band(images=5, max_steps=9)
    with pytest.raises(ConfigError, match="'images' is an option of the command; say it there alone"):
        run(*words, "--images", "3")
    file.write_text("images: 4\n")
    assert run(*words, "--steps", "9")[0].band == Band(images=4, max_steps=9)
    file.write_text("band: {imges: 5}\n")
    with pytest.raises(ConfigError, match="Did you mean 'images'"):
        run(*words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "0"], r"'band\.max_steps': .* \(given: 0\)"),
        (["--rate", "-3"], r"'rates\.0'"),
        (["--potentials", "-5"], "--potentials is written as fidelity=value, not '-5'"),
        (["--potentials", "pbe=many"], r"'potentials\.pbe'"),
    ],
)
def test_what_cannot_be_is_said_in_the_words_of_settings(words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        run("m", "--temperature", "1", *words)


def test_two_fields_of_one_name_are_a_defect() -> None:
    class Twice(Settings):
        steps: int = 1
        band: Band = Band()

    with pytest.raises(TypeError, match=r"two fields are spelt steps"):
        command("twice", lambda _: 0, Twice, example="")


def _commands() -> list[Any]:
    app = build_app()
    return [app[name] for name in COMMANDS] + [app["cache"][name] for name in CACHE_COMMANDS]


def test_every_option_has_a_sentence() -> None:
    for one in _commands():
        for argument in one.assemble_argument_collection():
            assert argument.parameter.help, f"rung {one.name[0]}: {argument.name} says nothing"


def test_leaves_are_every_field_that_words_can_say() -> None:
    assert [".".join(leaf.path) for leaf in leaves_of(Work)] == [
        "model",
        "files",
        "temperature",
        "window",
        "moving",
        "rates",
        "potentials",
        "band.images",
        "band.max_steps",
        "band.relax_ends",
        "refinement.tolerance",
        "trusted",
    ]
