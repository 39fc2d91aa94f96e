"""The versions of what a study runs on: system, Python, Keras with its backend, and packages."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from lossreg.runtime import backend

PACKAGES = ("lossreg", "keras", "optuna", "mlflow")


def installed(plugins: Iterable[str] = ()) -> dict[str, str]:
    """Return the versions by name, without those of what is not installed; plugins: distributions of losses."""
    names = dict.fromkeys((*PACKAGES, backend.name(), *sorted(filter(None, plugins))))
    versions = {name: number for name in names if (number := _version(name))}
    return {"system": platform.platform(), "python": platform.python_version(), "backend": backend.name(), **versions}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
