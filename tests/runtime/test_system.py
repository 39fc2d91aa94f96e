from __future__ import annotations

import os
import re
from pathlib import Path

import joblib
import pytest

from lossreg.runtime import system

GB = 2**30
MEMINFO = "MemTotal: 33554432 kB\nMemFree: 1048576 kB\nMemAvailable: 16777216 kB\n"


def machine(root: Path, files: dict[str, str]) -> Path:
    """A machine with 16 GB available, and these files."""
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def group(folder: str, **files: str | int) -> dict[str, str]:
    return {f"sys/fs/cgroup/{folder}/{name.replace('__', '.')}": f"{text}\n" for name, text in files.items()}


V2 = {
    "proc/self/cgroup": "0::/app/job\n",
    **group("app", memory__max=8 * GB, memory__current=5 * GB, memory__stat=f"anon 1\ninactive_file {GB}"),
    **group("app/job", memory__max="max", memory__current=4 * GB),
}
V1 = {
    "proc/self/cgroup": "9:cpu:/\n4:memory:/job\n",
    **group("memory", memory__limit_in_bytes=2**63 - 4096, memory__usage_in_bytes=9 * GB),
    **group("memory/job", memory__limit_in_bytes=6 * GB, memory__usage_in_bytes=4 * GB,
            memory__stat=f"total_inactive_file {GB}"),
}  # fmt: skip
# a container of version 1 without a namespace of its own: its group is mounted in place of the root
CONTAINER = {
    "proc/self/cgroup": "4:memory:/docker/abc/job\n3:cpu,cpuacct:/docker/abc/job\n0::/docker/abc\n",
    "proc/self/mountinfo": (
        "30 23 0:1 / /proc rw - proc proc rw\n"
        "31 23 0:2 /docker/abc /sys/fs/cgroup/memory rw,relatime master:9 - cgroup cgroup rw,memory\n"
        "32 23 0:3 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    ),
    **group("memory", memory__limit_in_bytes=12 * GB, memory__usage_in_bytes=4 * GB),
    **group("memory/job", memory__limit_in_bytes=5 * GB, memory__usage_in_bytes=3 * GB),
    **group("cpu,cpuacct", cpu__cfs_quota_us=500000, cpu__cfs_period_us=100000),
    **group("cpu,cpuacct/job", cpu__cfs_quota_us=300000, cpu__cfs_period_us=100000),
}
# both versions at a time, the second in a folder of its own
HYBRID = {
    "proc/self/cgroup": "4:memory:/\n0::/job\n",
    "proc/self/mountinfo": (
        "31 23 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "32 23 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    ),
    **group("unified/job", cpu__max="200000 100000"),
}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 16 * GB),
        (V2, 4 * GB),
        ({**V2, **group("app", memory__max=64 * GB)}, 16 * GB),
        ({**V2, **group("app/job", memory__max=6 * GB)}, 2 * GB),
        ({**V2, **group("app", memory__current="")}, 16 * GB),
        (V1, 3 * GB),
        ({**V1, **group("memory/job", memory__usage_in_bytes=8 * GB)}, 0),
        ({"proc/self/cgroup": "0::/gone\n"}, 16 * GB),
        ({"proc/self/cgroup": "0::/\n", **group("", memory__max=2 * GB, memory__current=GB)}, GB),
        (CONTAINER, 2 * GB),
        ({**CONTAINER, "proc/self/cgroup": "4:memory:/\n"}, 8 * GB),
        (HYBRID, 16 * GB),
    ],
)
def test_free_memory_is_the_least_of_the_machine_and_all_its_groups(tmp_path: Path, files: dict[str, str], free: int):
    assert system.free_memory(machine(tmp_path, files)) == free


def test_all_memory_is_free_where_the_system_does_not_say_what_is_available(tmp_path: Path):
    total = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
    assert system.free_memory(machine(tmp_path, {"proc/meminfo": ""})) == pytest.approx(total, rel=0.01)
    assert system.free_memory(tmp_path / "nowhere") == pytest.approx(total, rel=0.01)


def test_this_machine_has_memory_and_cores():
    assert 2**26 < system.free_memory() < 2**45
    assert 1 <= system.cores() <= os.cpu_count()


@pytest.mark.parametrize(("files", "cores"), [
    ({}, 8),
    ({"proc/self/cgroup": "0::/app/job\n", **group("app", cpu__max="150000 100000")}, 2),
    ({"proc/self/cgroup": "0::/app/job\n", **group("app", cpu__max="max 100000")}, 8),
    ({"proc/self/cgroup": "0::/app/job\n", **group("app", cpu__max="300000 100000"),
      **group("app/job", cpu__max="200000 50000")}, 3),
    ({"proc/self/cgroup": "0::/app/job\n", **group("app", cpu__max="600000 100000"),
      **group("app/job", cpu__max="200000 50000")}, 4),
    ({"proc/self/cgroup": "0::/\n", **group("", cpu__max="20000 100000")}, 1),
    ({"proc/self/cgroup": "0::/\n", **group("", cpu__max="1600000 100000")}, 8),
    ({"proc/self/cgroup": "9:cpu,cpuacct:/job\n",
      **group("cpu/job", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100000)}, 8),
    ({"proc/self/cgroup": "9:cpu,cpuacct:/job\n",
      **group("cpu/job", cpu__cfs_quota_us=250000, cpu__cfs_period_us=100000)}, 3),
    (CONTAINER, 3), (HYBRID, 2),
])  # fmt: skip
def test_cores_are_no_more_than_the_time_that_any_group_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    assert system.cores(machine(tmp_path, files)) == cores


def test_cores_follow_the_affinity_of_the_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0})
    assert system.cores() == 1
