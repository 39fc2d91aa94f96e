"""The code of a predictor as a package of its own, which needs no lossreg: modules of lossreg under another name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from lossreg.runtime import backend
from lossreg.version import __version__

PACKAGE = "lossreg_predictor"
ROOTS = ("lossreg.prediction.pyfunc", "lossreg.prediction.filing")
IMPORT = re.compile(r"^(\s*(?:from|import) )lossreg\b", re.MULTILINE)
BESIDE = ("keras", "numpy", "pandas", "pyarrow", "pydantic", "scikit-learn")
ABOUT = f'"""Code of lossreg {__version__} that reads rows and predicts."""\n'


def write(folder: Path) -> Path:
    """Write the package into a folder and return its place."""
    package = folder / PACKAGE
    for name, source in modules().items():
        file = package.joinpath(*name.split(".")[1:]).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(renamed(source), encoding="utf-8")
    for place in (package, *(path for path in package.rglob("*") if path.is_dir())):
        (place / "__init__.py").write_text(ABOUT, encoding="utf-8")
    return package


def renamed(source: str) -> str:
    """Return the source of a module that imports from the package in place of lossreg."""
    return IMPORT.sub(rf"\1{PACKAGE}", source)


def modules() -> dict[str, str]:
    """Return the source of each module of lossreg that is imported to predict, by name."""
    sources: dict[str, str] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name in sources or (file := _file(name)) is None:
            continue
        sources[name] = file.read_text(encoding="utf-8")
        waiting += imported(sources[name])
    return dict(sorted(sources.items()))


def imported(source: str) -> Iterator[str]:
    """Yield the modules of lossreg that a module may import when it runs, and names in them."""
    for node in _running(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "lossreg":
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def requirements(model: Any, *, has_images: bool = False) -> list[str]:
    """Return the packages that a predictor with this Keras model needs, with the versions that are installed."""
    import keras

    loss_package = ""
    # of layers without a configuration, with which no model can be saved
    with suppress(NotImplementedError), backend.without_tensorflow():
        loss_package = "lossreg" if "lossreg" in model.to_json() else ""
    names = filter(None, [*BESIDE, keras.backend.backend(), "pillow" if has_images else "", loss_package])
    return [f"{name}=={version(name)}" for name in names]


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one, without those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


def _file(name: str) -> Traversable | None:
    """Return the file of a module; None for a package, whose imports are not needed, and for a name in a module."""
    *parents, last = name.split(".")[1:]
    file = files("lossreg").joinpath(*parents, f"{last}.py") if last else None
    return file if file is not None and file.is_file() else None
