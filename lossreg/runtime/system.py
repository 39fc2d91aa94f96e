"""The memory and the processor cores that this process may use: the machine's, within every control group of Linux.

Control groups, of either version, are nested: the tightest limit from the process's own group up to the root counts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def free_memory(root: Path = ROOT) -> int:
    """Return the bytes of memory that this process may still take without swapping.

    root: where the system's files are. Pages of files, which are freed at need, count as free.
    """
    return min([_of_machine(root), *_of_groups(root)])


def cores(root: Path = ROOT) -> int:
    """Return the number of processor cores that this process may use, at least 1; a part of a core counts as one.

    `joblib.cpu_count` knows the machine, the affinity and `LOKY_MAX_CPU_COUNT`, but no nested control groups.
    """
    import joblib

    return min([int(joblib.cpu_count()), *(math.ceil(share) for share in _quotas(root))])


def _of_machine(root: Path) -> int:
    """Return `MemAvailable` of /proc/meminfo; all memory where a system does not say what is available."""
    lines = dict(line.split(":", 1) for line in _text(root / "proc/meminfo").splitlines() if ":" in line)
    if "MemAvailable" in lines:
        return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_groups(root: Path) -> Iterator[int]:
    """Yield the bytes that every group with a limit has left."""
    for folder, version in _groups(root, "memory"):
        limit, usage = ("limit_in_bytes", "usage_in_bytes") if version == 1 else ("max", "current")
        most, used = (_text(folder / f"memory.{name}").strip() for name in (limit, usage))
        if most.isdigit() and used.isdigit():
            stat = dict(line.split() for line in _text(folder / "memory.stat").splitlines() if len(line.split()) == 2)
            files = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
            yield max(0, int(most) - int(used) + files)


def _quotas(root: Path) -> Iterator[float]:
    """Yield the cores whose time every group with a quota may take: `quota / period`."""
    for folder, version in _groups(root, "cpu"):
        if version == 1:
            pair = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        else:
            pair = _text(folder / "cpu.max").split()
        if len(pair) == 2 and all(part.isdigit() and int(part) for part in pair):
            yield int(pair[0]) / int(pair[1])


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Yield folder and version of the process's own group and of all above it, in every hierarchy of a controller."""
    paths = dict(_memberships(root, controller))
    for version, top, mount in _mounts(root, controller):
        if version in paths:
            path = PurePosixPath(paths[version])
            group = mount / path.relative_to(top) if path.is_relative_to(top) else mount
            yield from ((folder, version) for folder in (group, *group.parents) if folder.is_relative_to(mount))


def _memberships(root: Path, controller: str) -> Iterator[tuple[int, str]]:
    """Yield version and path of the groups that the process is in."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield 2, path
        elif controller in controllers.split(","):
            yield 1, path


def _mounts(root: Path, controller: str) -> list[tuple[int, str, Path]]:
    """Return version, topmost group and folder of every hierarchy of a controller; in a container the top is its own.

    Where the system does not list its mounts, they are taken to be in their usual places.
    """
    usual = root / "sys/fs/cgroup"
    mounts = list(_listed_mounts(root, controller))
    return mounts or [(1, "/", usual / controller), (2, "/", usual)]


def _listed_mounts(root: Path, controller: str) -> Iterator[tuple[int, str, Path]]:
    for line in _text(root / "proc/self/mountinfo").splitlines():
        mount, _, filesystem = line.partition(" - ")
        top, folder = mount.split()[3:5]
        kind, *_, options = filesystem.split()
        if kind == "cgroup2" or (kind == "cgroup" and controller in options.split(",")):
            yield 2 if kind == "cgroup2" else 1, top, root / folder.removeprefix("/")


def _text(path: Path) -> str:
    """Return what a file holds; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
