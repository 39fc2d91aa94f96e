"""A module imported as soon as Keras is, so that saved models find their losses."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def with_keras(module: str) -> None:
    """Import `module` now if Keras has been imported, else right after it is."""
    if "keras" in sys.modules:
        _load(module)
    else:
        sys.meta_path.insert(0, AfterKeras(module))


def _load(module: str) -> None:
    if find_spec(module) is not None:
        import_module(module)


class AfterKeras:
    """A finder that leaves Keras to the others, and has `module` imported once Keras is.

    It stays until Keras has really run: looking for a module (`importlib.util.find_spec`)
    is not importing it, and a failed import may be tried again.
    """

    def __init__(self, module: str) -> None:
        self.module = module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give for Keras; None for every other module."""
        if fullname != "keras":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        execute = loader.exec_module

        def execute_both(module: ModuleType) -> None:
            execute(module)
            if module.__name__ == "keras" and self in sys.meta_path:
                sys.meta_path.remove(self)
                _load(self.module)

        loader.exec_module = execute_both
