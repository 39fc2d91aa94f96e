"""Saved Keras models that trials begin from: the files, read once, and their digests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lossreg.errors import InputError, brief, did_you_mean, on_disk, paths_start

SUFFIX = ".keras"


def read(name: str, base: Path) -> bytes:
    """Return the content of a saved model; a relative path starts at `base`. Raises `InputError` if there is none."""
    with on_disk(name):
        path = base / Path(name).expanduser()
        if path.is_dir():
            raise InputError("is a folder, not a .keras file", where=name)
        if not path.is_file():
            raise InputError(f"no such file: {brief(path)}", where=name, hint=_near(path) or paths_start(base))
        return path.read_bytes()


def digest(content: bytes) -> str:
    """Return a mark of the content."""
    return hashlib.sha256(content).hexdigest()[:16]


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {brief(path.parent)}."
    return did_you_mean(path.name, [other.name for other in path.parent.glob(f"*{SUFFIX}")], SUFFIX)
