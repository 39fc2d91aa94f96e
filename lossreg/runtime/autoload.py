"""Import a module as soon as another one is imported, so that saved Keras models find their losses.

`wrapt.when_imported` does this too, but importing it takes half as long as all of `lossreg --help`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def follow(leader: str, module: str) -> None:
    """Import `module` right after the top-level module `leader`, or now if `leader` has been imported."""
    if leader in sys.modules:
        import_module(module)
    else:
        sys.meta_path.insert(0, Follower(leader, module))


class Follower:
    """An import finder that leaves loading `leader` to other finders, and imports `module` after it.

    It stays until `leader` has run: `importlib.util.find_spec` imports nothing, and a failed import may be tried again.
    """

    def __init__(self, leader: str, module: str) -> None:
        self.leader, self.module = leader, module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of `leader` that the other finders give; None for every other module."""
        if fullname != self.leader:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._extend(spec.loader)
        return spec

    def _extend(self, loader: Any) -> None:
        execute = loader.exec_module

        def execute_both(module: ModuleType) -> None:
            execute(module)
            if module.__name__ == self.leader and self in sys.meta_path:
                sys.meta_path.remove(self)
                import_module(self.module)

        loader.exec_module = execute_both
