from __future__ import annotations

import re
from pathlib import Path

import keras
import pytest
from problems import Mlp, plan, problem

from lossreg.training import interface, memory
from lossreg.training.interface import Shape, batch_order, cores
from lossreg.training.population import Population

GB = 2**30
MEMINFO = "MemTotal: 33554432 kB\nMemFree: 1048576 kB\nMemAvailable: 16777216 kB\n"


def system(root: Path, files: dict[str, str]) -> Path:
    """A machine with 16 GB available, and these files."""
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = {
    "proc/self/cgroup": "0::/app/job\n",
    "sys/fs/cgroup/app/memory.max": str(8 * GB),
    "sys/fs/cgroup/app/memory.current": str(5 * GB),
    "sys/fs/cgroup/app/memory.stat": f"anon 1\ninactive_file {GB}\n",
    "sys/fs/cgroup/app/job/memory.max": "max",
    "sys/fs/cgroup/app/job/memory.current": str(4 * GB),
}
V1 = {
    "proc/self/cgroup": "9:cpu:/\n4:memory:/job\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
    "sys/fs/cgroup/memory/memory.usage_in_bytes": str(9 * GB),
    "sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(6 * GB),
    "sys/fs/cgroup/memory/job/memory.usage_in_bytes": str(4 * GB),
    "sys/fs/cgroup/memory/job/memory.stat": f"total_inactive_file {GB}\n",
}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 16 * GB),
        (V2, 4 * GB),
        (V1, 3 * GB),
        ({**V2, "sys/fs/cgroup/app/memory.max": str(64 * GB)}, 16 * GB),
        ({**V1, "sys/fs/cgroup/memory/job/memory.usage_in_bytes": str(8 * GB)}, 0),
        ({"proc/self/cgroup": "0::/gone\n"}, 16 * GB),
        ({"proc/meminfo": ""}, memory.UNKNOWN),
    ],
)
def test_what_is_free_is_the_least_of_machine_and_control_groups(tmp_path: Path, files: dict[str, str], free: int):
    assert memory.available(system(tmp_path, files)) == free


QUOTAS = [
    ({}, None),
    ({"proc/self/cgroup": "0::/app/job\n", "sys/fs/cgroup/app/cpu.max": "150000 100000"}, 2),
    ({"proc/self/cgroup": "0::/app/job\n", "sys/fs/cgroup/app/cpu.max": "max 100000"}, None),
    ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "20000 100000"}, 1),
    ({"proc/self/cgroup": "9:cpu,cpuacct:/job\n", "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "-1",
      "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000"}, None),
    ({"proc/self/cgroup": "9:cpu,cpuacct:/job\n", "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "250000",
      "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000"}, 3),
]  # fmt: skip


@pytest.mark.parametrize(("files", "number"), QUOTAS)
def test_cores_are_no_more_than_the_time_that_control_groups_give(tmp_path: Path, monkeypatch, files, number):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    assert cores(system(tmp_path, files)) == (number or 8)


def test_batch_orders_of_many_rows_are_not_all_kept():
    for epoch in range(40):
        assert len(batch_order(0, epoch, 40_000)) == 40_000
    assert interface._many.cache_info().currsize <= 8
    assert batch_order(0, 1, 50) is batch_order(0, 1, 50)


def test_this_machine_has_memory():
    assert 2**28 < memory.available() < 2**45


def test_answers_are_counted_layer_by_layer_and_in_models_inside():
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inner(keras.layers.Dense(8)(inputs))))
    # inputs, Dense, the layer of the model inside and that model's answer, Dense
    assert memory.answers(model) == 5 + 8 + 4 + 4 + 3


def status(name: str) -> int:
    return 1024 * int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def test_a_lane_takes_about_what_is_estimated():
    """The peak of an epoch of 48 wide lanes, above what the process held before."""
    wide = Mlp(lambda: keras.layers.Dense(384, "relu"), lambda: keras.layers.Dense(384, "relu"))
    own = problem("multiclass", {"ce": "cross_entropy"}, builder=wide)
    population = Population(own, 48)
    plans = [plan(own, "ce", 1e-3) for _ in range(48)]
    population.open(0, plans[0])
    population.advance()
    population.close(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    for slot, each in enumerate(plans):
        population.open(slot, each)
    for _ in range(2):
        population.advance()
    taken = status("VmHWM") - before
    population.shutdown()
    estimated = 48 * memory.lane(own, 4)
    assert taken / 2.5 < estimated < 5 * taken


def test_a_larger_shape_takes_more():
    own = problem("multiclass", {"ce": "cross_entropy"})
    assert memory.lane(own, 4, Shape(64)) > memory.lane(own, 4, Shape(16)) == memory.lane(own, 4)
