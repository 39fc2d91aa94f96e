"""The page of a study: it stands alone, shows what the study has, and is read by Plotly as it was meant."""

from __future__ import annotations

import base64
import dataclasses
import errno
import gzip
import itertools
import json
import math
import os
import random
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sample_study as sample
import sample_verdict
from matplotlib.cbook import boxplot_stats
from typer.testing import CliRunner

from lossreg import cli
from lossreg.reporting import (
    description,
    importance,
    instructions,
    page,
    pictures,
    plot_data,
    side_by_side,
    state,
    study_plots,
    toml_text,
    values,
    verdict,
)
from lossreg.reporting.pictures import differences, time_line
from lossreg.reporting.pictures import scores as score_pictures
from lossreg.reporting.pictures.figure import LONGEST_LINE
from lossreg.reporting.pictures.figure import named as named_of
from lossreg.search import history
from lossreg.storage.confirmation import Confirmation
from lossreg.storage.constraints import Constraint
from lossreg.storage.pareto import Objective
from lossreg.storage.reached import Reached
from lossreg.terminal import plain_text
from lossreg.verdict.predictions import summary


class Elements(HTMLParser):
    """The elements of a page with their attributes, the text in each, and the words before the pictures."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.texts, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def text(self, tag):
        return " ".join(" ".join(self.texts.get(tag, ())).split())


REPEATS = {"winner": [0.97, 0.99], "baseline": [0.85, 0.88, 0.86]}  # on the test rows


def rich():
    """A study with a verdict, confirmed settings, two metrics, and every picture."""
    result = sample.study(40, spec={**sample.study(1).spec, "name": "toy"})
    of_verdict = sample_verdict.study("better, because of the loss").verdict
    told = {**predicted_of_both(), "scores": REPEATS}
    result.trials = [dataclasses.replace(trial, metrics={"brier": 0.1 + trial.number / 100}) for trial in result.trials]
    scores = {trial.number: (0.9, 0.93, 0.91) for trial in result.trials if trial.score is not None}
    return dataclasses.replace(
        result, verdict=dataclasses.replace(of_verdict, margin=0.01, predicted=told),
        confirmation=Confirmation(40, 3, scores, ratio=0.25),
        objectives=(Objective("accuracy", "maximize"), Objective("brier", "minimize")),
    )  # fmt: skip


def predicted_of_both():
    """Numbers for the pictures of predictions, of classes and of values alike."""
    rng = np.random.default_rng(0)
    y, arms = rng.integers(0, 2, 60), ("winner", "baseline", "winner_tuned")
    p = {name: np.clip(0.6 * y + 0.4 * rng.random((3, 60)), 0, 1) for name in arms}
    both = {name: np.stack([1 - one, one], -1) for name, one in p.items()}
    of_classes = summary("probability", "binary", y, both)
    return {**of_classes, **summary("value", "regression", y, p)}


def many(count):
    losses = {f"loss_{n}": "focal" for n in range(count)}
    trials = [
        sample.trial(n, f"loss_{n}", params={f"loss_{n}.q": n / 7, "learning_rate": 0.1 + n}) for n in range(count)
    ]
    return sample.study(0, losses=losses, baseline="loss_0", trials=trials)


STUDIES = {
    "rich": rich,
    "one trial": lambda: sample.study(1),
    "one epoch": lambda: sample.study(0, trials=[sample.trial(n, epochs=1) for n in range(3)]),
    "equal scores": lambda: sample.study(0, trials=[sample.trial(n, score=1.0) for n in range(12)]),
    "gaps in curves": lambda: sample.study(0, trials=[sample.trial(0, curves={"val_loss": [1.0, None, math.nan]})]),
    "no times": lambda: sample.study(0, trials=[sample.trial(n, started=0.0, ended=0.0) for n in range(3)]),
    "nothing searched": lambda: sample.study(0, trials=[sample.trial(n, params={}) for n in range(3)]),
    "words, flags and gaps": lambda: sample.study(0, trials=[
        sample.trial(n, params={"kind": "ab"[n % 2], "flag": bool(n % 2), "depth": None if n % 3 else n})
        for n in range(24)
    ]),
    "many losses": lambda: many(30),
}  # fmt: skip


def figures(result):
    found = [figure for picture in pictures.pictures(result) for figure in picture.figures]
    of_verdict = differences.differences(result)
    return [*found, *([of_verdict] if of_verdict else [])]


@pytest.mark.parametrize("name", STUDIES)
def test_plotly_takes_every_figure(name):
    """Its Python package checks every key and value, which the page itself leaves to the browser."""
    from plotly.graph_objects import Figure

    result = STUDIES[name]()
    for figure in figures(result):
        json.dumps(figure, allow_nan=False)
        Figure(figure)


def test_a_rich_study_has_every_picture():
    keys = [picture.key for picture in pictures.pictures(rich())]
    of_predictions = ["confusion", "residuals", "reliability", "precision-recall"]
    last = ["importance", "parameters", "parallel", "timeline"]
    assert keys == ["by-loss", "history", "pareto", "curves", *of_predictions, *last]


def test_the_page_asks_for_nothing_and_has_plotly_in_it():
    from plotly.offline import get_plotlyjs

    text = page.html(rich())
    elements = Elements(text)
    targets = {attrs[name] for _, attrs in elements.seen for name in ("src", "href") if name in attrs}
    assert all(target.startswith(("#", "data:")) for target in targets)
    packed = next(i for i, (_, attrs) in enumerate(elements.seen) if attrs.get("id") == "plotly")
    assert elements.seen[packed][0] == "script"
    assert any(gzip.decompress(base64.b64decode(part)).decode() == get_plotlyjs()
               for part in elements.texts["script"] if len(part) > 1_000_000)  # fmt: skip
    assert len(text) < 5_000_000


def test_the_verdict_comes_first_then_what_one_does_with_it():
    result = rich()
    elements = Elements(page.html(result, "my study.toml"))
    assert elements.text("h1") == verdict.decision(result, result.verdict)
    order = [attrs["id"] for tag, attrs in elements.seen if tag == "section"]
    first = ["question", "leaderboard", "settings", "loading", "repeat", "warnings"]
    assert order == [*first, *(picture.key for picture in pictures.pictures(result))]
    code = elements.texts["code"]
    recommended = next(trial for trial in result.trials if trial.number == result.verdict.recommended.trial)
    assert f"import lossreg\n\n{recommended.recipe}" in code
    assert "lossreg predict 'my study.toml' rows.csv -o predicted.csv" in code
    assert 'import lossreg\npredictor = lossreg.load_predictor("my study.toml")\npredictor.predict(rows)' in code
    asked = "--set verdict.outer=0 --set verdict.margin=0.01 --set search.confirm=3"
    assert f"lossreg tune 'my study.toml' {asked} --set name=toy-again" in code
    assert any("margin = 0.01" in text and "confirm = 3" in text for text in code)
    assert f"Trained with learning rate {values.number(recommended.learning_rate)}, batch size 32" in elements.text("p")


@pytest.mark.parametrize(
    ("names", "start"),
    [
        ((), "the folder of the study file"),
        (("toy.toml",), "the folder in which lossreg report ran"),
        (("", ".lossreg/toy"), "the folder in which lossreg report ran"),
    ],
)
@pytest.mark.parametrize("trials", [0, 12])
def test_a_page_says_once_where_relative_paths_start(trials, names, start):
    words = " ".join(re.sub("<[^>]+>", "", page.html(sample.study(trials), *names)).split())
    assert words.count(f"Relative paths on this page start in {start}.") == 1


HOSTILE = '</script><img src=x onerror="alert(1)"><b>\u202e{{ 7 * 7 }}'


def test_names_from_outside_are_never_markup():
    trials = [sample.trial(n, HOSTILE, params={f"{HOSTILE}.q": n / 3, "learning_rate": 0.1}) for n in range(12)]
    data = {**sample.study(1).data, "name": HOSTILE, "classes": {HOSTILE: 1, "b": 2}}
    of_verdict = dataclasses.replace(rich().verdict, predicted={"confusion": {"winner": [[1.0, 2.0], [3.0, 4.0]]}})
    result = sample.study(
        0, losses={HOSTILE: "focal"}, baseline=HOSTILE, trials=trials, study=HOSTILE, notes=[HOSTILE], metric=HOSTILE,
        data=data, file=HOSTILE, verdict=of_verdict,
    )  # fmt: skip
    text = page.html(result)
    assert "&lt;/script&gt;" in text
    elements = Elements(text)
    assert {tag for tag, _ in elements.seen} & {"img", "b"} == set()
    assert "\u202e" not in text
    specs = [json.loads(part) for part in elements.texts["script"] if part.startswith('{"data"')]
    assert len(specs) == len(figures(result))
    assert "<b>" not in json.dumps(specs)
    assert any(trace["type"] == "heatmap" for spec in specs for trace in spec["data"])


def test_a_study_without_a_completed_trial_says_so():
    text = page.html(sample.study(0, trials=[sample.trial(0, state="failed")]))
    assert "No trial has completed yet" in Elements(text).text("h1")
    assert pictures.pictures(sample.study(0)) == []


@pytest.mark.parametrize(
    ("reached", "told", "command"),
    [
        (Reached(12, 64, True, False), "still runs: 12 of 64 trials have ended", "lossreg watch toy.toml"),
        (Reached(64, 64, True, False), "still runs: all 64 trials have ended", "lossreg watch toy.toml"),
        (Reached(64, 64, True, False, "confirming"), "have ended. Now: confirming.", "lossreg watch toy.toml"),
        (Reached(12, 64, False, False), "was interrupted: 12 of 64 trials have ended", "lossreg tune toy.toml"),
        (Reached(64, 64, False, True), "There is no verdict yet.", "lossreg tune toy.toml --set name=toy-again"),
    ],
)
def test_a_study_without_a_verdict_says_how_far_it_is_and_what_to_do(reached, told, command):
    elements = Elements(page.html(sample.study(12, reached=reached), "toy.toml"))
    assert told in elements.text("p")
    assert ("This page was written at" in elements.text("p")) is reached.is_running
    assert any(attrs.get("id") == "loading" for _, attrs in elements.seen) is not reached.is_running
    assert command in elements.texts["code"]
    assert ("so far" in elements.text("h1")) is not reached.is_over
    assert "--fresh" not in elements.text("code")
    result = sample.study(12, reached=reached, file="toy.toml")
    of_mlflow = description.markdown(result, 8000, title=False)
    first = of_mlflow.splitlines()[0]
    assert f"```sh\n{command}\n```" in of_mlflow
    assert ("so far" in first, state.progress(result) in first) == (not reached.is_over, True)
    assert ("The verdict is not reached yet." in of_mlflow) is not reached.is_over


def test_after_trials_were_added_the_description_says_whose_model_it_has_and_that_the_verdict_is_outdated():
    result = sample_verdict.study("worse")
    number = result.recommended.number
    result.tracking = {"uri": "http://127.0.0.1:5000", "model": "models:/toy/3", "model_trial": number}
    result.reached = Reached(len(result.trials), 9, False, False)
    assert "outdated" not in description.markdown(result, 8000, title=False)
    top = max(trial.score for trial in result.trials if trial.score is not None)
    result.add(sample.trial(99, score=top + 0.01))
    text = description.markdown(result, 8000, title=False)
    assert f"The model in MLflow is still that of trial {number}" in text
    assert "The former verdict is outdated" in text
    assert "the next one is exploratory" in text
    assert "load\\_model" not in text.split("##")[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": {"rows": {"train": 9, "validation": 3, "test": 0}}}, "the study has no test rows"),
        ({"spec": {"verdict": {"enabled": False}}}, "the study asks for none"),
        ({"trials": [sample.trial(0, "focal")]}, "not both have a score"),
    ],
)
def test_a_study_that_can_have_no_verdict_says_why(changes, why):
    ended = sample.study(0, **{"trials": sample.study(6).trials, "reached": Reached(6, 6, False, True), **changes})
    assert why in Elements(page.html(ended)).text("p")
    is_certain = "trials" not in changes  # further trials may have the score that is missing
    for reached in (None, *[Reached(6, 9, is_running, False) for is_running in (True, False) if is_certain]):
        result = dataclasses.replace(ended, reached=reached)
        [shown] = side_by_side.facts({"a": result})["verdict"]
        for text in (shown, state.sentence(result)):
            assert why in text
            assert "yet" not in text


def test_a_study_to_which_trials_are_added_still_has_its_verdict():
    result = dataclasses.replace(sample_verdict.study("worse"), reached=Reached(6, 9, False, False))
    assert state.sentence(result) == "This study was interrupted: 6 of 9 trials have ended."
    assert state.in_brief(result) == ""


def test_axes_and_noise_end_at_the_bounds_of_the_metric():
    fresh = dict.fromkeys(range(6), (0.99, 1.0, 1.0, 0.96))
    trials = [sample.trial(n, score=1.0 - n / 100) for n in range(6)]
    result = sample.study(0, trials=trials, confirmation=Confirmation(6, 4, fresh, ratio=0.25))
    assert plot_data.noise(result).high == 1.0
    low, high = plot_data.reach(result, result.ranking())
    assert 1.0 < high < 1.0 + 0.03 * (high - low)
    own = dataclasses.replace(result, metric="profit")
    assert plot_data.noise(own).high > 1.0


@pytest.mark.parametrize("trials", [8, 40])
def test_of_many_parameters_the_important_ones_have_an_axis(trials):
    rng = np.random.default_rng(0)
    names = [f"focal.weight_{k:02}" for k in range(11)]
    values = [dict(zip(names, rng.random(11), strict=True)) for _ in range(trials)]
    records = [sample.trial(n, params=drawn, score=drawn["focal.weight_10"]) for n, drawn in enumerate(values)]
    result = sample.study(0, trials=records)
    picture = next(one for one in pictures.pictures(result) if one.key == "parallel")
    axes = picture.figures[0]["layout"]["xaxis"]["ticktext"]
    assert "focal (8 of 11)" in picture.note
    assert len(axes) == 9
    assert ("weight_10" in axes) == (trials >= importance.FEWEST)


def test_losses_without_a_panel_of_importance_are_named():
    note = next(one.note for one in pictures.pictures(sample.study(24)) if one.key == "importance")
    assert "fewer than 10 completed trials: cross_entropy (" in note


def test_the_study_file_of_the_page_is_the_study():
    data = {"source": "a.csv", "test": 0.2, "drop": ["x", 'a "b"\n'], "columns": {"a b": "text"}}
    rate = {"low": 1e-4, "high": 0.01, "log": True}
    rest = {"name": "toy", "train": {"learning_rate": rate}, "losses": {"cross_entropy": {}, "f-1": {"loss": "focal"}}}
    spec = {**rest, "data": {**data, "target": None}, "tracking": {"uri": "http://me:***@host"}}
    expected = {**rest, "data": data, "tracking": {}}
    assert tomllib.loads(toml_text.of_study(spec, "toy")) == expected


def test_a_file_has_every_text_but_masked_addresses_and_is_read_as_it_was_also_from_the_page():
    odd = ["\x7f", "\x85", "\u202e", 'a "b"\\n', "\t\n", "a***b", "x"]
    addresses = ["http://me:***@host/a", "***", "DRIVER=x;PWD=***", "postgresql://h/d?password=***"]
    spec = {"data": {"drop": [*odd, None, *addresses], "source": "a***b.csv"}, "tracking": {"uri": addresses[0]}}
    expected = {"name": "\x7f", "data": {"drop": odd, "source": "a***b.csv"}, "tracking": {}}
    text = toml_text.of_study(spec, "\x7f")
    assert tomllib.loads(text) == expected
    assert tomllib.loads(plain_text.printable(text)) == expected
    assert tomllib.loads(toml_text.of_study({"name": "a", "x": "\ud800"}, "a"))["x"] == "\ufffd"


def test_of_a_large_study_the_dots_alone_are_thinned(monkeypatch):
    """Curves, boxes, rows and numbers of scores are those of all trials."""
    trials = [dataclasses.replace(trial, metrics={"brier": trial.number / 300}) for trial in sample.study(300).trials]
    trials[7] = dataclasses.replace(trials[8], number=7, state="complete", score=-50.0)
    result = dataclasses.replace(sample.study(300), trials=trials, objectives=rich().objectives)
    whole = {one.key: one for one in pictures.pictures(result)}
    monkeypatch.setattr(pictures, "MOST_POINTS", 60)
    few = {one.key: one for one in pictures.pictures(result)}
    for key in ("by-loss", "history", "pareto", "parameters", "parallel", "timeline"):
        assert re.fullmatch(r"(.*) \d\d of 300 trials are drawn\.", few[key].note)[1] == whole[key].note, key
        assert [one["layout"] for one in few[key].figures] == [one["layout"] for one in whole[key].figures], key
        assert len(json.dumps(few[key].figures)) < 0.7 * len(json.dumps(whole[key].figures)), key
    assert "1 score is outside" in few["by-loss"].note

    def of_all(key):
        return [[trace for trace in one[key].figures[0]["data"] if "customdata" not in trace] for one in (few, whole)]

    for key in ("by-loss", "history", "pareto"):
        first, second = of_all(key)
        assert first == second != [], key
    (curve,), _ = of_all("history")
    at = dict(zip(curve["x"], curve["y"], strict=True))
    for trial, best in result.best_so_far():
        assert at[max(number for number in at if number <= trial.number)] == pytest.approx(best, rel=1e-5)


def test_of_a_large_study_the_best_are_drawn_and_the_page_says_how_many(monkeypatch):
    result = sample.study(300)
    monkeypatch.setattr(pictures, "MOST_POINTS", 60)
    history = next(picture for picture in pictures.pictures(result) if picture.key == "history")
    drawn = {trial for trace in history.figures[0]["data"] for trial, _ in trace.get("customdata", ())}
    assert len(drawn) < 80
    assert {row.best.number for row in result.ranking()} <= drawn
    assert "of 300 trials are drawn." in history.note


def test_lanes_of_the_time_line_are_as_many_as_trials_ran_at_once_and_no_two_overlap():
    rng = random.Random(0)
    starts = [100 + 50 * rng.random() for _ in range(60)]
    trials = [sample.trial(n, started=at, ended=at + 1 + 9 * rng.random()) for n, at in enumerate(starts)]
    (figure,) = time_line.timeline(sample.study(0, trials=trials)).figures
    bars = [bar for trace in figure["data"] for bar in zip(trace["y"], trace["base"], trace["x"], strict=True)]
    assert len(bars) == 60
    most = max(sum(other.started <= trial.started < other.ended for other in trials) for trial in trials)
    assert {row for row, _, _ in bars} == set(range(most))
    for row in range(most):
        spans = sorted((start, start + length) for lane, start, length in bars if lane == row)
        assert all(end <= start + 1e-3 for (_, end), (start, _) in itertools.pairwise(spans))


def test_pauses_of_a_study_that_was_resumed_are_cut_out_of_its_time_line():
    days = 3 * 86_400.0
    starts = [100.0, 101.0, 110.0, 112.0, 110.0 + days, 120.0 + days]
    trials = [sample.trial(n, started=at, ended=at + 10) for n, at in enumerate(starts)]
    (picture,) = time_line.timeline(sample.study(0, trials=trials)).figures
    bars = [(base, length) for trace in picture["data"] for base, length in zip(trace["base"], trace["x"], strict=True)]
    # the first pass ends at 122, and the second begins there
    assert sorted(bars) == [(0, 10), (1, 10), (10, 10), (12, 10), (22, 10), (32, 10)]
    assert [shape["x0"] for shape in picture["layout"]["shapes"]] == [22]
    assert "259,188 s" in picture["layout"]["xaxis"]["title"]["text"]
    assert "a pause that is cut out" in time_line.timeline(sample.study(0, trials=trials)).note
    assert "cut out" not in time_line.timeline(sample.study(0, trials=trials[:4])).note


def test_a_picture_that_fails_is_left_out_and_the_page_says_so():
    whole = pictures.pictures(rich())
    left = of_predictions(predicted={**rich().verdict.predicted, "precision_recall": {"winner": {"recall": [0.5]}}})
    assert [one.title for one in left.values()] == [one.title for one in whole]
    failed = left["precision-and-recall"]
    assert (failed.figures, failed.note) == ((), "This picture cannot be drawn: KeyError: 'precision'.")
    assert all(one.figures for key, one in left.items() if key != failed.key)
    broken = dataclasses.replace(rich().verdict, predicted={"precision_recall": {"winner": {}}})
    assert "This picture cannot be drawn: " in page.html(dataclasses.replace(rich(), verdict=broken))


def of_predictions(**changes):
    """The pictures of predictions of a verdict with these changes, by key."""
    result = rich()
    told = {**result.verdict.predicted, "repeats": {"winner": 14, "baseline": 18}}
    changed = dataclasses.replace(result.verdict, **{"predicted": told, **changes})
    drawn = pictures.pictures(dataclasses.replace(result, verdict=changed))
    return {one.key: one for one in drawn}


def named(picture):
    """The names of the arms in a picture."""
    figures = picture.figures
    names = [trace["name"] for one in figures for trace in one["data"] if "name" in trace]
    return names or [one["layout"]["title"]["text"] for one in figures]


def test_pictures_say_of_how_many_repeats_and_of_which_rows_they_are():
    for key, rows in ("", "500 test rows"), (5, "all 500 rows"):
        drawn = of_predictions(**({"outer": key, "folds_won": {"focal": 3, "gce_mild": 2}} if key else {}))
        for one in ("confusion", "residuals", "reliability", "precision-recall"):
            assert f"of 14 to 18 repeated trainings on {rows}" in drawn[one].note
        assert f"on {rows}" in drawn["by-loss"].note
    title = drawn["by-loss"].figures[0]["layout"]["xaxis"]["title"]["text"]
    assert title == rich().metric
    assert score_pictures.by_loss(sample.study(9)).figures[0]["layout"]["xaxis"]["title"]["text"] == (
        "accuracy (validation)"
    )


def test_predictions_of_outer_folds_are_named_after_the_winners_of_the_folds():
    sides = dataclasses.replace(rich().verdict, outer=5, folds_won={"focal": 3, "gce_mild": 2}).sides
    drawn = of_predictions(outer=5, folds_won={"focal": 3, "gce_mild": 2})
    assert named(drawn["confusion"])[:2] == [sides[0], "cross_entropy (baseline)"]
    assert "focal" not in " ".join(named(drawn["residuals"]))
    drawn = of_predictions(outer=5, folds_won={"gce_mild": 5})
    assert named(drawn["confusion"])[:2] == ["gce_mild", "cross_entropy (baseline)"]


def test_decisions_that_a_study_tunes_are_called_so():
    tuned = of_predictions(decision="tuned")
    assert all("tuned" in name for name in [*named(tuned["reliability"]), *named(tuned["confusion"])])
    told = predicted_of_both()
    told["reliability"]["winner_before"] = told["reliability"]["winner"]
    both = named(of_predictions(decision="tuned", predicted=told)["reliability"])
    assert [("tuned" in name) for name in both if name.startswith("focal")][-1] is False
    default = of_predictions()
    assert [("tuned" in name) for name in named(default["reliability"])] == [False, False, True]
    # the curve is that of all thresholds
    assert "tuned" not in named(tuned["precision-recall"])[0]


def test_a_study_none_of_whose_trials_keeps_its_constraint_says_so_first():
    result = sample.study(6, constraints=(Constraint("recall", 0.99, "maximize"),))
    sentence = "No trial keeps recall of at least 0.99."
    assert Elements(page.html(result)).text("h1").startswith(f"{sentence} Highest validation score (accuracy): ")
    text = description.markdown(result, title=False)
    assert text.replace("\\", "").startswith(f"{sentence} Highest validation score (accuracy) **")
    assert "No trial keeps" not in description.markdown(sample.study(6))


@pytest.mark.parametrize(
    ("bound", "words", "first"),
    [(0.5, ", and the best score so far of those that keep recall of at least 0.5", 1), (0.99, "", None)],
)
def test_the_best_score_so_far_is_that_of_trials_that_keep_the_constraints(bound, words, first):
    trials = [dataclasses.replace(one, metrics={"recall": 0.4 + 0.1 * one.number}) for one in sample.study(6).trials]
    result = sample.study(6, trials=trials, constraints=(Constraint("recall", bound, "maximize"),))
    picture = score_pictures.history(result)
    lines = [trace for trace in picture.figures[0]["data"] if trace["mode"] == "lines"]
    assert picture.note == f"The trials of the search, in their order{words}. 1 trial without a score is left out."
    assert [line["x"][0] for line in lines] == ([] if first is None else [first])


def test_a_few_errors_that_are_very_large_do_not_flatten_the_others():
    usual = [float(i - 50) for i in range(101)]
    for largest, told in (60.0, False), (90_000.0, True):
        picture = of_predictions(predicted=predicted_of_both() | {"residuals": {"winner": [*usual[:-1], largest]}})
        low, high = picture["residuals"].figures[0]["layout"]["yaxis"]["range"]
        assert ("outside of the axes" in picture["residuals"].note) is told
        assert (low < -50, high > usual[-2], high < 200) == (True, True, True)


def test_long_names_are_broken_into_lines_and_a_baseline_of_that_name_is_marked_once():
    long = "focal-" * 16
    result = sample.study(9, losses={"baseline": "cross_entropy", long: "focal"}, baseline="baseline")
    assert named_of(result, "baseline") == "baseline"
    lines = named_of(result, long).split("<br>")
    assert ("".join(lines), max(map(len, lines)) <= LONGEST_LINE) == (long, True)


@pytest.mark.parametrize(("epochs", "step"), [(5, 1), (200, None)])
def test_between_a_few_epochs_no_fractions_are_marked(epochs, step):
    trials = [
        dataclasses.replace(one, curves={name: [0.5] * epochs for name in one.curves}) for one in sample.study(3).trials
    ]
    drawn = {one.key: one for one in pictures.pictures(sample.study(3, trials=trials))}["curves"]
    assert {figure["layout"]["xaxis"].get("dtick") for figure in drawn.figures} == {step}


@pytest.mark.parametrize(
    ("task", "shape", "source", "files"),
    [
        ("binary", [30], "churn.csv", "rows.csv -o predicted.csv"),
        ("multiclass", [16, 16, 3], "shapes", "folder_of_images -o predicted.csv"),
        ("multiclass", [16, 16, 3], "shapes.npz", "rows.npz -o predicted.csv"),
        ("segmentation", [8, 8, 1], "strokes.py:rows", "rows.npz -o predicted.npz"),
        ("binary", {"a": [3], "b": [4]}, "two.py:rows", "rows.npz -o predicted.csv"),
    ],
)
def test_the_command_for_new_rows_names_files_of_a_kind_that_the_model_takes(task, shape, source, files):
    result = sample.study(9, task=task)
    result.spec, result.data = result.spec | {"data": {"source": source}}, result.data | {"input_shape": shape}
    assert dict(instructions.loading(result, "toy.toml"))["Predictions for new rows"] == (
        f"lossreg predict toy.toml {files}"
    )


def test_repeats_of_the_verdict_are_rings_in_the_rows_of_their_losses():
    result = rich()
    (figure,) = score_pictures.by_loss(result).figures
    rows = dict(zip(figure["layout"]["yaxis"]["tickvals"], [row.candidate for row in result.ranking()], strict=True))
    rings = [trace for trace in figure["data"] if trace.get("marker", {}).get("symbol") == "circle-open"]
    assert {rows[round(ring["y"][0] - 0.3)]: ring["x"] for ring in rings} == {
        "focal": REPEATS["winner"], "cross_entropy": REPEATS["baseline"],
    }  # fmt: skip
    low, high = figure["layout"]["xaxis"]["range"]
    (axes,) = study_plots.by_loss(result).axes
    drawn = {round(x, 9) for points in axes.collections for x, _ in points.get_offsets()}
    repeats = {*REPEATS["winner"], *REPEATS["baseline"]}
    assert repeats <= drawn
    for repeated in repeats:
        assert low <= repeated <= high
        assert axes.get_xlim()[0] <= repeated <= axes.get_xlim()[1]


def test_repeats_of_several_losses_have_a_row_of_their_own():
    result = rich()
    folds = dataclasses.replace(result.verdict, outer=5, folds_won={"focal": 3, "gce_mild": 2})
    result = dataclasses.replace(result, verdict=folds)
    board = [row.candidate for row in result.ranking() if row.best]
    (figure,) = score_pictures.by_loss(result).figures
    axis = figure["layout"]["yaxis"]
    assert axis["ticktext"][-1].replace("<br>", " ") == "the loss chosen in each fold"
    assert axis["range"] == [len(board) + 0.5, -0.5]
    (ring,) = [trace for trace in figure["data"] if trace.get("x") == REPEATS["winner"]]
    assert {round(y) for y in ring["y"]} == {len(board)}
    (axes,) = study_plots.by_loss(result).axes
    assert axes.get_yticklabels()[-1].get_text() == "the loss chosen in each fold"
    drawn = {(round(x, 9), round(y)) for points in axes.collections for x, y in points.get_offsets()}
    assert {(x, len(board)) for x in REPEATS["winner"]} <= drawn


def test_page_and_picture_have_the_same_boxes():
    result = sample.study(40)
    (figure,) = score_pictures.by_loss(result).figures
    (axes,) = study_plots.by_loss(result).axes
    drawn = [set(map(float, line.get_xdata())) for line in axes.get_lines() if len(set(line.get_ydata())) == 1]
    boxes = [trace for trace in figure["data"] if trace["type"] == "box"]
    assert boxes
    for one in boxes:
        (line,) = one["y"]
        scores = [score for _, score in plot_data.completed(result, result.ranking()[line].candidate)]
        (expected,) = boxplot_stats(scores)
        for name, key in (("q1", "q1"), ("median", "med"), ("q3", "q3"), ("lowerfence", "whislo"),
                          ("upperfence", "whishi")):  # fmt: skip
            assert one[name] == pytest.approx([expected[key]], rel=1e-5)
        assert {float(expected["whislo"]), float(expected["q1"])} in drawn


def test_the_band_is_the_pooled_deviation_of_a_setting_on_fresh_splits():
    fresh = np.random.default_rng(0).normal(0.9, 0.02, (4, 5))
    result = sample.study(4, confirmation=Confirmation(4, 5, dict(enumerate(map(tuple, fresh.tolist()))), ratio=0.25))
    low, high, words = plot_data.noise(result)
    assert words == plot_data.ON_OTHER_ROWS
    assert (high - low) / 2 == pytest.approx(np.sqrt(fresh.var(axis=1, ddof=1).mean()))
    assert (high + low) / 2 == pytest.approx(fresh.mean(axis=1).max())
    (figure,) = score_pictures.by_loss(result).figures
    shaded = next(shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect")
    assert (shaded["x0"], shaded["x1"]) == pytest.approx((low, high), rel=1e-5)
    assert plot_data.noise(sample.study(4)) is None


def test_without_fresh_splits_the_band_is_that_of_a_fold_and_seeds_alone_have_none():
    scores = [0.8, 0.9, 0.94]
    trials = [sample.trial(0, score=0.88, scores=scores)]
    low, high, words = plot_data.noise(sample.study(0, trials=trials, spec={"data": {"folds": 3}}))
    assert (high - low) / 2 == pytest.approx(np.std(scores, ddof=1))
    assert "mean of 3 folds" in words
    assert plot_data.noise(sample.study(0, trials=trials, spec={"search": {"seeds": 3}})) is None


def scored(score, losses=("focal", "cross_entropy"), count=80):
    """A study whose scores are a function of gamma, learning rate and candidate."""
    rng = random.Random(1)
    trials = []
    for number in range(count):
        candidate, gamma, rate = losses[number % len(losses)], rng.uniform(0, 5), 10 ** rng.uniform(-4, -2)
        params = {"learning_rate": rate, **({"focal.gamma": gamma} if candidate == "focal" else {})}
        value = score(gamma, math.log10(rate), candidate)
        trials.append(sample.trial(number, candidate, params=params, learning_rate=rate, score=value))
    return sample.study(0, trials=trials, losses={name: name for name in losses})


@pytest.mark.parametrize(
    ("score", "first"),
    [
        (lambda gamma, rate, candidate: -abs(gamma - 2), "focal.gamma"),
        (lambda gamma, rate, candidate: -abs(rate + 3), "learning_rate"),
    ],
)
def test_the_parameter_that_alone_makes_the_score_is_the_most_important_one(score, first):
    shares = importance.within(scored(score), "focal")
    assert next(iter(shares)) == first
    assert shares[first] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_the_choice_of_loss_is_what_matters_where_one_is_better_whatever_its_parameters():
    losses = ("cross_entropy", "focal", "poly1_ce", "gce")
    result = scored(lambda gamma, rate, candidate: (candidate == "gce") + gamma * 1e4 % 1 / 1e3, losses, count=200)
    shares = importance.of_study(result)
    assert next(iter(shares)) == "loss"
    assert importance.of_study(sample.study(5)) == {}


def test_a_page_is_named_after_the_whole_folder_and_takes_the_place_of_pages_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    former = tmp_path / ".lossreg" / "churn.20261130-120000"
    former.mkdir(parents=True)
    (former / "journal.log").touch()
    Path("index.toml").write_text('data = { source = "sklearn:iris" }\n')
    Path("index.html").write_text("<p>mine</p>")
    monkeypatch.setattr(history, "results", lambda study: sample.study(3))

    def run(*words):
        return CliRunner().invoke(cli.app, ["report", *words])

    assert run(str(former)).exit_code == run(str(former)).exit_code == 0
    assert {path.name for path in tmp_path.glob("*.html")} == {"churn.20261130-120000.html", "index.html"}
    refused = run("index.toml")
    assert refused.exit_code == 2
    assert "index.html" in refused.output
    assert "-o index.html writes over it" in refused.output
    assert Path("index.html").read_text() == "<p>mine</p>"
    named, again = run("index.toml", "-o", "index.html"), run("index.toml")
    assert named.exit_code == again.exit_code == 0
    assert "in place of the former file" in named.output


def no_room(file):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_page_goes_into_a_folder_or_to_standard_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("index.toml").write_text('data = { source = "sklearn:iris" }\n')
    Path("pages").mkdir()
    monkeypatch.setattr(history, "results", lambda study: sample.study(3))
    said = CliRunner().invoke(cli.app, ["report", "index.toml", "-o", "pages"])
    assert f"{Path('pages', 'index.html')}: " in said.output
    printed = CliRunner().invoke(cli.app, ["report", "index.toml", "-o", "-"])
    assert printed.stdout == Path("pages", "index.html").read_text(encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        full = CliRunner().invoke(cli.app, ["report", "index.toml", "-o", "pages"])
    assert (full.exit_code, "no space left on device" in full.stderr) == (2, True)
    assert [file.read_text(encoding="utf-8") for file in Path("pages").iterdir()] == [printed.stdout]
    Path("pages", "index.html").write_text("<p>mine</p>")
    assert CliRunner().invoke(cli.app, ["report", "index.toml", "-o", "pages"]).exit_code == 2
    assert Path("pages", "index.html").read_text() == "<p>mine</p>"


DOCS = Path(__file__).parents[2] / "docs" / "report.md"


def test_the_page_in_the_docs_names_the_pictures_in_order():
    rows = re.findall(r"^\| (.+?) \| ", DOCS.read_text().split("## The pictures")[1], re.MULTILINE)
    assert rows[2:] == [picture.title for picture in pictures.pictures(rich())]


def test_the_commands_of_the_docs_write_the_page_and_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("churn", "other"):
        Path(f"{name}.toml").write_text('data = { source = "sklearn:iris" }\n')
    (tmp_path / ".lossreg" / "churn").mkdir(parents=True)
    (tmp_path / ".lossreg" / "churn" / "journal.log").touch()
    noisy = {**sample.study(1).data, "noise": {"flipped": 3, "rows": 30}}
    studies = iter(
        [rich(), rich(), rich(), rich(), sample.study(6, study="other", data=noisy), rich(), sample.study(6)]
    )
    monkeypatch.setattr(history, "results", lambda study: next(studies))
    outputs = []
    for command in re.findall(r"^lossreg ([^#\n]+)", DOCS.read_text(), re.MULTILINE):
        done = CliRunner().invoke(cli.app, command.split())
        assert done.exit_code == 0, done.output
        outputs.append(done.output)
    assert {path.name for path in tmp_path.glob("*.html")} == {"churn.html", "page.html"}
    assert "load_predictor(&#34;churn.toml&#34;)" in Path("page.html").read_text(encoding="utf-8")
    table, document = outputs[3], json.loads(outputs[4])
    assert "Scores cannot be compared: the studies differ in label noise, what is scored" in table
    assert "lossreg tune" not in table
    assert [one["name"] for one in document["studies"]] == ["churn.toml", "other.toml"]
    best = {row.candidate: row.best for row in sample.study(6).ranking()}
    other = {one["name"]: one["scores"]["other.toml"] for one in document["losses"]}
    assert {name: one["score"] for name, one in other.items() if one} == {n: t.score for n, t in best.items() if t}
    assert [remark.split(" (")[0] for remark in document["remarks"]] == [
        "Scores cannot be compared: the studies differ in what is scored"
    ]
