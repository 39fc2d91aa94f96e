"""A journal that lossreg 0.2.0 wrote, of a study that was interrupted, and what that version said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import lossreg
from lossreg.search.repairs import repaired
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import requeue_interrupted

SAVED = Path(__file__).parent / "saved"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = StudyFolder(Path(".lossreg/iris"), "iris")
    folder.path.mkdir(parents=True)
    shutil.copy(SAVED / "journal-0.2.0.log", folder.journal)
    return folder


def test_results_are_those_of_then(folder):
    result = lossreg.results({"name": "iris", "data": {"source": "sklearn:iris"}})
    assert result.to_json() == json.loads((SAVED / "results-0.2.0.json").read_text())


def test_the_journal_is_whole(folder):
    text = folder.journal.read_bytes()
    assert repaired(text, "iris").is_whole


def test_trials_that_were_interrupted_then_run_again(folder):
    with folder.lock(), folder.opened("maximize", None, None) as study:
        assert requeue_interrupted(study) == 6
        assert [trial.state.name for trial in study.trials].count("COMPLETE") == 4
