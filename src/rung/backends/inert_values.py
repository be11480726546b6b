"""What an inert reading makes for real: containers, numbers, arrays and tensors, each with a check of its arguments.

Nothing here trusts a shape, a stride, a count or a type that a file states: each is held against what the file holds
before anything is made of it.
"""

import collections
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_NUMBER_TYPE = re.compile(r"[<>=|]?[biufc][1-9][0-9]?")
_DEVICE = re.compile(r"[a-z]{1,12}(?::[0-9]{1,3})?")
_WORD = 1 << 63
_MOST_DIMENSIONS = 16
_ATOMS = (str, bytes, int, float, bool, type(None))

_STORAGES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
}


class RefusedError(Exception):
    """A pickle asks for something that an inert reading does not do; the message is what, without a full stop."""


@dataclass(frozen=True)
class Maker:
    """Something real that a file may call.

    Parameters
    ----------
    name
        Its full name.
    make
        Makes it of the arguments, or raises a :class:`RefusedError`.
    """

    name: str
    make: Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True)
class Storage:
    """Numbers in a row.

    Parameters
    ----------
    values
        The numbers, shape ``(n,)``.
    most
        How many numbers a tensor that looks at them may have: a stride of zero repeats one without end.
    """

    values: Tensor
    most: int


@dataclass(frozen=True)
class StorageKind:
    """The class of a storage."""

    dtype: torch.dtype

    def storage(self, content: bytes, count: int, *, most: int) -> Storage:
        """Return the first ``count`` numbers of the bytes of a file."""
        if count == 0:
            return Storage(torch.empty(0, dtype=self.dtype), most)
        values = torch.frombuffer(bytearray(content), dtype=torch.uint8, count=count * self.dtype.itemsize)
        if self.dtype == torch.bool and bool((values > 1).any()):
            raise RefusedError("a truth value that is neither")
        return Storage(values.clone().view(self.dtype), most)


class NumberType:
    """The type of numbers of an array."""

    def __init__(self, name: str) -> None:
        try:
            self.dtype: np.dtype[Any] = np.dtype(name)
        except TypeError as error:
            raise RefusedError("a type of numbers that is none") from error

    def build(self, state: Any) -> None:
        """Take the order of bytes from the state that numpy pickles; any other content of it is refused."""
        plain = isinstance(state, tuple) and len(state) in (8, 9) and state[2:8] == (None, None, None, -1, -1, 0)
        if not plain or state[1] not in ("<", ">", "=", "|") or any(state[8:]):
            raise RefusedError("a type that is no plain number")
        self.dtype = self.dtype.newbyteorder(state[1])


def hashable(key: Any) -> Any:
    """Return a key of a mapping or an element of a set; refuse one whose hash could take for ever."""
    if type(key) not in _ATOMS or (type(key) is int and not -_WORD <= key < 2 * _WORD):
        raise RefusedError(f"a key that is a {type(key).__name__}")
    return key


def storage_of(reference: Any) -> tuple[StorageKind, str, int]:
    """Return kind, place and count of numbers that a reference out of the pickle names, as ``torch.save`` writes it."""
    if not (isinstance(reference, tuple) and len(reference) == 5):
        raise RefusedError("something outside the file")
    word, kind, key, _, count = reference
    if word != "storage" or not isinstance(kind, StorageKind) or type(key) is not str:
        raise RefusedError("something outside the file")
    return kind, key, _count(count)


def fill_array(array: NDArray[Any], state: Any) -> None:
    """Put shape, type and numbers into an array, as numpy pickles them."""
    if not (isinstance(state, tuple) and len(state) == 5):
        raise RefusedError("the state of an array that is none")
    _, shape, kind, fortran, content = state
    if not isinstance(kind, NumberType) or type(fortran) is not bool or type(content) is not bytes:
        raise RefusedError("an array of something else than numbers")
    if math.prod(_shape(shape)) * kind.dtype.itemsize != len(content):
        raise RefusedError("an array whose shape is not that of its numbers")
    put: Callable[..., None] = array.__setstate__  # numpy's stub asks for a truth value of its own type
    put((1, _shape(shape), kind.dtype, fortran, content))


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _WORD:
        raise RefusedError("a size that is none")
    return value


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > _MOST_DIMENSIONS:
        raise RefusedError("a shape that is none")
    return tuple(map(_count, value))


def _tensor(arguments: tuple[Any, ...]) -> Tensor:
    """Make a tensor, as ``torch._utils._rebuild_tensor_v2`` does, after a look at every number."""
    if len(arguments) not in (6, 7) or not isinstance(arguments[0], Storage) or type(arguments[4]) is not bool:
        raise RefusedError("a tensor of something else than numbers")
    storage, offset, size, stride = arguments[0], _count(arguments[1]), _shape(arguments[2]), _shape(arguments[3])
    if len(size) != len(stride):
        raise RefusedError("a tensor whose shape and strides do not agree")
    if math.prod(max(length, 1) for length in size) > storage.most:
        raise RefusedError("a tensor of more numbers than the file has bytes")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and last >= len(storage.values):
        raise RefusedError("a tensor that reaches beyond its numbers")
    if 0 in size:
        return torch.empty(size, dtype=storage.values.dtype)
    made = torch.as_strided(storage.values, size, stride, offset)
    return made.requires_grad_() if arguments[4] and made.is_floating_point() else made


def _parameter(arguments: tuple[Any, ...]) -> Tensor:
    if len(arguments) != 3 or not isinstance(arguments[0], Tensor) or type(arguments[1]) is not bool:
        raise RefusedError("a parameter that is no tensor")
    tensor = arguments[0].detach()
    return torch.nn.Parameter(tensor, requires_grad=arguments[1] and tensor.is_floating_point())


def _array(arguments: tuple[Any, ...]) -> NDArray[Any]:
    """Make the empty array that a state fills later."""
    if len(arguments) != 3 or arguments[0] is not ARRAY:
        raise RefusedError("an array of a class of its own")
    return np.zeros(0, dtype=np.int8)


def _number_type(arguments: tuple[Any, ...]) -> NumberType:
    name = arguments[0] if arguments else None
    if len(arguments) > 3 or type(name) is not str or not _NUMBER_TYPE.fullmatch(name):
        raise RefusedError("a type that is no plain number")
    return NumberType(name)


def _scalar(arguments: tuple[Any, ...]) -> Any:
    if len(arguments) != 2 or not isinstance(arguments[0], NumberType) or type(arguments[1]) is not bytes:
        raise RefusedError("a number that is none")
    if len(arguments[1]) != arguments[0].dtype.itemsize:
        raise RefusedError("a number of another size than its type")
    return np.frombuffer(arguments[1], dtype=arguments[0].dtype)[0]


def _refused(arguments: tuple[Any, ...]) -> Any:
    del arguments
    raise RefusedError("an array over memory of its own")


def _latin1(arguments: tuple[Any, ...]) -> bytes:
    """Stand in for ``_codecs.encode``, which pickles of bytes call with the one encoding allowed here."""
    if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] != "latin1":
        raise RefusedError("an encoding other than latin1")
    return arguments[0].encode("latin1")


def _elements(arguments: tuple[Any, ...]) -> list[Any]:
    if len(arguments) > 1 or not all(isinstance(one, (list, tuple, set, frozenset)) for one in arguments):
        raise RefusedError("a set of something that is no list")
    return [hashable(element) for one in arguments for element in one]


def _mapping(arguments: tuple[Any, ...]) -> collections.OrderedDict[Any, Any]:
    if len(arguments) > 1 or not all(isinstance(one, (list, tuple)) for one in arguments):
        raise RefusedError("a mapping of something that is no list")
    pairs = [pair for one in arguments for pair in one]
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise RefusedError("a mapping of something else than pairs")
    return collections.OrderedDict((hashable(key), value) for key, value in pairs)


def _slice(arguments: tuple[Any, ...]) -> slice:
    if not 1 <= len(arguments) <= 3 or not all(one is None or type(one) is int for one in arguments):
        raise RefusedError("a slice that is none")
    return slice(*arguments)


def _complex(arguments: tuple[Any, ...]) -> complex:
    if len(arguments) > 2 or not all(type(one) is float for one in arguments):
        raise RefusedError("a complex number that is none")
    return complex(*arguments)


def _size(arguments: tuple[Any, ...]) -> torch.Size:
    if len(arguments) != 1:
        raise RefusedError("a shape that is none")
    return torch.Size(_shape(arguments[0]))


def _device(arguments: tuple[Any, ...]) -> str:
    """Make the name of a device; where a model was plays no part here."""
    words = [str(one) if type(one) is int else one for one in arguments]
    name = ":".join(one for one in words if type(one) is str and len(one) < 20)
    if not 1 <= len(arguments) <= 2 or not _DEVICE.fullmatch(name):
        raise RefusedError("a device that is none")
    return name


ARRAY = Maker("numpy.ndarray", _refused)

_MAKERS = (
    ARRAY,
    Maker("collections.OrderedDict", _mapping),
    Maker("torch.Size", _size),
    Maker("torch.device", _device),
    Maker("torch._utils._rebuild_tensor_v2", _tensor),
    Maker("torch._utils._rebuild_parameter", _parameter),
    Maker("numpy.dtype", _number_type),
    Maker("builtins.set", lambda arguments: set(_elements(arguments))),
    Maker("builtins.frozenset", lambda arguments: frozenset(_elements(arguments))),
    Maker("builtins.slice", _slice),
    Maker("builtins.complex", _complex),
    Maker("_codecs.encode", _latin1),
    *(Maker(f"{home}.multiarray._reconstruct", _array) for home in ("numpy.core", "numpy._core")),
    *(Maker(f"{home}.multiarray.scalar", _scalar) for home in ("numpy.core", "numpy._core")),
)

REAL: Mapping[tuple[str, str], Maker | StorageKind | torch.dtype] = {
    **{(maker.name.rpartition(".")[0], maker.name.rpartition(".")[2]): maker for maker in _MAKERS},
    **{("torch", name): StorageKind(dtype) for name, dtype in _STORAGES.items()},
    **{("torch", str(dtype).removeprefix("torch.")): dtype for dtype in _STORAGES.values()},
}
"""What a file may name for real, by module and name."""
