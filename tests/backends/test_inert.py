"""The inert reader: whatever a pickle asks for, it makes checked values, or says in one sentence what it refuses."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from rung.backends.inert import Inert, read_inert
from rung.errors import ModelError, UntrustedError
from tests.backends.pickles import archive, call, fuzz, integer, name, raw, storage, tensor, text, tuple_of

DTYPE, ARRAY = name("numpy", "dtype"), name("numpy", "ndarray")
SIXTEEN = storage("FloatStorage", "0", integer(16))
NOTHING, ONE, HUGE = integer(0), tuple_of(integer(1)), integer(10**12)


def dtype(word: str) -> bytes:
    return call(DTYPE, text(word), b"\x89", b"\x88")


def reconstructed(kind: bytes, shape: bytes, content: bytes) -> bytes:
    empty = call(name("numpy.core.multiarray", "_reconstruct"), ARRAY, tuple_of(integer(0)), raw(b"b"))
    return empty + tuple_of(integer(1), shape, kind, b"\x89", content) + b"b"


TWICE = b"2\x86"
"""Makes a tuple of twice what is on the stack."""

REFUSED = {
    "array over a buffer": (
        call(name("builtins", "frozenset"), call(ARRAY, ONE, dtype("O"), raw(b"A" * 8))),
        "a type that is no plain number",
    ),
    "array over numbers": (call(ARRAY, ONE, dtype("f8"), raw(b"A" * 8)), "an array over memory of its own"),
    "array of objects": (reconstructed(dtype("O8"), ONE, raw(b"A" * 8)), "a type that is no plain number"),
    "array of nothing": (reconstructed(dtype("f8"), ONE, raw(b"")), "whose shape is not that of its numbers"),
    "huge array": (reconstructed(dtype("f8"), tuple_of(integer(10**12)), raw(b"A" * 8)), "whose shape is not that"),
    "array of a class": (
        call(name("numpy.core.multiarray", "_reconstruct"), name("a", "b"), tuple_of(integer(0)), raw(b"b")),
        "an array of a class of its own",
    ),
    "record type": (
        dtype("f8") + tuple_of(b"K\x03", text("|"), b"N", tuple_of(text("a")), b"}", integer(-1), integer(-1), b"K\x00")
        + b"b",
        "a type that is no plain number",
    ),
    "scalar of objects": (call(name("numpy.core.multiarray", "scalar"), dtype("O8"), raw(b"A" * 8)), "no plain number"),
    "short scalar": (call(name("numpy.core.multiarray", "scalar"), dtype("f8"), raw(b"A")), "another size than its"),
    "tensor beyond its numbers": (
        tensor(SIXTEEN, integer(15), tuple_of(integer(2)), ONE),
        "a tensor that reaches beyond its numbers",
    ),
    "negative offset": (tensor(SIXTEEN, integer(-1), ONE, ONE), "a size that is none"),
    "negative stride": (tensor(SIXTEEN, NOTHING, tuple_of(integer(2)), tuple_of(integer(-1))), "a size that is none"),
    "tensor repeated": (
        tensor(SIXTEEN, NOTHING, tuple_of(integer(10**12)), tuple_of(NOTHING)),
        "more numbers than the file has bytes",
    ),
    "empty tensor of a huge shape": (
        tensor(SIXTEEN, NOTHING, tuple_of(HUGE, NOTHING, HUGE), tuple_of(NOTHING, NOTHING, NOTHING)),
        "more numbers than the file has bytes",
    ),
    "storage larger than its member": (storage("FloatStorage", "0", integer(10**12)), "which holds fewer"),
    "storage outside": (storage("FloatStorage", "../../0", integer(1)), "which holds fewer"),
    "two kinds of one place": (
        tuple_of(SIXTEEN, storage("DoubleStorage", "0", integer(8))),
        "two kinds of numbers",
    ),
    "truth values of two": (storage("BoolStorage", "1", integer(16)) + b"0" + storage("BoolStorage", "2", integer(4)),
        "a truth value that is neither"),
    "set of a mapping": (call(name("builtins", "set"), b"}"), "a set of something that is no list"),
    "set of sets": (call(name("builtins", "set"), b"](" + tuple_of(b")") + b"e"), "a key that is a tuple"),
    "deep key": (b"}" + b")" + b"\x85" * 200_000 + b"Ns", "a key that is a tuple"),
    "huge key": (b"}" + integer(1 << 80) + b"Ns", "a key that is a int"),
    "doubled tuples": (integer(1) + TWICE * 60, "hold each other without end"),
    "a list in itself": (b"]2a", "hold each other without end"),
    "copies": (
        text("x" * 100_000) + b"q\x000(" + call(name("_codecs", "encode"), b"h\x00", text("latin1")) * 1000 + b"l",
        "far more copies than it holds content",
    ),
    "states": (
        b"](" + integer(1) * 30_000 + b"eq\x000(" + call(name("builtins", "slice"), b"h\x00") * 500 + b"l",
        "a slice that is none",
    ),
    "names": (b"".join(name("a", f"b{k}") + b"0" for k in range(2001)) + b"N", "more than 2000 names"),
    "operations": (b"N0" * 1_000_001 + b"N", "more than 2000000 operations"),
    "buffer": (b"\x97", "the operation NEXT_BUFFER"),
    "bytearray": (b"\x96" + (4).to_bytes(8, "little") + b"AAAA", "the operation BYTEARRAY8"),
    "huge bytearray": (b"\x96" + (1 << 62).to_bytes(8, "little"), "expected"),
    "extension": (b"\x82\x01", "the operation EXT1"),
    "old reference": (b"Pposix\n", "the operation PERSID"),
    "another encoding": (call(name("_codecs", "encode"), text("a"), text("zlib")), "an encoding other than latin1"),
    "append to a class": (name("collections", "OrderedDict") + integer(1) + b"a", "an item of a Maker"),
    "append to a tensor": (tensor(SIXTEEN, NOTHING, ONE, ONE) + integer(1) + b"a", "an item of a Tensor"),
    "item of a tensor": (tensor(SIXTEEN, NOTHING, ONE, ONE) + integer(0) + b"Ns", "an item of a Tensor"),
    "state of a tensor": (tensor(SIXTEEN, NOTHING, ONE, ONE) + b"}b", "the state of a Tensor"),
    "state of a function": (name("torch", "Size") + b"}b", "the state of a Maker"),
    "no end": (b"N0", "a value where there is none"),
    "no mark": (b"t", "a mark where there is none"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, tmp_path: Path) -> None:
    content, sentence = REFUSED[case]
    path = archive(b"\x80\x02" + content + b".", tmp_path / "a.model")
    with pytest.raises(UntrustedError, match=sentence) as caught:
        read_inert(path)
    assert len(str(caught.value)) < 600


def test_what_is_made(tmp_path: Path) -> None:
    """Values of each kind come back as torch and numpy would make them."""
    path = tmp_path / "a.model"
    transposed = torch.arange(6, dtype=torch.float64).reshape(2, 3).T
    content = {
        "tensors": [transposed, torch.tensor([True, False]), torch.zeros(0, 3), torch.tensor(2**40)],
        "parameter": torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16)),
        "arrays": [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))],
        "scalar": np.float32(0.1),
        "plain": [None, True, 1, -(2**70), 0.1, "é", b"\x00\xff", {1, "a"}, frozenset({2.5}), slice(1, None), 1 + 2j],
        "size": torch.Size([2, 3]),
        "dtype": torch.float16,
        "nested": {"a": ({"b": [()]},)},
    }
    torch.save(content, path)
    picture = read_inert(path)
    for found, expected in zip(picture["tensors"], content["tensors"], strict=True):
        assert found.dtype == expected.dtype
        assert found.stride() == expected.stride()
        assert torch.equal(found, expected)
    assert isinstance(picture["parameter"], torch.nn.Parameter)
    assert torch.equal(picture["parameter"], content["parameter"])
    arrays = torch.load(path, weights_only=False)["arrays"]  # numpy turns the bytes of another machine round
    for found, expected in zip(picture["arrays"], arrays, strict=True):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
    assert picture["scalar"] == np.float32(0.1)
    assert isinstance(picture["scalar"], np.float32)
    for key in ("plain", "size", "dtype", "nested"):
        assert picture[key] == content[key]


def test_other_things_are_inert(tmp_path: Path) -> None:
    state = b"}" + text("a") + integer(1) + b"s"
    made = call(name("posix", "system"), text("false")) + state + b"b" + integer(2) + b"a"
    picture = read_inert(archive(b"\x80\x02" + made + b".", tmp_path / "a.model"))
    assert isinstance(picture, Inert)
    assert (picture.inert_module, picture.inert_name) == ("posix", "system")
    assert (picture.args, picture.items, picture.a) == (("false",), [2], 1)


def test_packed_again_is_refused(tmp_path: Path) -> None:
    """A member that unpacks to more than the file has: zeros, or one place that many members share."""
    path = tmp_path / "a.model"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", b"\x80\x02N.")
        file.writestr("a/data/0", bytes(10_000_000))
    with pytest.raises(ModelError, match="packed again"):
        read_inert(path)


@pytest.mark.parametrize("count", [200, pytest.param(12_000, marks=pytest.mark.slow)])
def test_no_pickle_ends_in_anything_but_a_value_or_an_error_of_rung(count: int, tmp_path: Path) -> None:
    """Pickles of a grammar, read in a process of their own: no signal, no file touched, no other error."""
    found = fuzz(tmp_path, count, 11)
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr[-3000:]}"
    assert "'a value'" in found.stdout
    assert "'an error of rung'" in found.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.model"]


def test_the_watch_would_notice(tmp_path: Path) -> None:
    """The trap of the fuzz itself works: a reader that opens another file is caught."""
    found = fuzz(tmp_path, 5, 11, sabotage="/dev/null")
    assert found.returncode != 0
    assert "/dev/null" in found.stderr
