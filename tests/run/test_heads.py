"""A file of several heads is opened by every command that names one."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml

from rung.cli import main
from rung.config import load_config
from tests.mace_models import tiny_mace
from tests.run.small_world import SmallWorld


@pytest.fixture
def two_heads(world: SmallWorld) -> Path:
    """Write a model of the heads a and b beside the small world's structures."""
    torch.save(tiny_mace(heads=("a", "b")), world.folder / "two.model")
    return world.folder


COMMANDS = {
    "evaluate": ("evaluate", "two.model", "test.extxyz", "--fidelity", "low", "--head", "b"),
    "doctor": ("doctor", "test.extxyz", "--base", "two.model", "--base-fidelity", "low", "--base-head", "a"),
    "predict": ("predict", "two.model", "test.extxyz", "--fidelity", "mine", "--head", "b", "--out", "said.extxyz"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_head_is_named(
    command: Sequence[str], two_heads: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(two_heads)
    assert main(list(command)) in (0, 1)  # 1: the doctor's verdict on a model that was never trained
    assert "rung:" not in capsys.readouterr().err
    place = next(k for k, word in enumerate(command) if word in ("--head", "--base-head"))
    assert main([*command[:place], *command[place + 2 :]]) == 2
    assert "name the one to use: a, b" in capsys.readouterr().err


def test_two_heads_say_two_things(
    two_heads: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(two_heads)
    said = []
    for head in ("a", "b"):
        assert main(["evaluate", "two.model", "test.extxyz", "--fidelity", "low", "--head", head, "--json"]) == 0
        said.append(yaml.safe_load(capsys.readouterr().out))
    assert said[0] != said[1]


def test_a_config_is_begun_with_the_head(two_heads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(two_heads)
    options = ["--base", "two.model", "--base-fidelity", "low", "--base-head", "b", "--target", "high"]
    assert main(["init", "train.extxyz", "test.extxyz", *options]) == 0
    (path,) = Path("lift").glob("*.yaml")
    assert load_config(path).base is not None and load_config(path).base.head == "b"
