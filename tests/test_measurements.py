"""Results in a file that a moment can cut off, progress, and a process that ends with its loop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import measurements
import pytest
from measurements import Progress, Results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(tmp_path / "results.jsonl", lambda line: line["name"])
    made.put({"name": "wine", "n": 1}, {"name": "digits", "n": 2})
    return made


def test_a_result_is_put_in_the_place_of_the_old_one(results: Results) -> None:
    results.put({"name": "wine", "n": 3}, {"name": "iris", "n": 4})
    stored = [json.loads(line) for line in results.path.read_text().splitlines()]
    assert stored == [{"name": "wine", "n": 3}, {"name": "digits", "n": 2}, {"name": "iris", "n": 4}]
    assert [path.name for path in results.path.parent.iterdir()] == ["results.jsonl"]


def test_a_requested_result_stands_until_there_is_a_new_one(results: Results) -> None:
    results.request(["wine"])
    assert [line["n"] for line in results.lines()] == [1, 2]
    assert [measurements.AGAIN in line for line in results.lines()] == [True, False]
    results.put({"name": "wine", "n": 3})
    assert not any(measurements.AGAIN in line for line in results.lines())


@pytest.mark.parametrize("end", ['{"name": "ir', '{"n": 1}', "12", "null"])
def test_a_line_that_is_cut_off_counts_as_missing_and_is_named(
    results: Results, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results.lines()
    results.path.write_text(results.path.read_text() + end)
    assert results.lines() == before
    results.report_broken()
    assert "results.jsonl: line 3 is cut off" in capsys.readouterr().err
    results.put()
    results.report_broken()
    assert not capsys.readouterr().err


def test_progress_says_what_will_be_done_and_for_how_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 200.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = Progress("studies", {"a": 60.0, "b": None, "c": 30.0}, 5, "again", _begin=0.0)
    progress.announce()
    progress.name_next()
    progress.name_next()
    said = capsys.readouterr().err.splitlines()
    # b as long as the mean of the others; a took 200 s instead of 60, so that 45 and 30 s will be 250
    assert said[0] == "To measure: 3 of 5 studies, about 2 min, as when last measured"
    assert said[1:] == ["1/3 a", "2/3 b; about 4 min left"]


@pytest.mark.parametrize(
    ("todo", "said"),
    [({}, "Nothing to measure: 5 of 5 studies have results"), ({"a": None}, "To measure: 1 of 5 studies\n")],
)
def test_progress_without_work_or_former_times(
    todo: dict[str, None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Progress("studies", todo, 5, "again").announce()
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_one_line_and_the_code_of_shells(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    progress = Progress("studies", {"a": None, "b": None}, 2, "make claims", done=1)
    with pytest.raises(SystemExit) as ended, measurements.stoppable(progress):
        signal.raise_signal(number)
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err.strip() == "stopped; 1 of 2 done; go on with: make claims"
    assert signal.getsignal(number) is before


def test_the_command_that_goes_on_is_this_one_without_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py", "--anew", "--only", "of two words"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    command = measurements.going_on(str(tmp_path / "studies" / "run.py"), "KERAS_BACKEND", "NOT_SET")
    assert command == "KERAS_BACKEND=jax .venv/bin/python studies/run.py --only 'of two words'"


def test_a_process_ends_with_its_loop_and_leaves_no_file() -> None:
    code = "import os, tempfile; print(os.getpid(), tempfile.mkdtemp(), flush=True); input()"
    with closing(measurements.output([sys.executable, "-c", f"import signal; {code}; signal.pause()"])) as lines:
        number, folder = next(lines).split()
        os.kill(int(number), 0)
        assert Path(folder).is_dir()
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)
    assert not Path(folder).exists()


def test_all_lines_of_a_process_that_fails_come_before_the_error() -> None:
    lines = measurements.output([sys.executable, "-c", "print(1); print(2); raise SystemExit(3)"])
    assert [next(lines), next(lines)] == ["1\n", "2\n"]
    with pytest.raises(subprocess.CalledProcessError, match="3"):
        next(lines)


@pytest.mark.parametrize(
    ("ends", "digits"), [((0.01, 0.02), 3), ((0.0003, 0.008), 4), ((-0.00002, 1.0), 5), ((0.0, 0.2), 3)]
)
def test_no_end_of_an_interval_is_rounded_to_0(ends: tuple[float, float], digits: int) -> None:
    assert measurements.decimals(ends, 3) == digits
