"""A result as Python and notebooks show it."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import sample_study as sample
import sample_verdict
from fake_trainer import Fake
from typer.testing import CliRunner

import lossreg
from lossreg.cli import app
from lossreg.errors import InputError
from lossreg.search import restore
from lossreg.search.result import Result
from lossreg.terminal import caller

PRUNED = sample.trial(1, "focal", state="pruned", score=None)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")


@pytest.fixture
def result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"verdict": {"enabled": False}, "tracking": {"enabled": False}}
    scores = Fake(lambda plan, epoch: {"cross_entropy": 0.5}.get(plan.candidate, 0.6))
    return lossreg.tune(X, Y, losses=["cross_entropy", "focal"], trials=4, settings=settings, trainers=[scores])


def test_tables_have_the_losses_and_the_trials(result):
    board, trials = result.leaderboard(), result.trials_frame()
    assert board["candidate"].tolist() == ["focal", "cross_entropy"]
    assert board["best_score"].tolist() == [0.6, 0.5]
    assert trials["trial"].tolist() == [trial.number for trial in result.trials]
    of_focal = trials[trials["candidate"] == "focal"]
    assert of_focal["focal.gamma"].tolist() == [t.params["focal.gamma"] for t in result.trials if t.loss == "focal"]
    assert trials["recipe"].tolist() == [trial.recipe for trial in result.trials]


def test_it_shows_itself(result):
    text, page = str(result), result._repr_html_()
    for shown in (text, page):
        assert "focal" in shown
        assert "0.6" in shown
    assert "<table" in page
    assert len(repr(result).splitlines()) == 1
    judged = Result.of(sample_verdict.study("better, because of the loss"))
    assert "Train with focal" in str(judged)
    assert "<b>Train with focal" in judged._repr_html_()


def test_it_shows_the_recommended_trial_which_need_not_be_the_first_of_the_leaderboard():
    result = Result.of(sample_verdict.study("worse"))
    result.trials[1] = dataclasses.replace(result.trials[1], score=0.999)
    trial = result.recommended
    assert (trial.number, result.best.number) == (0, 1)
    line = (
        f"Recommended, trial 0: {trial.recipe}  "
        f"(validation score {trial.score:.5g}, learning rate {trial.learning_rate:.5g})"
    )
    assert line in str(result)
    assert f"<p>{html.escape(line)}</p>" in result._repr_html_()
    assert "best_trial" in str(result)


def test_what_it_holds_shows_itself_in_a_line(result):
    judged = sample_verdict.study("better, because of the loss")
    for shown in map(repr, (result.best, judged.best, judged.verdict, judged)):
        assert len(shown.splitlines()) == 1
        assert len(shown) < 200
    assert repr(result.best).startswith(f"<trial {result.best.number}, complete: score 0.6 at epoch ")
    assert "focal against cross_entropy: better" in repr(judged.verdict)


def test_colours_are_those_of_the_notebook(result):
    assert not re.search(r"color|background|#[0-9a-f]{3}", result._repr_html_(), re.IGNORECASE)


def test_a_plot_shows_itself_without_pyplot_and_is_none_of_its_figures(result):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    assert result.plot("losses")._repr_png_().startswith(b"\x89PNG")
    assert plt.get_fignums() == before  # those are shown at the end of a cell once more


def test_plots_are_figures_by_name(result):
    for name in ("losses", "curves", "history", "parameters"):
        assert result.plot(name).axes
    assert Result.of(sample_verdict.study("better, because of the loss")).plot("verdict").axes
    for wrong, words in (("loss", "Did you mean losses"), ("verdict", "It has"), (3, "It has")):
        with pytest.raises(InputError) as caught:
            result.plot(wrong)
        assert words in str(caught.value)


def test_it_is_the_result_of_the_study_and_has_its_json(result):
    assert json.loads(json.dumps(result.to_json()))["study"] == result.study
    assert result.best.candidate == "focal"
    with pytest.raises(InputError, match="has no predictor"):  # the trainer here has no weights
        _ = result.predictor
    shutil.rmtree(result.folder)
    with pytest.raises(InputError, match="is gone"):
        _ = result.predictor


def test_it_is_read_from_its_folder_without_rows_wherever_that_is(result):
    moved = Path(result.folder).rename("moved")
    for place in (moved, "moved"):
        again = lossreg.results(place)
        assert (again.study, again.folder) == (result.study, "moved")
        assert again.trials == result.trials
    done = CliRunner().invoke(app, ["results", "moved"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert result.best.recipe in done.stdout
    assert "lossreg ui" not in done.stdout  # which does not take a folder
    with pytest.raises(InputError, match=r"moved: is a folder, .* `lossreg.results` and `lossreg.load_predictor` take"):
        lossreg.load_trial("moved")
    Path("moved/journal.log").write_text("")
    with pytest.raises(InputError, match="it is empty or gone"):
        lossreg.results("moved")


# ------------------------------------------------------------------ a trial whose model is asked for


@pytest.mark.parametrize(
    ("trials", "asked", "message"),
    [
        ([], {}, "toy.toml: no trial has completed, so there is no model. `lossreg tune STUDY` runs the study."),
        (
            [PRUNED],
            {"loss": "focal"},
            "no trial of focal has completed, so there is no model. `lossreg results",
        ),
        (
            [PRUNED],
            {"number": 1},
            "toy.toml: trial 1 ended as pruned, so it has no model. `lossreg results",
        ),
        ([PRUNED, sample.trial(2, "focal")], {"number": 1}, "so it has no model. Those that completed are 2."),
        ([PRUNED], {"number": 4}, "toy.toml: study 'toy' has no trial 4. Its trials go from 0 to 1."),
    ],
)
def test_a_trial_without_a_model_says_what_to_do(trials, asked, message):
    study = sample.study(0, trials=trials)
    with caller.shell(), pytest.raises(InputError) as refused:
        restore.find(study, asked.get("number"), asked.get("loss"), where="toy.toml")
    assert message in str(refused.value)
