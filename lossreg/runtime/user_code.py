"""The user's own functions, named `file.py:function` or `package.module:function`: import and call them."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import Any

from lossreg.errors import InputError, UnknownError, brief, contained, did_you_mean, on_disk, one_line, paths_start
from lossreg.runtime import safety

LOSSREG = Path(__file__).parents[1]
STANDARD = Path(traceback.__file__).parent
FORMS = 'Write "file.py:function" or "package.module:function".'


def is_function(value: Any) -> bool:
    """Return whether a value is a function of the user's own, or names one."""
    return callable(value) or (isinstance(value, str) and ":" in value)


def locate(reference: str, base: Path = Path()) -> Any:
    """Return the object that `reference` names; files and modules are looked for in `base` first.

    Raises `InputError` for a file or module that is missing or fails on import, with the error in its message, and for
    all of them in safe mode; `UnknownError` for a name that is not in it.
    """
    safety.refuse("is code", reference)
    source, _, attribute = reference.rpartition(":")
    if not source or not attribute.isidentifier():
        raise InputError("is neither a file nor a module with a function", where=reference, hint=FORMS)
    if not source.endswith(".py") and not all(map(str.isidentifier, source.split("."))):
        raise InputError(f"{source} is neither a .py file nor the dotted name of a module", where=reference, hint=FORMS)
    module = _from_file(source, base, reference) if source.endswith(".py") else _from_module(source, base, reference)
    if not hasattr(module, attribute):
        raise UnknownError(f"{source} has no {attribute}", where=reference, hint=_near(attribute, module))
    return getattr(module, attribute)


def folder(reference: str, base: Path = Path()) -> Path:
    """Return the folder from which the code that `reference` names may import: that of its file, else `base`."""
    source = reference.rpartition(":")[0]
    return (base / source).parent if source.endswith(".py") else base


def call(function: Callable[..., Any], where: str, folder: Path, /, *args: Any, **kwargs: Any) -> Any:
    """Return `function(*args, **kwargs)`, with `folder` on the path; raises `InputError` with the exception's text."""
    with _importable(folder), _quoting(where):
        return function(*args, **kwargs)


def _near(attribute: str, module: ModuleType) -> str:
    public = [name for name in vars(module) if not name.startswith("_")]
    return did_you_mean(attribute, public) or f"It has {', '.join(public) or 'nothing'}."


def _from_file(source: str, base: Path, reference: str) -> ModuleType:
    """Return the module of a file, which is run once per path and modification."""
    with on_disk(reference):
        path = Path(os.path.expanduser(base / source)).resolve()  # noqa: PTH111, which raises for an unknown user
        if not path.is_file():
            raise InputError(f"no such file: {brief(path)}", where=brief(reference), hint=paths_start(base))
    stamp = hashlib.sha256(f"{path} {path.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    name = f"{path.stem}_{stamp}"
    if name not in sys.modules:
        with _importable(path.parent), _quoting(reference):
            _execute(name, path)
    return sys.modules[name]


def plain_module(name: str) -> str:
    """Return the name of a module without the stamp of a file that it was read from."""
    return re.sub(r"_[0-9a-f]{12}$", "", name)


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
        # the user's code may have removed it, or replaced the list
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
    """Return ` (model.py, line 12)`: the deepest line outside installed packages, lossreg and the interpreter."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _is_users(filename: str) -> bool:
    path, installed = Path(filename), ("site-packages", "dist-packages")
    if filename.startswith("<") or any(part in path.parts for part in installed):
        return False
    return not {LOSSREG, STANDARD} & set(path.parents)
