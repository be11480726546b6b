"""Opening files: nothing runs unless it is trusted, and what cannot be opened says why in one sentence."""

import os
import pickle
import pickletools
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.backends import inert, load_base
from rung.backends.mace import describe
from rung.backends.mace.backend import BACKEND
from rung.data.batch import collate
from rung.errors import ConfigError, MissingExtraError, ModelError, RungError, UntrustedError
from tests.contract.registry import _testbed_frames
from tests.geometries import cell_structures, molecule_structures
from tests.mace_models import tiny_mace


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def _saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MACE of one layer as mace would save it."""
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    return _saved(model, tmp_path_factory.mktemp("small") / "small.model")


def test_testbed_is_the_same_trusted_or_not(testbed_base_path: Path) -> None:
    inertly = load_base(testbed_base_path, fidelity="pbe")
    trusted = load_base(testbed_base_path, fidelity="pbe", trusted=True)
    assert inertly.fingerprint == trusted.fingerprint
    batch = collate(_testbed_frames(), ["pbe", "pbe"], inertly.cutoff, dtype=inertly.dtype)
    first, second = (potential.predict(batch, stress=True) for potential in (inertly, trusted))
    assert torch.equal(first.energy, second.energy)
    assert torch.equal(first.forces, second.forces)
    assert torch.equal(first.stress, second.stress)


SHAPES: dict[str, dict[str, Any]] = {
    "heads": {"heads": ("a", "b"), "readout": "NonLinearBiasReadoutBlock"},
    "tanh-repulsion": {"gate": "tanh", "pair_repulsion": True, "scale_shift": False},
    "abs": {"gate": "abs", "layers": 3, "use_last_readout_only": True},
    "odd-scalars": {"hidden": "4x0e+4x0o+4x1o+4x1e", "keep_last_layer_irreps": True, "gate": "identity"},
    "density": {
        "interaction": "RealAgnosticDensityResidualInteractionBlock",
        "interaction_first": "RealAgnosticDensityInteractionBlock",
        "distance_transform": "Agnesi",
        "radial_type": "gaussian",
    },
    "attention": {"interaction": "RealAgnosticAttResidualInteractionBlock", "layers": 3},
    "non-linear": {
        "interaction": "RealAgnosticResidualNonLinearInteractionBlock",
        "interaction_first": "RealAgnosticResidualNonLinearInteractionBlock",
        "use_agnostic_product": True,
        "apply_cutoff": False,
        "radial_type": "chebyshev",
        "distance_transform": "Soft",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", SHAPES)
def test_rebuilt_from_data_alone(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    _same_both_ways(tiny_mace(dtype=dtype, **SHAPES[name]), tmp_path)


def test_a_converted_model_keeps_the_rounding_of_its_making(tmp_path: Path) -> None:
    """float32 coupling coefficients stay float32 in a model converted to float64; rebuilding must not sharpen them."""
    _same_both_ways(tiny_mace(dtype=torch.float32).double(), tmp_path)


def _same_both_ways(model: torch.nn.Module, tmp_path: Path) -> None:
    path = _saved(model, tmp_path / "a.model")
    head = "b" if len(model.heads) > 1 else None
    pair = [load_base(path, fidelity="low", head=head, trusted=trusted) for trusted in (False, True)]
    assert pair[0].fingerprint == pair[1].fingerprint
    structures = molecule_structures() + cell_structures()
    batch = collate(structures, ["low"] * len(structures), pair[0].cutoff, dtype=pair[0].dtype)
    first, second = (potential.predict(batch) for potential in pair)
    assert torch.equal(first.energy, second.energy)
    assert torch.equal(first.forces, second.forces)


def test_malicious_pickle_does_not_run(tmp_path: Path, small_file: Path) -> None:
    mark = tmp_path / "ran"
    bare = tmp_path / "bare.model"
    bare.write_bytes(pickle.dumps(Malicious(mark)))
    archive = _saved(Malicious(mark), tmp_path / "archive.model")
    model = torch.load(small_file, weights_only=False)
    model.extra = Malicious(mark)
    hidden = _saved(model, tmp_path / "hidden.model")
    legacy = tmp_path / "legacy.model"
    torch.save(Malicious(mark), legacy, _use_new_zipfile_serialization=False)
    for path in (bare, archive, legacy):
        with pytest.raises(ModelError):
            load_base(path, fidelity="low")
        assert not mark.exists()
    load_base(hidden, fidelity="low")  # the model is whole; what else the file asked for was not done
    assert not mark.exists()
    torch.load(hidden, weights_only=False)
    assert mark.exists(), "the trap itself must work"


def _attack(opcodes: bytes, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", opcodes)
        archive.writestr("a/version", "3\n")
        archive.writestr("a/byteorder", "little")
    return path


@pytest.mark.parametrize(
    "opcodes",
    [
        b"\x80\x02cposix\nsystem\nU\x05falseq\x00\x85R.",
        b"\x80\x02cbuiltins\neval\nU\x011q\x00\x85R.",
        b"\x80\x02cbuiltins\ngetattr\ncposix\nsystem\nU\x04nameq\x00\x86R.",
        b"\x80\x02(U\x05falseq\x00iposix\nsystem\n.",
        b"\x80\x02(cposix\nsystem\nU\x05falseq\x00o.",
        b"\x80\x02\x82\x01.",
        # change what a real function or class does for everybody: BUILD with a slot state
        b"\x80\x02ctorch._utils\n_rebuild_parameter\nN}U\x0c__defaults__q\x00(K\x01t\x86s\x86b.",
        b"\x80\x02ccollections\nOrderedDict\nN}U\x03getq\x00K\x01s\x86b.",
        # call something real that is not on the list, through an argument
        b"\x80\x02ctorch\nfloat32\n)R.",
    ],
)
def test_hand_made_pickles(opcodes: bytes, tmp_path: Path) -> None:
    defaults = torch._utils._rebuild_parameter.__defaults__
    with pytest.raises(ModelError):
        load_base(_attack(opcodes, tmp_path / "a.model"), fidelity="low")
    assert torch._utils._rebuild_parameter.__defaults__ == defaults


def test_only_tensors_and_containers_are_real(small_file: Path) -> None:
    """Everything the file names is either on the list or an inert stand-in."""
    with zipfile.ZipFile(small_file) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        named = {
            tuple(argument.split(" ", 1))
            for code, argument, _ in pickletools.genops(archive.read(name))
            if code.name == "GLOBAL"
        }
    reader = inert.Reader(b"", lambda _: None)
    real = {pair for pair in named if not _is_inert(reader.named(*pair))}
    assert ("mace.modules.models", "ScaleShiftMACE") in named - real
    assert real <= {
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        ("collections", "OrderedDict"),
        ("__builtin__", "set"),
        ("_codecs", "encode"),
    } | {pair for pair in named if pair[1].endswith("Storage")}
    picture = inert.read_inert(small_file)
    assert describe.class_name(picture) == "ScaleShiftMACE"
    with pytest.raises(AttributeError):
        _ = picture.no_such_thing


def _is_inert(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, inert.Inert)


def test_a_model_that_cannot_be_rebuilt_asks_for_trust(tmp_path: Path) -> None:
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    model.register_buffer("unheard_of", torch.ones(3))
    path = _saved(model, tmp_path / "a.model")
    with pytest.raises(UntrustedError, match=r"unheard_of.*--trusted"):
        load_base(path, fidelity="low")
    assert load_base(path, fidelity="low", trusted=True).fidelities == ("low",)


def test_a_constant_that_differs_asks_for_trust(tmp_path: Path) -> None:
    model = tiny_mace(hidden="4x0e", max_ell=1)
    model.readouts[-1].non_linearity.acts[0].cst *= 1.5
    with pytest.raises(UntrustedError, match="cst"):
        load_base(_saved(model, tmp_path / "a.model"), fidelity="low")


def test_constants_come_from_the_file(tmp_path: Path) -> None:
    model = tiny_mace(hidden="4x0e", max_ell=1)
    model.readouts[-1].non_linearity.acts[0].cst *= 1 + 1e-7  # another version of torch draws other random numbers
    potential = load_base(_saved(model, tmp_path / "a.model"), fidelity="low")
    assert (
        potential.backbone.module.readouts[-1].non_linearity.acts[0].cst == model.readouts[-1].non_linearity.acts[0].cst
    )


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "no file of torch"),
        (b"hello, this is not a model", "no file of torch"),
        ({"weights": torch.ones(2)}, "holds a dict"),
        (torch.nn.Linear(2, 2), "'Linear' is not supported"),
    ],
    ids=["empty", "text", "dictionary", "other-module"],
)
def test_not_a_mace_file(content: Any, match: str, trusted: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.model"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    assert not BACKEND.detects(path)
    with pytest.raises(ModelError, match=match):
        BACKEND.load(path, fidelity="low", trusted=trusted)
    with pytest.raises(ModelError, match="neither a checkpoint of rung nor a model that a backend reads"):
        load_base(path, fidelity="low", trusted=trusted)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model file .*nowhere\.model"):
        load_base(tmp_path / "nowhere.model", fidelity="low")
    with pytest.raises(ModelError, match="no model file"):
        load_base(tmp_path, fidelity="low")


@pytest.mark.parametrize("trusted", [False, True])
def test_truncated_file(small_file: Path, trusted: bool, tmp_path: Path) -> None:
    whole = small_file.read_bytes()
    path = tmp_path / "a.model"
    for size in (100, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match="truncated"):
            load_base(path, fidelity="low", trusted=trusted)


@given(where=st.floats(0.0, 1.0), value=st.integers(0, 255))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_raise_one_of_our_errors(small_file: Path, tmp_path: Path, where: float, value: int) -> None:
    content = bytearray(small_file.read_bytes())
    place = min(int(where * len(content)), len(content) - 1)
    content[place] = value
    path = tmp_path / "damaged.model"
    path.write_bytes(content)
    try:
        load_base(path, fidelity="low")
    except RungError as error:
        assert "\n" not in str(error).strip()


@pytest.mark.filterwarnings("ignore:.*jit.*:DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.model"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(ModelError, match="TorchScript"):
        load_base(path, fidelity="low")


def test_unpickling_error_names_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that the installed versions do not have, as when the file was made by others."""
    model = tiny_mace(layers=1, hidden="4x0e", max_ell=1)
    kind = type(model.products[0])
    monkeypatch.setattr(kind, "__module__", "mace.modules.of_tomorrow")
    monkeypatch.setitem(sys.modules, "mace.modules.of_tomorrow", sys.modules["mace.modules.blocks"])
    path = _saved(model, tmp_path / "a.model")
    monkeypatch.delitem(sys.modules, "mace.modules.of_tomorrow")
    with pytest.raises(ModelError, match=r"e3nn 0\.4.*mace-torch 0\.3"):
        load_base(path, fidelity="low", trusted=True)


def test_dtype_and_its_name(small_file: Path) -> None:
    potential = load_base(small_file, fidelity="low", dtype="float32")
    assert potential.dtype == torch.float32
    assert torch.get_default_dtype() == torch.float32
    with pytest.raises(ConfigError, match="float64"):
        load_base(small_file, fidelity="low", dtype="double")


def test_default_dtype_and_random_state_are_left_alone(small_file: Path) -> None:
    state = torch.random.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        load_base(small_file, fidelity="low", dtype="float32")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.random.get_rng_state(), state)


_PROBE = """
import io, os, pickle, sys, torch
before = dict(os.environ)
import rung.backends.mace.engine
assert dict(os.environ) == before, "the environment changed"
assert torch.get_default_dtype() == torch.float32
class Bad:
    def __reduce__(self):
        return os.system, ("touch %s",)
buffer = io.BytesIO()
torch.save(Bad(), buffer)
buffer.seek(0)
for arguments in ({}, {"weights_only": True}):
    try:
        torch.load(buffer, **arguments)
    except pickle.UnpicklingError:
        buffer.seek(0)
        continue
    raise SystemExit("a malicious file was loaded")
"""


def test_importing_mace_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"}
    mark = tmp_path / "ran"
    found = subprocess.run(
        [sys.executable, "-c", _PROBE % mark], env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout == ""
    assert found.stderr == ""
    assert not mark.exists()


def test_importing_rung_and_knowing_a_file_need_no_mace(testbed_base_path: Path) -> None:
    probe = (
        "import sys, pathlib, rung.checkpoint, rung.calculator\n"
        "from rung.backends.registry import detect\n"
        f"name = detect(pathlib.Path({str(testbed_base_path)!r})).name\n"
        "sys.exit(name != 'mace' or 'mace' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_missing_package_names_the_extra(small_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "mace"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mace", None)
    for name in [name for name in sys.modules if name.startswith("rung.backends.mace")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r"rung\[mace\]"):
        load_base(small_file, fidelity="low")
