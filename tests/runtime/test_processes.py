import subprocess
import sys

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
