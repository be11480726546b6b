"""Pickles for the inert reader: a grammar of them for Hypothesis, and a child process in which they are read.

``python -m tests.backends.pickles FOLDER COUNT SEED ''`` reads ``COUNT`` pickles and says what became of them. What a
file may do is watched from outside of the reader: by Python's audit events, a limit of memory and a limit of time.
"""

import codecs
import resource
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MEMORY = 6 << 30
"""Bytes of address space that reading may take, torch counted."""

WATCHED = ("open", "os.", "subprocess.", "shutil.", "socket.", "ctypes.", "exec", "pty.", "tempfile.", "import")

FORBIDDEN = (
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "open"),
    ("builtins", "bytearray"),
    ("builtins", "memoryview"),
    ("torch", "load"),
    ("torch", "zeros"),
    ("torch.hub", "load"),
    ("torch._utils", "_rebuild_sparse_tensor"),
    ("numpy", "fromfile"),
    ("numpy", "memmap"),
    ("numpy._core.numeric", "_frombuffer"),
    ("mace.modules.models", "ScaleShiftMACE"),
)

REAL = (
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("__builtin__", "set"),
    ("builtins", "frozenset"),
    ("builtins", "slice"),
    ("builtins", "complex"),
    ("builtins", "getattr"),
    ("_codecs", "encode"),
    ("torch", "FloatStorage"),
    ("torch", "LongStorage"),
    ("torch", "BoolStorage"),
    ("torch", "QInt8Storage"),
    ("torch", "float32"),
    ("torch", "nn"),
)


def integer(value: int) -> bytes:
    """Return the operation that puts a whole number on the stack."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(content)) + content


def text(value: str) -> bytes:
    """Return the operation that puts text on the stack."""
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def raw(value: bytes) -> bytes:
    """Return the operation that puts bytes on the stack."""
    return b"B" + struct.pack("<I", len(value)) + value


def name(module: str, word: str) -> bytes:
    """Return the operation that puts what a name stands for on the stack."""
    return f"c{module}\n{word}\n".encode()


def tuple_of(*values: bytes) -> bytes:
    """Return operations that make a tuple."""
    return b"(" + b"".join(values) + b"t"


def call(function: bytes, *arguments: bytes) -> bytes:
    """Return operations that call something."""
    return function + tuple_of(*arguments) + b"R"


def storage(kind: str, key: str, count: bytes) -> bytes:
    """Return a reference to numbers of the archive."""
    return tuple_of(text("storage"), name("torch", kind), text(key), text("cpu"), count) + b"Q"


def tensor(numbers: bytes, offset: bytes, size: bytes, stride: bytes) -> bytes:
    """Return a call that makes a tensor."""
    empty = call(name("collections", "OrderedDict"))
    return call(name("torch._utils", "_rebuild_tensor_v2"), numbers, offset, size, stride, b"\x89", empty)


_NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 16, 255, -1, 1 << 31, 10**12, 1 << 62, (1 << 63) - 1, 1 << 64, 10**400])
_INTEGERS = _NUMBERS.map(integer)
_SHAPES = st.lists(_INTEGERS, max_size=4).map(lambda parts: tuple_of(*parts))
_STORAGES = st.builds(
    storage,
    st.sampled_from(["FloatStorage", "LongStorage", "BoolStorage", "DoubleStorage", "QInt8Storage", "Size"]),
    st.sampled_from(["0", "1", "9", "../0", "", "\x00"]),
    _INTEGERS,
)
_TYPE_NAMES = ("O", "O8", "f8", "i4", "V8", "U9", "S1000000000", "M8[s]", "f8,O", "(1000000,1000000)f8", "|O", "b1", "")
_TYPE = st.sampled_from(_TYPE_NAMES).map(lambda word: call(name("numpy", "dtype"), text(word), b"\x89", b"\x88"))
_TYPE_STATE = tuple_of(b"K\x03", text("<"), b"N", b"N", b"N", integer(-1), integer(-1), b"K\x00")
_ARRAY = st.builds(
    lambda home, kind, shape, content: (
        call(name("numpy.core.multiarray", "_reconstruct"), home, tuple_of(b"K\x00"), raw(b"b"))
        + tuple_of(b"K\x01", shape, kind, b"\x89", content)
        + b"b"
    ),
    st.sampled_from([name("numpy", "ndarray"), name("builtins", "set"), name("a", "b")]),
    st.one_of(_TYPE, _TYPE.map(lambda kind: kind + _TYPE_STATE + b"b"), _INTEGERS),
    _SHAPES,
    st.sampled_from([raw(b"A" * 8), raw(b""), raw(b"A" * 32), b"]"]),
)
_FUNCTIONS = st.sampled_from([*REAL, *REAL, *FORBIDDEN]).map(lambda pair: name(*pair))
_CONSTANTS = st.one_of(
    _INTEGERS,
    st.sampled_from([b"N", b"\x88", b"\x89", b")", b"]", b"}", b"\x8f", b"G" + struct.pack(">d", 1e308), b"Fnan\n"]),
    st.sampled_from(["latin1", "extend", "append", "_modules", "args", "items", "__class__", "cpu:9", "é"]).map(text),
    st.binary(max_size=9).map(raw),
    _FUNCTIONS,
)
_ATOMS = st.one_of(st.integers(-9, 9).map(integer), st.text(max_size=3).map(text), st.just(b"N"))
_GETS = st.integers(0, 5).map(lambda place: b"h" + bytes([place]))


def _grown(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    several = st.lists(values, max_size=4)
    pairs = st.lists(st.tuples(values, values).map(b"".join), max_size=3).map(b"".join)
    return st.one_of(
        several.map(lambda parts: tuple_of(*parts)),
        several.map(lambda parts: b"](" + b"".join(parts) + b"e"),
        several.map(lambda parts: b"\x8f(" + b"".join(parts) + b"\x90"),
        several.map(lambda parts: b"(" + b"".join(parts) + b"\x91"),
        pairs.map(lambda inner: b"}(" + inner + b"u"),
        pairs.map(lambda inner: b"(" + inner + b"d"),
        st.tuples(values, values).map(lambda two: two[0] + two[1] + b"\x86"),
        st.builds(lambda function, parts: call(function, *parts), _FUNCTIONS, several),
        st.builds(lambda function, parts: function + tuple_of(*parts) + b"\x81", _FUNCTIONS, several),
        st.builds(lambda function, parts: function + tuple_of(*parts) + b"}\x92", _FUNCTIONS, several),
        st.builds(lambda function, parts: b"(" + function + b"".join(parts) + b"o", _FUNCTIONS, several),
        st.builds(lambda value, parts: call(value, *parts), values, several),
        st.builds(lambda value, state: value + state + b"b", values, values),
        st.builds(lambda value, part: value + part + b"a", values, values),
        st.builds(lambda value, parts: value + b"(" + b"".join(parts) + b"e", values, several),
        st.builds(lambda value, parts: value + b"(" + b"".join(parts) + b"\x90", values, several),
        st.builds(lambda value, inner: value + b"(" + inner + b"u", values, pairs),
        st.builds(lambda value, place: value + b"q" + bytes([place]), values, st.integers(0, 5)),
        values.map(lambda value: value + b"2\x86"),
        values.map(lambda value: value + b"q\x002\x86h\x00\x86" + b"2\x86" * 60),
        values.map(lambda value: b"(i" + b"numpy\nndarray\n" + value),
        st.builds(tensor, st.one_of(_STORAGES, values), _INTEGERS, _SHAPES, _SHAPES),
        st.builds(lambda inner: call(name("torch._utils", "_rebuild_parameter"), inner, b"\x88", b"N"), values),
        st.builds(lambda parts: call(name("a.b", "D"), *parts) + b"}" + text("y") + b"h\x01sb", several),
        st.builds(lambda state: b"h\x00" + state + b"b", values),
        st.builds(lambda parts: b"h\x01(" + b"".join(parts) + b"e", several),
        st.builds(lambda inner: b"h\x02" + text("k") + inner + b"s", values),
        st.builds(
            lambda word, parts: call(name("builtins", word), b"](" + b"".join(parts) + b"e"),
            st.sampled_from(["set", "frozenset"]),
            st.lists(_ATOMS, max_size=4),
        ),
        st.builds(
            lambda kind, count, size, stride: tensor(storage(kind, "0", count), b"K\x00", size, stride),
            st.sampled_from(["FloatStorage", "LongStorage", "HalfStorage"]),
            st.integers(0, 8).map(integer),
            *[st.lists(st.integers(0, 3).map(integer), max_size=2).map(lambda parts: tuple_of(*parts))] * 2,
        ),
        _ARRAY,
        st.builds(
            lambda kind, content: call(name("numpy.core.multiarray", "scalar"), kind, raw(content)),
            st.one_of(_TYPE, values),
            st.binary(max_size=9),
        ),
    )


_KEPT = (
    call(name("a.b", "C"), integer(1)),
    b"]" + integer(1) + b"a",
    b"}" + text("key") + integer(1) + b"s",
    tensor(storage("FloatStorage", "0", integer(16)), integer(0), tuple_of(integer(4)), tuple_of(integer(1))),
    call(name("numpy", "dtype"), text("f8"), b"\x89", b"\x88"),
    name("numpy", "ndarray"),
)
_PRELUDE = b"".join(value + b"q" + bytes([place]) + b"0" for place, value in enumerate(_KEPT))
"""Six values for programs to take up: an object, a list, a mapping, a tensor, a type, a class."""

_VALUES = st.recursive(st.one_of(_CONSTANTS, _GETS, _STORAGES, _ARRAY), _grown, max_leaves=12)


def _broken(content: bytes, places: Sequence[tuple[float, int]]) -> bytes:
    damaged = bytearray(content)
    for where, value in places:
        damaged[min(int(where * len(damaged)), len(damaged) - 1)] = value
    return bytes(damaged)


PICKLES = st.builds(
    _broken,
    st.builds(
        lambda protocol, value: b"\x80" + bytes([protocol]) + _PRELUDE + value + b".", st.integers(0, 5), _VALUES
    ),
    st.one_of(st.just(()), st.just(()), st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 255)), max_size=3)),
)
"""Whole programs of the operations that a pickle may have, a third of them with damaged bytes."""


def archive(content: bytes, path: Path) -> Path:
    """Write a pickle as ``torch.save`` would, with three rows of numbers beside it."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", content)
        file.writestr("a/byteorder", "little")
        file.writestr("a/data/0", bytes(64))
        file.writestr("a/data/1", b"\x01" * 16)
        file.writestr("a/data/2", b"\x02" * 16)
    return path


def fuzz(folder: Path, count: int, start: int, *, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    """Read pickles in a child process, which ends with 0 where each ended in an error of rung's or a value.

    ``sabotage`` is a file to read after each, to see that the watch notices.
    """
    command = [sys.executable, "-m", "tests.backends.pickles", str(folder), str(count), str(start), sabotage]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)


def main(folder: Path, count: int, start: int, sabotage: str) -> None:
    """Read ``count`` pickles, and print what became of them."""
    from rung.backends.inert import read_inert
    from rung.errors import ModelError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    path, watching, touched = folder / "a.model", [False], []
    ends: Counter[str] = Counter()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        own = event == "open" and Path(str(arguments[0])) == path and arguments[1] == "r"
        if watching[0] and event.startswith(WATCHED) and not own:
            touched.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(hook)

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(PICKLES)
    def read(content: bytes) -> None:
        archive(content, path)
        watching[0] = True
        try:
            read_inert(path)
            if sabotage:
                Path(sabotage).read_bytes()
            ends["a value"] += 1
        except ModelError as error:
            ends["an error of rung"] += 1
            assert "\n" not in str(error)
        finally:
            watching[0] = False
        assert not touched, touched

    codecs.lookup("raw_unicode_escape")
    read_inert(archive(b"\x80\x02N.", path))  # Python and torch import a few things when they are first used
    read()
    print(dict(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
