"""Reading a pickled model without running anything from the file.

``torch.save`` of a module is a pickle, and a pickle is a program: it names functions and calls them. This reader lets
it name tensors and plain containers only. Whatever else the file names becomes an inert object that records its name,
its arguments and its state, and does nothing.
"""

import collections
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from rung.backends.archive import untrusted
from rung.errors import UntrustedError

_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    **{("builtins", kind.__name__): kind for kind in (set, frozenset, slice, complex)},
}
for _home in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_home, "_reconstruct"] = np.empty(0).__reduce__()[0]
    _ALLOWED[_home, "scalar"] = np.float64(0).__reduce__()[0]


def _latin1(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, which pickles of bytes call with the one encoding allowed here."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"an encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED["_codecs", "encode"] = _latin1
_CALLABLE = tuple({id(thing): thing for thing in _ALLOWED.values() if callable(thing)}.values())


class Inert:
    """What stands for an object of a class that the file names; each class has a subclass with its two names."""

    inert_module = ""
    inert_name = ""
    args: tuple[Any, ...]
    items: list[Any]

    def __new__(cls, *args: Any, **_: Any) -> "Inert":
        """Record the arguments; nothing else happens."""
        inert = object.__new__(cls)
        inert.__dict__.update(args=args, items=[])
        return inert

    def __getattr__(self, name: str) -> Any:
        """Find parameters, buffers and submodules by name, as ``torch.nn.Module`` does."""
        for group in ("_modules", "_parameters", "_buffers"):
            held = self.__dict__.get(group)
            if isinstance(held, dict) and name in held:
                return held[name]
        raise AttributeError(name)

    def append(self, item: Any) -> None:
        """Record an item of a list."""
        self.items.append(item)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Record an item of a mapping."""
        self.items.append((key, value))


def _inert_class(module: str, name: str) -> type[Inert]:
    return types.new_class("Inert", (Inert,), exec_body=lambda body: body.update(inert_module=module, inert_name=name))


_Unpickler: Any = pickle._Unpickler  # the one in Python, whose operations can be replaced


class _InertUnpickler(_Unpickler):
    """The pure-Python unpickler with every operation that calls or alters something restricted."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(_Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        known = self.__dict__.setdefault("inert_classes", {})
        return known.setdefault((module, name), _inert_class(module, name))

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError(f"the extension {code}")

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Inert):
            for part in state if isinstance(state, tuple) else (state,):
                target.__dict__.update(part if isinstance(part, dict) else {"state": part})
        elif isinstance(target, collections.OrderedDict):
            pass  # attributes of a dictionary carry nothing that a model needs
        elif isinstance(target, (np.ndarray, np.dtype)):
            target.__setstate__(state)  # type: ignore[union-attr]
        else:
            raise pickle.UnpicklingError(f"the state of a {type(target).__name__}")

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _call(self.stack[-1], arguments)

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _call(self.stack[-1], arguments)

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        arguments = self.stack.pop()
        self.stack[-1] = _call(self.stack[-1], arguments)

    def _instantiate(self, klass: Any, arguments: Any) -> None:
        self.append(_call(klass, tuple(arguments)))

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex


def _call(function: Any, arguments: tuple[Any, ...]) -> Any:
    if isinstance(function, type) and issubclass(function, Inert):
        if (function.inert_module, function.inert_name) == ("builtins", "getattr") and len(arguments) == 2:
            return _inert_class("torch", str(arguments[1])) if _is_torch(arguments[0]) else function(*arguments)
        return function(*arguments)
    if not any(function is allowed for allowed in _CALLABLE):
        raise pickle.UnpicklingError(f"a call of {function!r}")
    return function(*arguments)


def _is_torch(thing: Any) -> bool:
    """Whether an inert class is torch's own namespace of functions, under which ``torch.abs`` is pickled."""
    return isinstance(thing, type) and getattr(thing, "inert_module", "").split(".")[0] == "torch"


_UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_inert(path: Path) -> Any:
    """Return the inert picture of a file that ``torch.save`` wrote.

    Raises
    ------
    UntrustedError
        When the file asks for something that an inert reading cannot give.
    """
    reader = types.SimpleNamespace(Unpickler=_InertUnpickler, __name__="inert")
    try:
        return torch.load(path, map_location="cpu", pickle_module=reader, weights_only=False)
    except _UNREADABLE as error:
        raise UntrustedError(untrusted(path, f"it could not be read without running it: {error}")) from error
