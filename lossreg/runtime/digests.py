"""Digests of objects, the same in every process: two callables that differ in what they compute have different ones."""

from __future__ import annotations

import dis
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from lossreg.errors import InputError, one_line, represented
from lossreg.runtime import user_code

SCALARS = (type(None), bool, int, float, complex, str, type(Ellipsis))
INSTALLED = ("site-packages", "dist-packages")
STANDARD = Path(sysconfig.get_paths()["stdlib"])
# of objects by their id, while they run; and of what they have become, the digest before
_running: dict[int, str] = {}
_before: dict[str, str] = {}


def digest(value: Any) -> str:
    """Return the SHA-256 of all that `value` computes with: code, constants, closures, arguments, state, globals used.

    Of modules, and of functions and classes of installed packages, only the name counts. Raises `InputError` for an
    object whose state cannot be read, such as an open file. What objects change as they are `running` does not count.
    """
    try:
        return _running.get(id(value)) or _before.get(now := _Digester().of(value), now)
    except (Exception, RecursionError) as error:
        raise InputError(f"{represented(value)} cannot be told from similar objects ({one_line(error)})") from error


@contextmanager
def running(values: Iterable[Any]) -> Iterator[None]:
    """Keep the digests of objects, during the block and after it, which may change their state, such as a counter."""
    begun = {}
    for value in values:
        with suppress(InputError):
            begun[id(value)] = (value, digest(value))
    _running.update({key: before for key, (_, before) in begun.items()})
    try:
        yield
    finally:
        for key, (value, before) in begun.items():
            _running.pop(key, None)
            with suppress(InputError):
                if (now := digest(value)) != before:
                    _before[now] = before


class _Digester:
    """The digests of one traversal; an object that contains itself is told by its depth."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, str]] = {}
        self._open: dict[int, int] = {}

    def of(self, value: Any) -> str:
        """Return the digest of a value."""
        if type(value) in SCALARS:
            return _joined(type(value).__name__, repr(value))
        if isinstance(value, (bytes, bytearray)):
            return _joined("bytes", hashlib.sha256(value).hexdigest())
        if id(value) in self._known:
            return self._known[id(value)][1]
        if id(value) in self._open:
            return _joined("cycle", str(len(self._open) - self._open[id(value)]))
        self._open[id(value)] = len(self._open)
        digest = _joined(*self._parts(value))
        del self._open[id(value)]
        # the value is kept, so that no other gets its id
        self._known[id(value)] = (value, digest)
        return digest

    def _parts(self, value: Any) -> Iterator[str]:
        yield type(value).__qualname__
        if type(value) in (list, tuple):
            yield from map(self.of, value)
        elif type(value) in (set, frozenset):
            yield from sorted(map(self.of, value))
        elif type(value) is dict:
            yield from sorted(_joined(self.of(key), self.of(item)) for key, item in value.items())
        elif isinstance(value, ModuleType):
            yield value.__name__
        elif isinstance(value, (FunctionType, type, BuiltinFunctionType)) and _is_installed(value):
            yield from (value.__module__ or "", value.__qualname__)
        else:
            yield from map(self.of, self._contents(value))

    def _contents(self, value: Any) -> Iterator[Any]:
        if isinstance(value, FunctionType):
            yield from (value.__code__, value.__defaults__, value.__kwdefaults__, value.__closure__, _globals(value))
        elif isinstance(value, CodeType):
            arguments = value.co_varnames[: value.co_argcount + value.co_kwonlyargcount]
            yield from (value.co_code, value.co_names, value.co_consts, value.co_freevars, arguments, value.co_flags)
        elif isinstance(value, CellType):
            yield _content(value)
        elif isinstance(value, MethodType):
            yield from (value.__func__, value.__self__)
        elif isinstance(value, type):
            yield from (user_code.plain_module(value.__module__), value.__qualname__, value.__bases__, _members(value))
        elif isinstance(value, (staticmethod, classmethod)):
            yield value.__func__
        elif isinstance(value, property):
            yield from (value.fget, value.fset, value.fdel)
        else:
            yield from _state(value)


def _joined(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _is_installed(value: Any) -> bool:
    """Tell whether a function or class belongs to an installed package or to Python, where its name leads to it."""
    module = sys.modules.get(value.__module__ or "builtins")
    named: Any = module
    for name in value.__qualname__.split("."):
        named = getattr(named, name, None)
    file = getattr(module, "__file__", None)
    if named is not value or file is None:
        return named is value and value.__module__ != "__main__"
    path, package = Path(file), value.__module__.partition(".")[0]
    ours = package == __name__.partition(".")[0]
    return ours or path.is_relative_to(STANDARD) or not set(INSTALLED).isdisjoint(path.parts)


def _globals(function: FunctionType) -> dict[str, Any]:
    """Return the globals that the code of a function, and of functions inside it, reads."""
    return {name: function.__globals__[name] for name in _read(function.__code__) if name in function.__globals__}


def _read(code: CodeType) -> set[str]:
    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_read(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "an empty cell"


def _members(cls: type) -> dict[str, Any]:
    """Return the attributes of a class that its objects compute with."""
    kinds = (FunctionType, staticmethod, classmethod, property)
    return {
        name: member
        for name, member in vars(cls).items()
        if isinstance(member, kinds) or not (name.startswith(("__", "_abc_")) or hasattr(member, "__objclass__"))
    }


def _state(value: Any) -> Iterator[Any]:
    """Yield the class of an object and its state: a wrapper's function, a Keras object's configuration, or its pickle.

    The name of a Keras object is left out, because Keras numbers the objects of a class in it.
    """
    yield type(value)
    if callable(wrapped := getattr(value, "__wrapped__", None)):
        yield wrapped
    elif callable(getattr(value, "get_config", None)):
        yield from (_unnamed(value.get_config()), _unnamed(getattr(value, "__dict__", {})))
    else:
        reduced = value.__reduce_ex__(4)
        yield from (reduced,) if isinstance(reduced, str) else (_listed(part) for part in reduced)


def _unnamed(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != "name"}


def _listed(part: Any) -> Any:
    """Return a part of a pickle, an iterator as a list."""
    return list(part) if isinstance(part, Iterator) else part
