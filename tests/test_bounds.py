"""No setting takes a number or a text that nothing can mean; the walk finds every setting by itself."""

import importlib
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

import rung
from rung.cli import main
from rung.config import load_config
from rung.errors import ConfigError, MissingExtraError
from rung.fidelity import Fidelity
from rung.settings import Settings
from tests.run.small_world import SmallWorld


def _all_settings() -> list[type[Settings]]:
    for module in pkgutil.walk_packages(rung.__path__, "rung."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except MissingExtraError:  # of two backends whose engines exclude each other one is not here
            assert module.name.startswith("rung.backends.")
    return sorted(set(_below(Settings)), key=lambda kind: f"{kind.__module__}.{kind.__name__}")


def _below(kind: type[Settings]) -> Iterator[type[Settings]]:
    for one in kind.__subclasses__():
        if one.__module__.startswith("rung."):
            yield one
        yield from _below(one)


def _leaves(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    yield from (leaf for one in inner for leaf in _leaves(one)) if inner else (annotation,)


def _settings_with(leaf: type) -> list[tuple[type[Settings], str]]:
    return [
        (kind, name)
        for kind in _all_settings()
        for name, field in kind.model_fields.items()
        if leaf in list(_leaves(field.annotation)) and name in vars(kind).get("__annotations__", {})
    ]


def _refused(kind: type[Settings], name: str, value: Any) -> bool:
    """Whether a value is refused at this very field, in whatever shape the field takes."""
    shapes = [value, [value], [value] * 2, [value] * 3, {"a": value}, {"a": {"b": value}}, {"a": [value]}]
    for shape in shapes:
        try:
            kind.model_validate({name: shape})
        except ValidationError as error:
            if all(problem["loc"][0] != name for problem in error.errors()):
                return False
        except ConfigError:
            continue
        else:
            return False
    return True


@pytest.mark.parametrize("value", [math.nan, 1e300, -1e300], ids=str)
def test_no_number_is_none_or_huge(value: float) -> None:
    fields = _settings_with(float)
    assert len(fields) > 80
    assert [f"{kind.__name__}.{name}" for kind, name in fields if not _refused(kind, name, value)] == []


@pytest.mark.parametrize("value", [math.inf, -math.inf], ids=str)
def test_infinity_is_none_but_where_it_means_something(value: float) -> None:
    """A region without end; and a decay so strong that nothing moves."""
    taken = {f"{kind.__name__}.{name}" for kind, name in _settings_with(float) if not _refused(kind, name, value)}
    strong = {"DecayToStart.strength"} if value > 0 else set()
    assert taken == {"MaskRegion.low", "MaskRegion.high"} | strong


@pytest.mark.parametrize("value", [1 << 64, -(1 << 64)], ids=str)
def test_no_whole_number_is_beyond_64_bits(value: int) -> None:
    fields = _settings_with(int)
    assert len(fields) > 80
    assert [f"{kind.__name__}.{name}" for kind, name in fields if not _refused(kind, name, value)] == []


@pytest.mark.parametrize("leaf", [str, Path])
def test_no_text_has_a_nul(leaf: type) -> None:
    fields = _settings_with(leaf)
    assert len(fields) > 10
    assert [f"{kind.__name__}.{name}" for kind, name in fields if not _refused(kind, name, "a\0b")] == []


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "threads": ({"threads": 100_000}, "'threads'.*less than or equal to 1024"),
    "NUL in the run": ({"run": "a\0b"}, "'run'.*control character"),
    "NUL in a split": ({"data": {"train": "a.xyz", "evaluate": {"a\0b": "b.xyz"}}}, "evaluate.*control character"),
    "long split": ({"data": {"train": "a.xyz", "evaluate": {"s" * 300: "b.xyz"}}}, "must be a plain name.*100 bytes"),
    "hidden split": ({"data": {"train": "a.xyz", "evaluate": {".a": "b.xyz"}}}, "must be a plain name.*dot in front"),
    "split above": ({"data": {"train": "a.xyz", "evaluate": {"..": "b.xyz"}}}, "must be a plain name"),
    "long fidelity": ({"fidelities": {"low": {}, "h" * 101: {}}, "target": "h" * 101}, "has 101 letters"),
    "long text": ({"device": "c" * 20_000}, "no more than 10000 letters"),
    "seed": ({"seed": 1 << 64}, "'seed'"),
    "shared error": ({"fidelities": {"low": {}, "high": {"energy_shared_stderr": math.nan}}}, "energy_shared_stderr"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_config_is_refused_when_it_is_read(case: str, world: SmallWorld) -> None:
    changes, sentence = CHANGES[case]
    with pytest.raises(ConfigError, match=sentence) as caught:
        load_config(world.config(**changes))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("device", ["meta", "", "quantum", "cuda:77"])
def test_a_device_that_computes_nothing(device: str, world: SmallWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is made, not even the folder."""
    assert main(["fit", str(world.config(device=device))]) == 2
    assert "device" in capsys.readouterr().err
    assert not (world.folder / "run").exists()


def test_a_device_that_computes_nothing_for_a_task(world: SmallWorld, capsys: pytest.CaptureFixture[str]) -> None:
    model, start = str(world.folder / "base.model"), str(world.folder / "test.extxyz")
    out = world.folder / "out"
    words = ["relax", model, start, "--fidelity", "low", "--device", "meta", "--out", str(out)]
    assert main(words) == 2
    assert "There is no device 'meta' here" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("days", ["-1", "nan", "-1e-9"])
def test_a_cache_is_not_pruned_of_what_is_younger_than_now(
    days: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = tmp_path / "ab" / "ab.npz"
    entry.parent.mkdir()
    entry.write_bytes(b"not an entry")
    assert main(["cache", "prune", str(tmp_path), f"--older-than-days={days}"]) == 2
    assert "older_than_days" in capsys.readouterr().err
    assert entry.exists()


def test_a_fidelity_may_be_called_no(world: SmallWorld) -> None:
    """YAML 1.1 makes a truth value of it."""
    path = world.folder / "named.yaml"
    path.write_text(
        "run: off\nfidelities: {low: {}, no: {}}\ntarget: no\nbase: {file: base.model, fidelity: low}\n"
        "data: {train: train.extxyz}\nmethod: {name: readout}\n"
    )
    config = load_config(path)
    assert (config.run.name, config.target) == ("off", "no")


def test_a_name_is_of_a_hundred_letters_at_most() -> None:
    assert Fidelity("a" * 100).name == "a" * 100
    with pytest.raises(ConfigError, match="has 101 letters"):
        Fidelity("a" * 101)
