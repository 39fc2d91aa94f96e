import os
import subprocess
import sys

import pytest

from lossreg.runtime import processes

MARK = "from lossreg.runtime import processes; print(processes.mark(), flush=True); input()"


def test_a_process_is_known_to_have_ended_only_when_it_has():
    with subprocess.Popen([sys.executable, "-c", MARK], stdin=-1, stdout=-1, text=True) as other:
        mark = other.stdout.readline().strip()
        assert len(mark.split()) == 4
        assert not processes.has_ended(mark)
        other.kill()
    assert processes.has_ended(mark)
    assert not processes.has_ended(processes.mark())


def test_of_another_machine_and_of_another_namespace_nothing_is_known():
    boot, namespace, number, start = processes.mark().split()
    for other in (f"x {namespace} 1 {start}", f"{boot} pid:[1] {number} 1", "", "vm 1"):
        assert not processes.has_ended(other)
    # the same number, given to a later process
    assert processes.has_ended(f"{boot} {namespace} {number} {int(start) - 1}")


@pytest.fixture
def hidden(tmp_path, monkeypatch):
    """Have all processes but this one hidden, as with `hidepid=2` those of other users are."""
    for visible in ("sys", "self", str(os.getpid())):
        (tmp_path / visible).symlink_to(f"/proc/{visible}")
    monkeypatch.setattr(processes, "PROC", tmp_path)


@pytest.mark.usefixtures("hidden")
def test_a_process_that_the_system_hides_has_ended_only_when_there_is_none_of_its_number(monkeypatch):
    boot, namespace, _, start = processes.mark().split()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as other:
        mark = f"{boot} {namespace} {other.pid} {start}"
        assert not processes.has_ended(mark)
        other.kill()
    assert processes.has_ended(mark)

    def refuse(number, sent):
        raise PermissionError

    # of another user
    monkeypatch.setattr(os, "kill", refuse)
    assert not processes.has_ended(mark)
