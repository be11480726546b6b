"""What a CPU can tell of cards: files saved on one open here, and types that nothing computes in are refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from rung import checkpoint
from rung.backends import describe, load_base
from rung.config import load_config
from rung.errors import ConfigError
from tests.mace_models import tiny_mace
from tests.run.small_world import SmallWorld


@contextmanager
def as_on_a_card() -> Iterator[None]:
    """Let ``torch.save`` write what it would on a card: each storage says that it is of ``cuda:0``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        yield


@pytest.mark.parametrize("trusted", [False, True])
def test_a_model_saved_on_a_card_opens_on_a_cpu(tmp_path: Path, trusted: bool) -> None:
    path, model = tmp_path / "card.model", tiny_mace()
    torch.save(model, tmp_path / "cpu.model")
    with as_on_a_card():
        torch.save(model, path)
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(path, weights_only=False)  # which needs the card
    potential = load_base(path, fidelity="low", trusted=trusted)
    assert potential.device.type == "cpu"
    assert potential.fingerprint == load_base(tmp_path / "cpu.model", fidelity="low").fingerprint
    assert describe(path, trusted=trusted).n_weights == describe(tmp_path / "cpu.model").n_weights


def test_compiled_parts_of_a_trusted_file_go_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """e3nn keeps compiled parts as TorchScript within the pickle, and loads them to where they were saved."""
    torch.save(tiny_mace(), tmp_path / "x.model")
    load, places = torch.jit.load, []

    def seen(file: Any, map_location: Any = None, **further: Any) -> Any:
        places.append(map_location)
        return load(file, map_location=map_location, **further)

    monkeypatch.setattr(torch.jit, "load", seen)
    load_base(tmp_path / "x.model", fidelity="low", trusted=True)
    assert places
    assert set(places) == {"cpu"}
    assert torch.jit.load is seen


def test_a_checkpoint_saved_on_a_card_opens_on_a_cpu(finished: SmallWorld, tmp_path: Path) -> None:
    run = checkpoint.load(finished.folder / "run" / "model.rung")
    with as_on_a_card():
        checkpoint.save(tmp_path / "card.rung", run.potential, posterior=run.posterior, metadata=run.metadata)
    opened = checkpoint.load(tmp_path / "card.rung")
    assert opened.potential.device.type == "cpu"
    assert opened.potential.fingerprint == run.potential.fingerprint
    assert opened.origin == run.origin


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "bf16"])
def test_half_precision_is_refused_before_any_work(world: SmallWorld, dtype: str) -> None:
    path = world.config(dtype=dtype)
    with pytest.raises(ConfigError, match=r"dtype.*float32.*float64"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"dtype.*float32.*float64"):
        load_base(world.folder / "base.model", fidelity="low", dtype=dtype)
    assert not (world.folder / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_that_is_not_there_is_said_before_any_work(world: SmallWorld) -> None:
    from rung.run.stages import run_fit

    config = load_config(world.config(device="cuda:1"))
    with pytest.raises(ConfigError, match="'cuda:1' is not available here"):
        run_fit(config)
    assert not (world.folder / "run").exists()
    assert yaml.safe_load((world.folder / "config.yaml").read_text())["device"] == "cuda:1"
