"""Control groups of Linux, of either version: the limits that a process stands under, and what they leave."""

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


def free(unknown: int, root: Path = ROOT) -> int:
    """Bytes that the process may still take: the least of what the system and every group have left.

    unknown: what the system is taken to have where it does not say.
    """
    return min([_machine(unknown, root), *_groups(root)])


def _machine(unknown: int, root: Path) -> int:
    """`MemAvailable` of /proc/meminfo: free, or freed at need."""
    lines = dict(line.split(":", 1) for line in text(root / "proc/meminfo").splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else unknown


def _groups(root: Path) -> Iterator[int]:
    """What the limit of every control group that the process is in leaves."""
    for folder, version in folders(root, "memory"):
        one = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        yield from _left(folder, *(one if version == 1 else ("memory.max", "memory.current")))


def _left(folder: Path, limit: str, usage: str) -> Iterator[int]:
    """What is left below a limit; pages of files, which are freed at need, do not count as used."""
    most, used = text(folder / limit).strip(), text(folder / usage).strip()
    if most.isdigit() and used.isdigit():
        stat = dict(line.split() for line in text(folder / "memory.stat").splitlines() if len(line.split()) == 2)
        files = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
        yield max(0, int(most) - int(used) + files)


def text(path: Path) -> str:
    """What a file says; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
