"""Backends are asked what a file is by its content, and an installed package may bring one."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from rung.backends import load_base, registry
from rung.backends.mace import MaceBackbone
from rung.backends.mace.backend import BACKEND
from rung.backends.protocol import Backend
from rung.backends.registry import _by_name, backends, detect, named, owner
from rung.backends.training import trainable
from rung.checkpoint import load, open_model, save
from rung.errors import ModelError
from rung.model.potential import ReadoutPotential
from tests.mace_models import tiny_mace


class Dated(type(BACKEND)):
    """A backend whose files are no archives of torch: text that begins with a word of its own."""

    name = "dated"
    reads = "text that begins with model"

    def detects(self, path: Path) -> bool:
        return path.read_bytes()[:5] == b"model"

    def load(self, path: Path, **how: object) -> ReadoutPotential:
        return self.content

    def owns(self, backbone: object) -> bool:
        return False


DATED = Dated()


@pytest.fixture
def dated(monkeypatch: pytest.MonkeyPatch, tiny_potential: ReadoutPotential) -> Backend:
    """A second backend beside the first."""
    known = {**backends(), DATED.name: DATED}
    monkeypatch.setattr(registry, "backends", lambda: known)
    monkeypatch.setattr(DATED, "content", tiny_potential, raising=False)
    return DATED


def test_a_mace_file_is_known_by_its_content(tmp_path: Path, testbed_base_path: Path) -> None:
    assert detect(testbed_base_path) is BACKEND
    torch.save(tiny_mace(layers=1), tmp_path / "called.anything")
    assert detect(tmp_path / "called.anything") is BACKEND


def test_a_file_of_another_format_reaches_its_backend(dated: Backend, tmp_path: Path) -> None:
    path = tmp_path / "base.txt"
    path.write_text("model of nothing")
    assert open_model(path, fidelity="low").potential is load_base(path, fidelity="low")
    with pytest.raises(ModelError, match="not a checkpoint of rung but a model of the backend 'dated'"):
        load(path)


def test_a_file_that_no_backend_knows_gets_one_sentence_with_what_there_is(dated: Backend, tmp_path: Path) -> None:
    text, mapping, other = tmp_path / "x.rung", tmp_path / "y.rung", tmp_path / "z.rung"
    text.write_text("hello")
    torch.save({"weights": torch.ones(2)}, mapping)
    torch.save(torch.nn.Linear(2, 2), other)
    what = {
        text: "is no file of torch at all",
        mapping: "holds a dict",
        other: "holds a torch.nn.modules.linear.Linear",
    }
    for path, phrase in what.items():
        for opener in (load, lambda path: open_model(path, fidelity="low")):
            with pytest.raises(ModelError, match=phrase) as raised:
                opener(path)
            sentence = str(raised.value)
            assert "neither a checkpoint of rung nor a model" in sentence
            assert "mace: pickled MACE" in sentence and "dated: text that begins with model" in sentence
            assert "not a MACE model" not in sentence and "\n" not in sentence


def test_a_checkpoint_is_no_file_of_a_backend(tiny_potential: ReadoutPotential, tmp_path: Path) -> None:
    save(tmp_path / "model.rung", tiny_potential, metadata={})
    with pytest.raises(ModelError, match="a checkpoint of rung: open it with"):
        detect(tmp_path / "model.rung")


def test_a_backend_is_found_by_the_object(tiny_potential: ReadoutPotential) -> None:
    class Derived(MaceBackbone):
        pass

    backbone = tiny_potential.backbone
    assert owner(Derived(backbone.module, backbone.head)) is BACKEND
    strange = ReadoutPotential(object(), tiny_potential.surfaces)
    assert owner(strange.backbone) is None
    with pytest.raises(ModelError, match="A object cannot be trained: it belongs to no backend"):
        trainable(strange, {"low": "low"})


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(ModelError, match=r"'maec'; there is: .*Did you mean 'mace'"):
        named("maec")


HERE = __name__


def test_a_package_brings_a_backend_by_an_entry_point() -> None:
    found = _by_name([*registry.BUILT_IN, EntryPoint("mine", f"{HERE}:DATED", registry.GROUP)])
    assert list(found) == ["mace", "sevenn", "dated"]


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("no_such_package.backend:BACKEND", "'mine' of an installed package cannot be imported .*no_such_package"),
        (f"{HERE}:NOTHING", "cannot be imported .*NOTHING"),
        (f"{HERE}:HERE", "is none: it is no instance of a subclass of"),
        ("rung.backends.mace.backend:BACKEND", "Two packages bring a backend of the name 'mace'"),
    ],
)
def test_a_package_whose_backend_cannot_be_used_is_named(entry: str, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        _by_name([*registry.BUILT_IN, EntryPoint("mine", entry, registry.GROUP)])
