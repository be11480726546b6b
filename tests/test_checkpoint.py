"""Checkpoints keep every bit, run nothing, and old ones stay readable."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.backends import export, load_base
from rung.backends.mace import wrap
from rung.checkpoint import VERSION, load, open_model, save
from rung.data.batch import collate
from rung.errors import ConfigError, ModelError, RungError, StorageError
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential, Surface
from tests.geometries import cell_structures, molecule_structures
from tests.mace_models import tiny_mace
from tests.pair_backbone import PairBackbone, pair_potential


class Strange(PairBackbone):
    """A backbone that no backend made."""


OLD = Path(__file__).parent / "checkpoints"


def two_fidelities(model: torch.nn.Module | None = None) -> ReadoutPotential:
    """Return a potential whose ``high`` differs in all weights and reference energies."""
    base = wrap(model if model is not None else tiny_mace(), "low")
    low = base.surface("low")
    rng = np.random.default_rng(0)
    elements = low.reference.elements
    moved = low.readout.moved(rng.normal(size=len(low.readout.weights)))
    block = replace(moved.blocks[-1], n_random=2)
    return base.with_surface(
        "high",
        Surface(
            replace(moved, blocks=(*moved.blocks[:-1], block), scale=moved.scale),
            low.reference.moved(elements, rng.normal(size=len(elements))),
        ),
    )


def some_posterior(potential: ReadoutPotential, *, own: bool = True) -> Posterior:
    """Return a posterior over the readout of ``high``."""
    surface = potential.surface("high")
    names = (*surface.readout.parameters, *(f"E0[{number}]" for number in surface.reference.elements))
    rng = np.random.default_rng(1)
    root = rng.normal(size=(len(names), len(names)))
    return Posterior(
        parameters=names,
        mean=rng.normal(size=len(names)),
        covariance=root @ root.T,
        unidentified=np.eye(len(names))[-1:],
        model_error=0.02,
        force_error=0.1,
        model_covariance=0.1 * root @ root.T if own else None,
    )


def test_everything_survives(tmp_path: Path) -> None:
    potential = two_fidelities()
    posterior = some_posterior(potential)
    metadata = {"target": "high", "settings": {"alpha": 0.3, "auto": None}, "hashes": ["a", "b"]}
    path = tmp_path / "model.rung"
    save(path, potential, posterior=posterior, metadata=metadata)
    found = load(path)
    assert found.metadata == metadata
    assert found.potential.fidelities == ("low", "high")
    assert found.potential.fingerprint == potential.fingerprint
    assert found.potential.backbone.fingerprint == potential.backbone.fingerprint
    assert found.potential.surface("high").readout.groups == potential.surface("high").readout.groups
    for name, value in vars(posterior).items():
        np.testing.assert_array_equal(getattr(found.posterior, name), value)
    structures = molecule_structures() + cell_structures()
    rows = ["low", "high"] * 3 + ["high"]
    batch = collate(structures, rows, potential.cutoff, names=potential.fidelities)
    first, second = potential.predict(batch, stress=True), found.potential.predict(batch, stress=True)
    assert torch.equal(first.energy, second.energy)
    assert torch.equal(first.forces, second.forces)
    assert list(tmp_path.iterdir()) == [path]
    again = tmp_path / "again.rung"
    save(again, found.potential, posterior=found.posterior, metadata=found.metadata)
    assert load(again).potential.fingerprint == potential.fingerprint


def test_file_is_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "model.rung"
    save(path, two_fidelities(tiny_mace(layers=1)), metadata={})
    assert torch.load(path, weights_only=True)["version"] == VERSION
    assert load(path).posterior is None


def test_type_and_device(tmp_path: Path) -> None:
    path = tmp_path / "model.rung"
    save(path, two_fidelities(tiny_mace(layers=1)), metadata={})
    found = load(path, dtype="float32", device="cpu").potential
    assert found.dtype == torch.float32
    assert found.device == torch.device("cpu")
    with pytest.raises(ConfigError, match="float16"):
        load(path, dtype="float16")


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_every_version_still_loads(version: int) -> None:
    """The file was written by that version; its predictions stand beside it. Version 2 has vectors of fidelities."""
    found = load(OLD / f"version-{version}.rung")
    wanted = json.loads((OLD / f"version-{version}.json").read_text())
    assert found.potential.backbone.conditioned == (version > 1)
    structures = [item for item in molecule_structures() if item.structure_id in ("H2O", "O")]
    for fidelity, values in wanted["predictions"].items():
        batch = collate(structures, [fidelity] * 2, found.potential.cutoff, names=found.potential.fidelities)
        prediction = found.potential.predict(batch)
        np.testing.assert_allclose(prediction.energy, values["energy"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(prediction.forces, values["forces"], rtol=0, atol=1e-9)
    assert found.metadata == wanted["metadata"]
    assert found.posterior is not None
    assert float(np.trace(found.posterior.covariance)) == pytest.approx(wanted["trace"], rel=1e-12)


def test_file_from_the_future(tmp_path: Path) -> None:
    content = torch.load(OLD / "version-1.rung", weights_only=True)
    path = tmp_path / "model.rung"
    torch.save({**content, "version": VERSION + 1}, path)
    with pytest.raises(ModelError, match=rf"version {VERSION + 1} .* install a newer rung"):
        load(path)


def test_incomplete_checkpoint(tmp_path: Path) -> None:
    content = torch.load(OLD / "version-1.rung", weights_only=True)
    for key in ("potential", "posterior", "metadata"):
        path = tmp_path / f"{key}.rung"
        torch.save({name: value for name, value in content.items() if name != key}, path)
        with pytest.raises(ModelError, match=key):
            load(path)


def test_not_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.rung"
    torch.save({"weights": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="neither a checkpoint of rung nor a model"):
        load(path)
    torch.save(tiny_mace(layers=1), path)
    with pytest.raises(ModelError, match="not a checkpoint of rung"):
        load(path)
    with pytest.raises(ModelError, match="no model file"):
        load(tmp_path / "nowhere.rung")
    with pytest.raises(ModelError, match=r"is a folder and no model file; give the model of the run, .*model\.rung"):
        load(tmp_path)


def test_opening_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bad:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    path = tmp_path / "model.rung"
    torch.save({"format": "rung", "version": 1, "potential": Bad(), "posterior": None, "metadata": {}}, path)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # as a plain import of mace would leave it
    for opener in (load, lambda path: open_model(path, fidelity="low")):
        with pytest.raises(ModelError):
            opener(path)
    assert not (tmp_path / "ran").exists()


@given(where=st.floats(0.0, 1.0), value=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_checkpoints_raise_one_of_our_errors(tmp_path: Path, where: float, value: int, cut: bool) -> None:
    content = bytearray((OLD / "version-1.rung").read_bytes())
    place = min(int(where * len(content)), len(content) - 1)
    content[place] = value
    path = tmp_path / "damaged.rung"
    path.write_bytes(content[:place] if cut else content)
    try:
        load(path)
    except RungError as error:
        assert str(error)


def test_open_model_takes_either_kind(tmp_path: Path, testbed_base_path: Path) -> None:
    potential = two_fidelities(tiny_mace(layers=1))
    save(tmp_path / "model.rung", potential, posterior=some_posterior(potential), metadata={"target": "high"})
    export(potential, "high", tmp_path / "high.model")
    found = open_model(tmp_path / "model.rung", fidelity="high")
    assert found.posterior is not None
    assert set(found.potential.fidelities) == {"low", "high"}
    with pytest.raises(ConfigError, match="'higher'; there is: high, low"):
        open_model(tmp_path / "model.rung", fidelity="higher")
    native = open_model(tmp_path / "high.model", fidelity="high")
    assert native.posterior is None
    assert native.potential.fidelities == ("high",)
    assert native.potential.backbone.fingerprint == potential.backbone.fingerprint
    with pytest.raises(ModelError, match="checkpoint of rung"):
        load_base(tmp_path / "model.rung", fidelity="high")


def test_unpickled_models_are_checked_when_they_are_saved(tmp_path: Path) -> None:
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    model.register_buffer("unheard_of", torch.ones(3))
    with pytest.raises(ModelError, match="unheard_of"):
        save(tmp_path / "model.rung", wrap(model, "low"), metadata={})
    with pytest.raises(ModelError, match="Strange belongs to no backend"):
        save(tmp_path / "model.rung", pair_potential(Strange()), metadata={})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    potential = two_fidelities(tiny_mace(layers=1, hidden="4x0e", max_ell=1))
    path = tmp_path / "model.rung"
    save(path, potential, metadata={"number": 1})
    real = torch.save

    def full(content: Any, where: Any) -> None:
        if not isinstance(where, Path):
            return real(content, where)
        where.write_bytes(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StorageError, match="No space left"):
        save(path, potential, metadata={"number": 2})
    assert load(path).metadata == {"number": 1}
    assert list(tmp_path.iterdir()) == [path]
