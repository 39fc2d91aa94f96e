"""The user's own functions, named `file.py:function` or `package.module:function`: found, called, quoted on failure."""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import Any

from lossreg.errors import InputError, UnknownError, brief, contained, did_you_mean, on_disk, one_line

FORMS = 'Write "file.py:function" or "package.module:function".'


def locate(reference: str, base: Path = Path()) -> Any:
    """The object that `reference` names; files and modules are looked for in `base` first.

    Raises `InputError` for a missing file or module, one that fails to import (the error is
    quoted), and `UnknownError` for a name that is not in it.
    """
    place, _, attribute = reference.rpartition(":")
    if not place or not attribute.isidentifier():
        raise InputError("is neither a file nor a module with a function", where=reference, hint=FORMS)
    if not place.endswith(".py") and not all(map(str.isidentifier, place.split("."))):
        raise InputError(f"{place} is neither a .py file nor the dotted name of a module", where=reference, hint=FORMS)
    module = _from_file(base / place, reference) if place.endswith(".py") else _from_module(place, base, reference)
    if not hasattr(module, attribute):
        raise UnknownError(f"{place} has no {attribute}", where=reference, hint=_near(attribute, module))
    return getattr(module, attribute)


def folder(reference: str, base: Path = Path()) -> Path:
    """The folder whose modules the code that `reference` names may import: that of its file, else `base`."""
    place = reference.rpartition(":")[0]
    return (base / place).parent if place.endswith(".py") else base


def call(function: Callable[..., Any], where: str, folder: Path, /, *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)` with `folder` importable; its exception becomes an `InputError` that quotes it."""
    with _importable(folder), _quoting(where):
        return function(*args, **kwargs)


def _near(attribute: str, module: ModuleType) -> str:
    public = [name for name in vars(module) if not name.startswith("_")]
    return did_you_mean(attribute, public) or f"It has {', '.join(public) or 'nothing'}."


def _from_file(path: Path, reference: str) -> ModuleType:
    """The module of a file, executed once for each path and modification."""
    with on_disk(reference):
        path = Path(os.path.expanduser(path)).resolve()  # noqa: PTH111, which raises for a user that there is not
        if not path.is_file():
            hint = "Relative paths start at the study file."
            raise InputError(f"no such file: {brief(path)}", where=brief(reference), hint=hint)
    name = f"{path.stem}_{_stamp(path)}"
    if name not in sys.modules:
        with _importable(path.parent), _quoting(reference):
            _execute(name, path)
    return sys.modules[name]


def _stamp(path: Path) -> str:
    return hashlib.sha256(f"{path} {path.stat().st_mtime_ns}".encode()).hexdigest()[:12]


def _execute(name: str, path: Path) -> None:
    spec = util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _from_module(name: str, base: Path, reference: str) -> ModuleType:
    with _importable(base), _quoting(reference):
        return import_module(name)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        # the user's code may have taken it out, or put another list in its place
        with suppress(ValueError):
            sys.path.remove(entry)


@contextmanager
def _quoting(where: str) -> Iterator[None]:
    """Turn an exception of the user's code into one `InputError` with type, message and line."""
    try:
        with contained():
            yield
    except Exception as error:
        raise InputError(f"{one_line(error)}{_line(error)}", where=where) from error


def _line(error: BaseException) -> str:
    """` (model.py, line 12)`: the deepest line outside installed packages, this one and the interpreter's own."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _is_users(filename: str) -> bool:
    own, installed = Path(__file__).parent, ("site-packages", "dist-packages")
    path = Path(filename)
    library = Path(traceback.__file__).parent
    if filename.startswith("<") or own in path.parents or any(part in path.parts for part in installed):
        return False
    return library not in path.parents
