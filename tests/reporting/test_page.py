"""The page of a study: it stands alone, shows what the study has, and is read by Plotly as it was meant."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import itertools
import json
import math
import random
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sample_study as sample
import sample_verdict
from typer.testing import CliRunner

from lossreg import cli
from lossreg.reporting import importance, instructions, page, pictures, plot_data, study_plots, verdict
from lossreg.reporting.pictures import differences, time_line
from lossreg.reporting.pictures import scores as score_pictures
from lossreg.search import history
from lossreg.storage.confirmation import Confirmation
from lossreg.storage.pareto import Objective
from lossreg.verdict.predictions import summary

pytest.importorskip("plotly")


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
    assert recommended.recipe in code
    assert 'import lossreg\npredictor = lossreg.load_predictor("my study.toml")\npredictor.predict(rows)' in code
    assert "lossreg tune 'my study.toml' --fresh" in code


def test_mlflow_s_model_is_named_where_it_is_registered():
    tracking = {"uri": "http://127.0.0.1:5000", "run_id": "1"}
    registered = dict(instructions.loading(sample.study(3, tracking=tracking), "a.toml"))["From MLflow"]
    assert 'mlflow.pyfunc.load_model("models:/toy@candidate")' in registered
    spec = {"tracking": {"register": False}}
    assert "From MLflow" not in dict(instructions.loading(sample.study(3, tracking=tracking, spec=spec), "a.toml"))
    hidden = {"uri": "http://me:***@127.0.0.1"}
    assert "***" not in dict(instructions.loading(sample.study(3, tracking=hidden), "a.toml"))["From MLflow"]


HOSTILE = '</script><img src=x onerror="alert(1)"><b>\u202e{{ 7 * 7 }}'


def test_names_from_outside_are_never_markup():
    trials = [sample.trial(n, HOSTILE, params={f"{HOSTILE}.q": n / 3, "learning_rate": 0.1}) for n in range(12)]
    result = sample.study(0, losses={HOSTILE: "focal"}, baseline=HOSTILE, trials=trials, study=HOSTILE, notes=[HOSTILE])
    text = page.html(result)
    elements = Elements(text)
    assert {tag for tag, _ in elements.seen} & {"img", "b"} == set()
    assert "\u202e" not in text
    specs = [json.loads(part) for part in elements.texts["script"] if part.startswith('{"data"')]
    assert len(specs) == len(figures(result))
    assert all("<b>" not in trace.get("name", "") for spec in specs for trace in spec["data"])


def test_a_study_without_a_completed_trial_says_so():
    text = page.html(sample.study(0, trials=[sample.trial(0, state="failed")]))
    assert "No trial has completed yet" in Elements(text).text("h1")
    assert pictures.pictures(sample.study(0)) == []


def test_the_study_file_of_the_page_is_the_study():
    data = {"source": "a.csv", "test": 0.2, "drop": ["x", 'a "b"\n'], "columns": {"a b": "text"}}
    rate = {"low": 1e-4, "high": 0.01, "log": True}
    rest = {"name": "toy", "train": {"learning_rate": rate}, "losses": {"cross_entropy": {}, "f-1": {"loss": "focal"}}}
    spec = {**rest, "data": {**data, "target": None}, "tracking": {"uri": "http://me:***@host"}}
    expected = {**rest, "data": data, "tracking": {}}
    assert tomllib.loads(page.toml(spec, "toy")) == expected


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
    folds = dataclasses.replace(result.verdict, outer=5, folds_won={"focal": 3, "gce_mild": 2})
    assert plot_data.repeats(dataclasses.replace(result, verdict=folds)) == {"cross_entropy": REPEATS["baseline"]}


def test_the_band_is_the_pooled_deviation_of_a_setting_on_fresh_splits():
    fresh = np.random.default_rng(0).normal(0.9, 0.02, (4, 5))
    result = sample.study(4, confirmation=Confirmation(4, 5, dict(enumerate(map(tuple, fresh.tolist()))), ratio=0.25))
    low, high = plot_data.noise(result)
    assert (high - low) / 2 == pytest.approx(np.sqrt(fresh.var(axis=1, ddof=1).mean()))
    assert (high + low) / 2 == pytest.approx(fresh.mean(axis=1).max())
    (figure,) = score_pictures.by_loss(result).figures
    shaded = next(shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect")
    assert (shaded["x0"], shaded["x1"]) == pytest.approx((low, high), rel=1e-5)
    assert plot_data.noise(sample.study(4)) is None


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
    assert "Scores cannot be compared: the studies differ in label noise." in table
    assert "lossreg tune" not in table
    assert [one["name"] for one in document["studies"]] == ["churn.toml", "other.toml"]
    best = {row.candidate: row.best for row in sample.study(6).ranking()}
    other = {one["name"]: one["scores"]["other.toml"] for one in document["losses"]}
    assert {name: one["score"] for name, one in other.items() if one} == {n: t.score for n, t in best.items() if t}
    assert document["remarks"] == []
