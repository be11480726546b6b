"""Everything from a file to a study, where importing MACE's engine raises.

``python -m tests.backends.chain FOLDER PART ...`` is a process of its own, for that of the other tests has imported the
engine long ago.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ENGINES = ("mace", "e3nn", "sevenn")


class NoEngine(MetaPathFinder):
    """Raises where an engine is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.split(".", maxsplit=1)[0] in ENGINES:
            raise ModuleNotFoundError(f"{fullname} must not be imported here", name=fullname)
        return None


sys.meta_path.insert(0, NoEngine())

import numpy as np  # noqa: E402
import yaml  # noqa: E402

from rung.backends import export, load_base  # noqa: E402
from rung.calculator import RungCalculator  # noqa: E402
from rung.checkpoint import open_model  # noqa: E402
from rung.cli import main  # noqa: E402
from rung.config import load_config  # noqa: E402
from rung.data.readers.structures import read_structures, write_structures  # noqa: E402
from rung.data.structure import Structure  # noqa: E402
from rung.errors import MissingExtraError  # noqa: E402
from rung.run.evaluation import predict  # noqa: E402
from rung.run.file_settings import EvaluationSettings  # noqa: E402
from rung.run.files import evaluate_files  # noqa: E402
from rung.run.stages import run_fit  # noqa: E402
from rung.storage import read_json  # noqa: E402
from rung.study import compare, load_study_config  # noqa: E402
from tests.fit.pair_world import geometries, labelled, pair_base, truth  # noqa: E402

QUICK = {"epochs": 2, "batch_size": 4}


def world(folder: Path) -> None:
    """Write a base, and structures with its forces and with energies of the target."""
    base = pair_base()
    export(base, "low", folder / "base.pair")
    high = base.with_surface("high", truth(base))
    for name, count, seed in (("train", 12, 0), ("test", 4, 9)):
        frames = [replace(item, structure_id=f"{name}-{k}") for k, item in enumerate(geometries(count, seed))]
        frames = labelled(frames, base, truth(base), len(frames), 0.002)
        said = predict(base, frames, "low"), predict(high, frames, "high")
        write_structures(folder / f"{name}.extxyz", [_with_forces(item, k, *said) for k, item in enumerate(frames)])


def _with_forces(item: Structure, k: int, low: Any, high: Any) -> Structure:
    mine = item.labels["high"]
    cheap = replace(mine, energy=float(low.energy[k]), energy_stderr=np.nan, forces=low.forces[k])
    return replace(item, labels={"low": cheap, "high": replace(mine, forces=high.forces[k])})


def config(folder: Path, run: str, method: dict[str, Any], **changes: Any) -> Path:
    """Write a config and return its path."""
    values = {
        "run": run,
        "fidelities": {"low": {}, "high": {}},
        "target": "high",
        "base": {"file": "base.pair", "fidelity": "low"},
        "data": {"train": "train.extxyz", "evaluate": {"test": "test.extxyz"}},
        "method": method,
        **changes,
    }
    path = folder / f"{run}.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
    return path


def closed_form(folder: Path) -> None:
    """A fit of the readout, its folder, its evaluation, its native file and what a calculator makes of it."""
    done = run_fit(load_config(config(folder, "readout", {"name": "readout"})))
    assert done.metrics.base is not None
    errors, before = done.metrics.splits["test"]["high"], done.metrics.base["test"]["high"]
    assert errors.force_rmse < 0.5 * before.force_rmse
    exported = read_json(done.folder.provenance)["export"]
    assert 0.0 < exported.pop("energy_step") < 1e-6
    assert exported == {"file": "high.pair", "warning": ""}
    assert done.folder.report.exists()
    test = read_structures(folder / "test.extxyz")
    fitted = open_model(done.folder.model, fidelity="high").potential
    native = load_base(done.folder.native("high", ".pair"), fidelity="high")
    assert main(["export", str(done.folder.model), str(folder / "again.pair"), "--fidelity", "high"]) == 0
    again = load_base(folder / "again.pair", fidelity="high")
    energies = [predict(item, test, "high").energy for item in (fitted, native, again)]
    assert (energies[0] == energies[1]).all() and (energies[0] == energies[2]).all()
    asked = {"model": done.folder.model, "files": [folder / "test.extxyz"], "fidelity": "high"}
    told = evaluate_files(EvaluationSettings(**asked, base=folder / "base.pair", base_fidelity="low"))
    assert abs(told.splits["test"]["high"].force_rmse - errors.force_rmse) < 1e-6
    atoms = test[0].atoms.copy()
    atoms.calc = RungCalculator(done.folder.model, fidelity="high")
    assert abs(atoms.get_potential_energy() - energies[0][0]) < 1e-9
    assert atoms.calc.get_energy_stderr() > 0


def trained(folder: Path) -> None:
    """Weights of the base that move, those of its readouts alone; the base's own labels beside the target's."""
    _fits(folder, {"transfer": {"name": "transfer", "training": QUICK, "blocks": "readouts", "replay": {}}})
    start, moved = (
        open_model(folder / path, fidelity="low").potential.backbone.tables
        for path in ("base.pair", "transfer/model.rung")
    )
    assert all((start[name] == moved[name]).all() for name in start)


def more_methods(folder: Path) -> None:
    """All weights of the base, new models by ``kind``, and a small model beside the base."""
    methods = {
        "joint": {"name": "joint", "training": QUICK},
        "tangent": {"name": "tangent", "groups": "layers"},
        "scratch": {"name": "scratch", "training": QUICK, "architecture": {"kind": "pair", "n_radial": 3}},
        "delta": {"name": "delta", "learner": {"name": "pair", "training": QUICK}},
    }
    _fits(folder, methods)
    groups = {row["name"] for row in read_json(folder / "tangent" / "fit.json")["details"]["hyperparameters"]}
    assert {"alpha[readouts.0]", "alpha[tables]"} <= groups, groups


def _fits(folder: Path, methods: dict[str, dict[str, Any]]) -> None:
    for name, method in methods.items():
        done = run_fit(load_config(config(folder, name, method, **({"base": None} if name == "scratch" else {}))))
        file = read_json(done.folder.provenance)["export"]["file"]
        assert file == (None if name == "delta" else "high.pair"), name  # a sum is no one file of its library
        fitted = open_model(done.folder.model, fidelity="high").potential
        assert np.isfinite(done.metrics.splits["test"]["high"].energy_rmse), name
        assert fitted.backbone.cutoff == 3.0


def study(folder: Path) -> None:
    """A comparison of two methods."""
    path = config(
        folder,
        "compare",
        {"name": "readout", "terms": [{"kind": "energies"}, {"kind": "weights"}], "average": 1},
        compare={"offset": None},
        labels=[4],
        seeds=[0],
        executor={"name": "here"},
    )
    done = compare(load_study_config(path))
    assert not done.failures
    rows = (folder / "compare" / "study.csv").read_text().splitlines()
    assert any(row.startswith("readout") for row in rows) and any(row.startswith("offset") for row in rows)
    assert (folder / "compare" / "report.html").exists()


def refused(folder: Path) -> None:
    """The trap is set: a file of the other engine is known, and its package is missed by the name of its extra."""
    import rung

    base = Path(rung.__file__).parent / "demo_data" / "mos2" / "base.model"
    try:
        load_base(base, fidelity="low")
    except MissingExtraError as error:
        assert "rung[mace]" in str(error), error
    else:
        raise AssertionError("an engine was imported")


PARTS: dict[str, Callable[[Path], None]] = {
    "closed-form": closed_form,
    "trained": trained,
    "more-methods": more_methods,
    "study": study,
    "refused": refused,
}

if __name__ == "__main__":
    root = Path(sys.argv[1])
    world(root)
    for part in sys.argv[2:]:
        PARTS[part](root)
    assert not {name.split(".")[0] for name in sys.modules} & set(ENGINES)
