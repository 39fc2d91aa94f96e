"""Control groups of Linux, of either version: the limits that a process stands under."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def folders(root: Path, kind: str) -> Iterator[tuple[Path, int]]:
    """Folder and version, 1 or 2, of every group that the process is in and that has to do with `kind`."""
    for line in text(root / "proc/self/cgroup").splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds and kind not in kinds.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (kind if kinds else "")
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):
            yield mount.joinpath(*parts[:depth]), 1 if kinds else 2


def processors(root: Path = ROOT) -> Iterator[float]:
    """How many processors' time every group that has a quota may take: `quota / period`."""
    for folder, version in folders(root, "cpu"):
        if version == 1:
            pair = [text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        else:
            pair = text(folder / "cpu.max").split()
        if len(pair) == 2 and all(part.isdigit() and int(part) for part in pair):
            yield int(pair[0]) / int(pair[1])


def text(path: Path) -> str:
    """What a file says; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
