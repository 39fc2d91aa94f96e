"""A study that optimises a metric of the user's own: a function in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_trainer import Fake

import lossreg
from lossreg.config import study as studies
from lossreg.data import load
from lossreg.errors import InputError
from lossreg.metrics import catalogue, functions
from lossreg.search import study_data, study_metrics

METRICS = """
import itertools

import numpy as np
from sklearn.metrics import accuracy_score, make_scorer

calls = itertools.count()

def profit(y_true, y_pred):
    return (9.0 * (y_true & y_pred) - 1.0 * y_pred).mean()

def squares(y_true, y_prob):
    return ((y_prob[:, 1] - y_true) ** 2).mean()

def f1(y_true, y_pred):
    return 0.0

def each(y_true, y_pred):
    return y_true == y_pred

def right(y_true, y_pred):
    return bool((y_true == y_pred).all())

def counted(y_true, y_pred):
    return next(calls)

class Sum:
    right = 0
    rows = 0

    def __call__(self, y_true, y_pred):
        self.right += (y_true == y_pred).sum()
        self.rows += len(y_true)
        return self.right / self.rows

class Kept(Sum):
    def reset_state(self):
        self.right = self.rows = 0

adding = Sum()
kept = Kept()
scorer = make_scorer(accuracy_score)

def failing(y_true, y_pred):
    return 1 / 0

def complicated(y_true, y_pred):
    return 1j

def undefined(y_true, y_pred):
    return np.nan

def words(y_true, y_pred):
    return "good"

price = 3
"""
ROWS = """
import numpy as np

def rows(n=500):
    rng = np.random.default_rng(3)
    y = (rng.random(n) < 0.2).astype(int)
    return rng.normal(size=(n, 3)) + 1.2 * y[:, None], y

def values(n=200):
    x = np.random.default_rng(3).normal(size=(n, 3))
    return x, x[:, 0] + 0.1 * x[:, 1]
"""


def study(metric, source="table.py:rows", losses=("cross_entropy", "weighted_bce"), **search):
    return {
        "name": "own",
        "data": {"source": source},
        "model": {"hidden": [6]},
        "train": {"epochs": 4, "learning_rate": 0.02},
        "search": {"trials": 4, "lanes": 4, "keep": "all", "metric": metric, **search},
        "losses": {name: {} for name in losses},
        "tracking": {"enabled": False},
        "verdict": {"outer": 0, "repeats": 4},
    }


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "cost.py").write_text(METRICS)
    (folder / "table.py").write_text(ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def prepared_metric(document):
    spec = studies.from_dict(document)
    return study_metrics.choose_metric(spec, study_data.load_data(spec)[0])[0]


def test_scores_and_verdict_are_those_of_the_function():
    document = study("cost.py:profit", direction="maximize")
    result = lossreg.tune(document)
    validation = load("table.py:rows").validation
    for trial in result.trials:
        model, _ = lossreg.load_trial(document, number=trial.number)
        y = validation.y
        sold = model.predict(validation.x, verbose=0)[:, 0] > 0.5
        assert trial.score == pytest.approx((8.0 * (sold & (y == 1)) - 1.0 * (sold & (y == 0))).mean())
    assert (result.metric, result.direction) == ("profit", "maximize")
    assert result.verdict.repeats == 4
    assert [trial.score for trial in lossreg.tune(document).trials] == [trial.score for trial in result.trials]
    with pytest.raises(InputError, match=r"search\.direction.*\n?.*cannot be compared"):
        lossreg.tune(study("cost.py:profit", direction="minimize"))


def test_probabilities_and_a_function_from_python_are_taken():
    y, p = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    metric = prepared_metric(study("cost.py:squares", direction="minimize", predictions="probability"))
    assert metric.score(y, p) == pytest.approx(np.mean([0.01, 0.16, 0.25]))
    assert metric.score_lanes(y, p[None]) == [catalogue.resolve("brier_score", "binary").score(y, p)]

    def largest(y_true, y_pred):
        return np.abs(y_true - y_pred).max()

    values = study(largest, "table.py:values", ("mean_squared_error",), direction="minimize")
    metric = prepared_metric(values)
    assert (metric.name, metric.response, metric.score(y, y + 0.5)) == ("largest", "value", 0.5)


@pytest.mark.parametrize(
    ("metric", "search", "words"),
    [
        ("cost.py:profit", {}, r"search\.metric: .*only you know whether more of it is better.*direction = "),
        ("cost.py:profit", {"direction": "up"}, r"search\.direction: .*maximize"),
        ("f1", {"direction": "maximize"}, r"search\.direction: belongs to a metric of your own"),
        ("f1", {"predictions": "label"}, r"search\.predictions: belongs to a metric of your own"),
        ("cost.py:profits", {"direction": "maximize"}, r"search\.metric.*has no profits.*profit"),
        ("costs.py:profit", {"direction": "maximize"}, r"search\.metric.*no such file: .*costs\.py"),
        ("cost.py:", {"direction": "maximize"}, r"search\.metric: .*names no function"),
        ("cost.py:price", {"direction": "maximize"}, r"search\.metric: .*is no function"),
        ("cost.py:f1", {"direction": "maximize"}, r"search\.metric: .*name of another metric"),
        ("cost.py:each", {"direction": "maximize"}, r"search\.metric: .*an array of shape \(80,\)"),
        ("cost.py:right", {"direction": "maximize"}, r"search\.metric: .*returns a bool"),
        ("cost.py:words", {"direction": "maximize"}, r"search\.metric: .*returns a str"),
        ("cost.py:complicated", {"direction": "maximize"}, r"search\.metric: .*returns a complex"),
        ("cost.py:undefined", {"direction": "maximize"}, r"search\.metric: returns nan for labels as their own"),
        ("cost.py:counted", {"direction": "maximize"}, r"search\.metric: .*returns 0 and then 2"),
        ("cost.py:adding", {"direction": "maximize"}, r"search\.metric: returns 1 and then 0\.\d+ for the same labels"),
        ("cost.py:scorer", {"direction": "maximize"}, r"search\.metric: is a scorer of scikit-learn.*Give the"),
        ("cost.py:failing", {"direction": "maximize"}, r"search\.metric: .*ZeroDivisionError.*cost\.py, line"),
        (3, {}, r"search\.metric: must be text, not 3"),
    ],
)
def test_what_is_no_metric_is_refused_with_its_place(metric, search, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        prepared_metric(study(metric, **search))


def test_a_metric_that_keeps_a_state_is_reset_before_each_call():
    metric = prepared_metric(study("cost.py:kept", direction="maximize"))
    y = np.array([0, 1, 1, 0])
    assert [metric.score(y, predicted) for predicted in (y, 1 - y, y)] == [1, 0, 1]


@pytest.mark.parametrize("predictions", ["label", "probability"])
def test_predictions_of_classes_are_refused_for_a_regression(predictions):
    wanted = {"direction": "minimize", "predictions": predictions}
    with pytest.raises(InputError, match=r"search\.predictions: .*this task is regression"):
        prepared_metric(study("cost.py:profit", "table.py:values", ("mean_squared_error",), **wanted))


def test_studies_without_a_name_that_differ_in_the_code_of_their_metric_are_two():
    def of(factor):
        def gain(y_true, y_pred):
            return factor * (y_true == y_pred).mean()

        return gain

    documents = [study(of(factor), direction="maximize") for factor in (1, 2, 1)]
    for document in documents:
        del document["name"]
    one, other, same = (studies.from_dict(document).name for document in documents)
    assert one == same != other


def test_a_study_from_before_the_key_has_the_fingerprint_that_it_had():
    spec = studies.from_dict({"data": {"source": str(Path("rows.csv"))}})
    assert not {"search.direction", "search.predictions"} & {*studies.fingerprint(spec)}


COST = """
import numpy as np

class Prices:
    won = 9.0

def gained(y_true, y_pred):
    return (Prices.won * (y_true & y_pred)).mean()

def profit(y_true, y_pred):
    # what a customer brings
    return gained(y_true, y_pred) - y_pred.mean()
"""


def test_a_study_notices_that_the_code_of_its_metric_has_changed_and_not_that_its_file_was_touched(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.py").write_text(ROWS)
    document = {**study("cost.py:profit", direction="maximize"), "verdict": {"enabled": False}}

    def run(cost, **options):
        Path("cost.py").write_text(cost)
        fake = Fake(lambda plan, epoch: 0.5)
        return lossreg.tune(document, trainers=[fake], **options), len(fake.opened)

    _, trials = run(COST)
    assert (trials, run(COST)[1], run(f"# what it costs{COST}")[1]) == (4, 0, 0)
    for other in (COST.replace("9.0", "8.0"), COST.replace("- y_pred", "- 2 * y_pred")):
        with pytest.raises(InputError, match=r"the code of the metric profit .*cannot be compared"):
            run(other)
    result, trials = run(COST.replace("9.0", "8.0"), allow_changed=True)
    assert trials == 4
    assert any("the code of the metric profit" in note for note in result.notes)
    assert run(COST.replace("9.0", "8.0"))[1] == 0


def test_the_code_of_a_metric_under_another_python_is_not_compared():
    assert functions.has_changed("3.11 abc", "3.11 abd")
    assert not functions.has_changed("3.11 abc", "3.12 abd")
    assert not functions.has_changed("", "3.12 abd")
