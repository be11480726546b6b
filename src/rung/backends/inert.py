"""Reading a pickled model without running anything from the file.

``torch.save`` of a module is a pickle, and a pickle is a program: it names functions and calls them. This reader
performs the operations of that program itself. What a file may make are plain containers, numbers and tensors, each by
a function of :mod:`rung.backends.inert_values` that checks its arguments. Whatever else the file names becomes an inert
object that records its name, its arguments and its state, and does nothing.

A file cannot make the reader spend much more than its own size: operations, names, copies and what shared containers
would come to when they are written out are bounded. The operations are described in Python's ``pickletools``.
"""

import collections
import pickletools
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rung.backends.archive import TorchArchive, untrusted
from rung.backends.inert_values import (
    REAL,
    Maker,
    NumberType,
    RefusedError,
    Storage,
    StorageKind,
    fill_array,
    hashable,
    storage_of,
)
from rung.errors import UntrustedError

MOST_OPERATIONS = 2_000_000
"""Operations of a pickle; a large model of MACE takes about a hundred thousand."""

MOST_NAMES = 2_000
"""Different names in a pickle; a model of MACE has about fifty."""

_SPARE = 1_000_000
_TIMES = 64
"""What a pickle may copy, and what its containers may come to written out: so many times its own size, and a little."""


class Inert:
    """What stands for an object of a class that the file names; each class has a subclass with its two names."""

    inert_module = ""
    inert_name = ""
    args: tuple[Any, ...]
    items: list[Any]

    def __new__(cls, *args: Any) -> "Inert":
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


class Reader:
    """Performs the operations of one pickle.

    Parameters
    ----------
    content
        The pickle.
    persistent
        Returns what a reference to something outside the pickle means.
    """

    def __init__(self, content: bytes, persistent: Callable[[Any], Any]) -> None:
        self._content = content
        self._persistent = persistent
        self._left = _TIMES * len(content) + _SPARE
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._names: dict[tuple[str, str], Any] = {}

    def read(self) -> Any:
        """Return what the pickle holds.

        Raises
        ------
        RefusedError
            When it asks for what is not done here.
        """
        for count, (code, argument, _) in enumerate(pickletools.genops(self._content)):
            if count > MOST_OPERATIONS:
                raise RefusedError(f"more than {MOST_OPERATIONS} operations")
            if code.name == "STOP":
                found = self._pop()
                check_expanse(found, _TIMES * len(self._content) + _SPARE)
                return found
            if code.name in _CONSTANTS:
                self._stack.append(argument)
            elif code.name in _OPERATIONS:
                _OPERATIONS[code.name](self, argument)
            else:
                raise RefusedError(f"the operation {code.name}")
        raise RefusedError("a pickle without an end")

    def named(self, module: str, name: str) -> Any:
        """Return what stands for a name: something real that is on the list, or an inert class."""
        module = "builtins" if module == "__builtin__" else module
        if (module, name) in REAL:
            return REAL[module, name]
        if (module, name) not in self._names:
            if len(self._names) >= MOST_NAMES:
                raise RefusedError(f"more than {MOST_NAMES} names")
            self._names[module, name] = inert_class(module, name)
        return self._names[module, name]

    def _spend(self, *things: Any) -> None:
        """Count what a call or a state copies."""
        self._left -= sum(len(thing) for thing in things if isinstance(thing, _SIZED))
        if self._left < 0:
            raise RefusedError("far more copies than it holds content")

    def _pop(self) -> Any:
        if not self._stack:
            raise RefusedError("a value where there is none")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise RefusedError("a value where there is none")
        return self._stack[-1]

    def _to_mark(self) -> list[Any]:
        if not self._below:
            raise RefusedError("a mark where there is none")
        items, self._stack = self._stack, self._below.pop()
        return items

    def _mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _drop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _tuple(self, size: int | None) -> None:
        items = self._to_mark() if size is None else [self._pop() for _ in range(size)][::-1]
        self._stack.append(tuple(items))

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, (list, Inert)):
            raise RefusedError(f"an item of a {type(target).__name__}")
        listed = target if isinstance(target, list) else self._items(target)
        listed.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target, pairs = self._top(), _pairs(items)
        if isinstance(target, Inert):
            self._items(target).extend(pairs)
        elif isinstance(target, dict):
            target.update((hashable(key), value) for key, value in pairs)
        else:
            raise RefusedError(f"an item of a {type(target).__name__}")

    def _items(self, inert: Inert) -> list[Any]:
        items = inert.__dict__.get("items")
        if not isinstance(items, list):
            raise RefusedError("an item of what has none")
        return items

    def _add_items(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, set):
            raise RefusedError(f"an element of a {type(target).__name__}")
        target.update(map(hashable, items))

    def _get(self, argument: Any) -> None:
        if argument not in self._memo:
            raise RefusedError("something that was not kept")
        self._stack.append(self._memo[argument])

    def _put(self, argument: Any) -> None:
        self._memo[len(self._memo) if argument is None else argument] = self._top()

    def _global(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._stack.append(self.named(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise RefusedError("a name that is no text")
        self._stack.append(self.named(module, name))

    def _call(self, function: Any, arguments: Any) -> None:
        if not isinstance(arguments, (tuple, list)):
            raise RefusedError("a call without arguments")
        self._spend(arguments, *arguments)
        self._stack.append(called(function, tuple(arguments)))

    def _reduce(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        self._call(function, arguments)

    def _new_with_names(self, _: Any) -> None:
        self._pop()  # arguments by name: an inert object needs none of them
        self._reduce(None)

    def _instance(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._call(self.named(module, name), self._to_mark())

    def _object(self, _: Any) -> None:
        items = self._to_mark()
        if not items:
            raise RefusedError("an object without a class")
        self._call(items[0], items[1:])

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Inert):
            for part in state if isinstance(state, tuple) else (state,):
                self._spend(part)
                target.__dict__.update(part if isinstance(part, dict) else {"state": part})
        elif isinstance(target, collections.OrderedDict):
            pass  # attributes of a dictionary carry nothing that a model needs
        elif isinstance(target, np.ndarray):
            self._spend(*(state if isinstance(state, tuple) else ()))
            fill_array(target, state)
        elif isinstance(target, NumberType):
            target.build(state)
        else:
            raise RefusedError(f"the state of a {type(target).__name__}")

    def _outside(self, _: Any) -> None:
        self._stack.append(self._persistent(self._pop()))


_SIZED = (str, bytes, list, tuple, dict, set, frozenset)

_CONSTANTS = {
    *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
    *("BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}

_OPERATIONS: Mapping[str, Callable[[Reader, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda *_: None),
    "NONE": lambda reader, _: reader._stack.append(None),
    "NEWTRUE": lambda reader, _: reader._stack.append(True),
    "NEWFALSE": lambda reader, _: reader._stack.append(False),
    "EMPTY_TUPLE": lambda reader, _: reader._stack.append(()),
    "EMPTY_LIST": lambda reader, _: reader._stack.append([]),
    "EMPTY_DICT": lambda reader, _: reader._stack.append({}),
    "EMPTY_SET": lambda reader, _: reader._stack.append(set()),
    "TUPLE": lambda reader, _: reader._tuple(None),
    "TUPLE1": lambda reader, _: reader._tuple(1),
    "TUPLE2": lambda reader, _: reader._tuple(2),
    "TUPLE3": lambda reader, _: reader._tuple(3),
    "LIST": lambda reader, _: reader._stack.append(reader._to_mark()),
    "DICT": lambda reader, _: reader._stack.append({hashable(key): value for key, value in _pairs(reader._to_mark())}),
    "FROZENSET": lambda reader, _: reader._stack.append(frozenset(map(hashable, reader._to_mark()))),
    "APPEND": lambda reader, _: reader._append([reader._pop()]),
    "APPENDS": lambda reader, _: reader._append(reader._to_mark()),
    "SETITEM": lambda reader, _: reader._set_items([reader._pop(), reader._pop()][::-1]),
    "SETITEMS": lambda reader, _: reader._set_items(reader._to_mark()),
    "ADDITEMS": lambda reader, _: reader._add_items(reader._to_mark()),
    "MARK": Reader._mark,
    "POP": Reader._drop,
    "POP_MARK": lambda reader, _: reader._to_mark().clear(),
    "DUP": lambda reader, _: reader._stack.append(reader._top()),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Reader._get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Reader._put),
    "GLOBAL": Reader._global,
    "STACK_GLOBAL": Reader._stack_global,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), Reader._reduce),
    "NEWOBJ_EX": Reader._new_with_names,
    "INST": Reader._instance,
    "OBJ": Reader._object,
    "BUILD": Reader._build,
    "BINPERSID": Reader._outside,
}
"""What is done for an operation; one that is not here is refused: extensions, buffers outside the file, bytearrays."""


def inert_class(module: str, name: str) -> type[Inert]:
    """Return a class of inert objects for a name."""
    return types.new_class("Inert", (Inert,), exec_body=lambda body: body.update(inert_module=module, inert_name=name))


def called(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return what a call of something that a file names makes; nothing but a :class:`Maker` is ever run."""
    if isinstance(function, type) and issubclass(function, Inert):
        if (function.inert_module, function.inert_name) == ("builtins", "getattr") and len(arguments) == 2:
            home, name = arguments
            return inert_class("torch", name) if _is_torch(home) and isinstance(name, str) else function(*arguments)
        return function(*arguments)
    if not isinstance(function, Maker):
        raise RefusedError(f"a call of a {type(function).__name__}")
    return function.make(arguments)


def check_expanse(found: Any, limit: int) -> None:
    """Refuse plain containers that hold themselves, or hold others so often that written out they are huge.

    A tuple of twice the same tuple of twice the same tuple takes five bytes a level in a file and doubles with each.
    """
    sizes: dict[int, int] = {}
    begun: set[int] = set()
    waiting = [found]
    while waiting:
        thing = waiting[-1]
        if id(thing) in sizes:
            waiting.pop()
        elif id(thing) in begun:
            waiting.pop()
            size = 1 + sum(1 if isinstance(part, Inert) else sizes.get(id(part), limit) for part in _parts(thing))
            if size > limit and not isinstance(thing, Inert):
                raise RefusedError("containers that hold each other without end")
            sizes[id(thing)] = size
        elif isinstance(thing, (*_CONTAINERS, Inert)):
            begun.add(id(thing))
            parts = [part for part in _parts(thing) if id(part) not in sizes]
            waiting += [part for part in parts if id(part) not in begun]
        else:
            waiting.pop()
            sizes[id(thing)] = 1 + len(thing) if isinstance(thing, (str, bytes)) else 1


_CONTAINERS = (tuple, list, dict, set, frozenset)


def _parts(thing: Any) -> list[Any]:
    if isinstance(thing, Inert):
        return list(thing.__dict__.values())
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values()]
    return list(thing)


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    if len(items) % 2:
        raise RefusedError("a key without a value")
    return list(zip(items[::2], items[1::2], strict=True))


def _is_torch(thing: Any) -> bool:
    """Whether an inert class is torch's own namespace of functions, under which ``torch.abs`` is pickled."""
    return isinstance(thing, type) and getattr(thing, "inert_module", "").split(".")[0] == "torch"


def read_inert(path: Path) -> Any:
    """Return the inert picture of a file that ``torch.save`` wrote.

    Raises
    ------
    UntrustedError
        When the file asks for something that an inert reading cannot give.
    """
    archive = TorchArchive.open(path)
    kept: dict[str, Storage] = {}

    def persistent(reference: Any) -> Storage:
        kind, key, count = storage_of(reference)
        if key not in kept:
            kept[key] = _storage(archive, kind, key, count)
        if kept[key].values.dtype != kind.dtype or len(kept[key].values) < count:
            raise RefusedError(f"two kinds of numbers at the place {key}")
        return kept[key]

    try:
        return Reader(archive.record("data.pkl"), persistent).read()
    except (RefusedError, ValueError) as error:  # ValueError: what pickletools says of broken operations
        reason = f"it could not be read without running it: {' '.join(str(error).split())[:200]}"
        raise UntrustedError(untrusted(path, reason)) from error


def _storage(archive: TorchArchive, kind: StorageKind, key: str, count: int) -> Storage:
    name = f"data/{key}"
    size = count * kind.dtype.itemsize
    if archive.sizes.get(name, -1) < size:
        raise RefusedError(f"{count} numbers at the place {key[:40]}, which holds fewer")
    return kind.storage(archive.record(name), count, most=archive.total)
