"""A study with a hundred candidates: all are tried, told and shown beforehand; nothing is trained by Keras."""

from __future__ import annotations

from collections import Counter

import pytest
from fake_trainer import Fake

import lossreg
from lossreg.reporting import description
from lossreg.search.outline import plan

GAMMAS = {f"focal_{i:02}": i / 20 for i in range(99)}
DOCUMENT = {
    "name": "hundred",
    "data": {"source": "sklearn:iris"},
    "model": {"hidden": [4]},
    "train": {"epochs": 1, "batch_size": 16},
    "search": {"trials": 130, "metric": "accuracy", "lanes": 16},
    "losses": {"cross_entropy": {}}
    | {name: {"loss": "focal", "gamma": gamma, "alpha": "none"} for name, gamma in GAMMAS.items()},
    "verdict": {"enabled": False},
    "tracking": {"enabled": False},
}  # fmt: skip


@pytest.mark.long
def test_a_hundred_candidates_are_shown_tried_fairly_and_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outline = plan(DOCUMENT)
    assert [row[0] for row in outline.rows] == ["cross_entropy", *GAMMAS]
    assert outline.refused == {}
    trainer = Fake(lambda plan, epoch: 0.9 - GAMMAS.get(plan.candidate, 0.0) / 10, slots=16)
    result = lossreg.tune(DOCUMENT, trainers=[trainer])
    assert [plan.candidate for _, plan in trainer.opened[:100]] == ["cross_entropy", *GAMMAS]
    tried = Counter(trial.candidate for trial in result.trials)
    assert (len(tried), sum(tried.values())) == (100, 130)
    assert tried["cross_entropy"] == max(tried.values())
    kept = lossreg.results(DOCUMENT)
    rows, text = kept.ranking(), description.markdown(kept)
    assert all(name in text for name in GAMMAS)
    assert [row.candidate for row in rows[2:]] == list(GAMMAS)[1:]
    assert {row.candidate for row in rows[:2]} == {"cross_entropy", "focal_00"}
    assert rows[-1].best.score == pytest.approx(0.9 - 4.9 / 10)
