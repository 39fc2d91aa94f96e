"""Wrong inputs by the hundred: exit code 2, one message that names the place, nothing half-written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner
from wrong_studies import COMMANDS, DOCUMENTS, FILES, GOOD, OVERRIDES

from lossreg import cli

BIG = 1 << 30


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for module in (cli.studies, cli.checking, cli.listings):
        monkeypatch.setattr(module, "import_keras", lambda: pytest.fail("Keras takes seconds"))
    Path("study.toml").write_text(GOOD)
    Path("untracked.toml").write_text(GOOD.replace("enabled = true", "enabled = false"))
    Path("nul.toml").write_text(GOOD.replace("enabled = true", 'uri = "sqlite:///a\\u0000.db"'))
    Path("rows.csv").write_text("a,y\n1,0\n2,1\n")
    Path("folder").mkdir()
    Path("folder.keras").mkdir()
    Path("lossreg-taken").mkdir()
    Path("loop.toml").symlink_to("loop.toml")
    Path("dangling.toml").symlink_to("gone.toml")
    os.mkfifo("pipe")
    os.mkfifo("pipe.html")
    with Path("big.toml").open("wb") as file:
        file.truncate(BIG)  # takes no room
    return tmp_path


def refused(folder, *args, parts):
    before = sorted(folder.rglob("*"))
    done = CliRunner().invoke(cli.app, [str(arg) for arg in args])
    assert done.exit_code == 2, (done.exit_code, done.output[-500:], done.exception)
    assert done.stdout == ""
    assert sum(line.startswith("Error: ") for line in done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "(unexpected" not in done.stderr
    assert len(done.stderr) < 7000
    for words in parts:
        assert words in done.stderr
    assert sorted(folder.rglob("*")) == before


def short(case):
    return repr(case)[:60].replace("\\", "/")


@pytest.mark.parametrize("case", DOCUMENTS, ids=lambda case: short(case[1]))
def test_a_wrong_study_file_is_one_message(folder, case):
    right, wrong, message = case
    assert GOOD.count(right) == 1
    Path("study.toml").write_text(GOOD.replace(right, wrong))
    refused(folder, "tune", "study.toml", parts=("study.toml", *message))


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_study_is_one_message(folder, case):
    content, message = FILES[case]
    Path("study.toml").write_bytes(content)
    refused(folder, "tune", "study.toml", parts=("study.toml", *message))


@pytest.mark.parametrize("case", OVERRIDES, ids=lambda case: short(case[0]))
def test_a_wrong_override_is_one_message(folder, case):
    override, message = case
    refused(folder, "tune", "study.toml", "--set", override, parts=("--set", *message))


@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: short(" ".join(case[0])))
def test_a_wrong_command_line_is_one_message(folder, case):
    args, message = case
    refused(folder, *args, parts=message)
