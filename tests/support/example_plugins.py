"""The losses of the example plugins in `plugins/`, which are not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lossreg.contract.declaration import spec_of


def offered(name):
    """The losses of the example plugin of that name, by their names."""
    path = Path(__file__).parents[2] / "plugins" / f"lossreg-{name}" / f"lossreg_{name}.py"
    source = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    return {spec.name: spec for spec in map(spec_of, module.lossreg_losses())}
