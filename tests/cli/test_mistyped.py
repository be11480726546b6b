"""Command lines that lack something: one sentence that names what is missing, whatever command it is."""

import inspect
from typing import get_args

import pytest
from cyclopts import App

from rung.cli import CACHE_COMMANDS, COMMANDS, build_app, main


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("md m a --fidelity x --steps 3", "rung md needs --temperature."),
        ("md m a --fidelity=x --steps=3", "rung md needs --temperature."),
        ("md m a --fidelity x", "rung md needs --steps and --temperature."),
        ("md", "rung md needs MODEL, START, --fidelity, --steps and --temperature."),
        ("md m --steps 3", "rung md needs START, --fidelity and --temperature."),
        (
            "md m a --fidelty x --steps 3",
            "rung md needs --fidelity and --temperature. Did you mean --fidelity by --fidelty?",
        ),
        ("md m a --fidelity x --steps 3 --hot=9", "rung md needs --temperature. It has no --hot."),
        ("md m a --fidelity x --temperature --steps 3", "--temperature needs a value."),
        ("md m a b --fidelity x --steps 3 --temperature 9", "rung md takes no b there."),
        ("transport t.xyz --species Li", "rung transport needs --temperature."),
        ("transport t.xyz --species Li --temperature", "--temperature needs a value."),
        ("barrier m a b --fidelity", "--fidelity needs a value."),
        ("collect e.csv --columns --unit eV", "--columns needs a value."),
        ("collect e.csv --unit", "--unit needs a value."),
        ("export m", "rung export needs --fidelity."),
        ("export", "rung export needs MODEL and --fidelity."),
        ("select m --fidelity x", "rung select needs POOL."),
        ("report", "rung report needs FOLDERS."),
        ("cache list", "rung cache list needs FOLDER."),
    ],
)
def test_what_is_missing_is_named(words: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    command = words.split(maxsplit=1)[0] if not words.startswith("cache") else "cache list"
    assert capsys.readouterr().err == f"rung: {sentence} See rung {command} --help.\n"


@pytest.mark.parametrize("words", [[name] for name in COMMANDS] + [["cache", name] for name in CACHE_COMMANDS])
def test_a_command_alone_names_every_option_that_it_needs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a later command needs: its options without a default are all in the sentence."""
    app: App = build_app()[words[0]] if len(words) == 1 else build_app()[words[0]][words[1]]
    assert app.default_command is not None
    needed = [
        get_args(one.annotation)[1].name[0]
        for one in inspect.signature(app.default_command).parameters.values()
        if one.kind is inspect.Parameter.KEYWORD_ONLY and one.default is inspect.Parameter.empty
    ]
    if needed:
        assert main(words) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"rung: rung {' '.join(words)} needs ")
        assert all(f" {name}" in said.replace(",", " ").replace(".", " ") for name in needed), (needed, said)
