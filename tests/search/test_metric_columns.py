"""A metric of the user's own that takes columns of the data beside labels and predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_trainer import Fake

import lossreg
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.metrics import functions
from lossreg.search import judgement, nested, preparation, study_data
from lossreg.verdict.comparison import compare

RNG = np.random.default_rng(2)
N = 300
Y = (RNG.random(N) < 0.4).astype(int)
TABLE = pd.DataFrame({
    "age": RNG.normal(size=N) + 1.5 * Y, "amount": np.arange(N) + 10.0, "city": RNG.choice(["b", "h"], N),
    "week": np.arange(N) // 10, "w": RNG.random(N) + 0.5, "left": np.where(Y, "yes", "no"),
})  # fmt: skip
COST = """
def profit(y, p, amount):
    return float((amount * ((y & p) - 0.3 * p)).mean())

def by_city(y, p, *, city, amount):
    return float((amount * (y == p))[city == "h"].sum() / amount.sum())

def weighted(y, p, w):
    return float((w * (y == p)).sum() / w.sum())

def spread(y, p, amount):
    return float((amount * (y - p[:, 1]) ** 2).mean())

def priced(y, p, price=2.0, *more, scale=1.0, **options):
    return float((price * (y == p)).mean())

def first(y, p, left):
    return 0.0

def absent(y, p, amont):
    return 0.0

def of_days(y, p, days):
    return float(((y - p) ** 2 / days).mean())

def kinds(y, p, week, city, amount):
    assert week.dtype == float and amount.dtype == float and city.dtype == object, (week.dtype, city.dtype)
    return float((amount * (y == p)).mean())
"""


def study(metric: Any = "cost.py:profit", data: Any = None, **search: Any) -> dict[str, Any]:
    return {
        "name": "columns",
        "data": {"source": "t.csv", "target": "left", "positive": "yes", **(data or {})},
        "model": {"hidden": [6]},
        "train": {"epochs": 3, "learning_rate": 0.02},
        "search": {"trials": 2, "keep": "all", "metric": metric, "direction": "maximize", **search},
        "losses": {"cross_entropy": {}, "focal": {"gamma": 2.0, "alpha": "none"}},
        "tracking": {"enabled": False},
        "verdict": {"outer": 0, "repeats": 2},
    }


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cost.py").write_text(COST)
    TABLE.to_csv("t.csv", index=False)


def prepared(document: dict[str, Any], rows: Any = None) -> Any:
    return preparation.prepare(studies.of(document, (), rows))


def amounts(split: Any) -> np.ndarray[Any, Any]:
    return np.asarray(split.scored["amount"])


def profit(y: Any, p: Any, amount: Any) -> float:
    return float((amount * ((y & p) - 0.3 * p)).mean())


@pytest.mark.parametrize("trainer", ["population", pytest.param("fit", marks=pytest.mark.long)])
def test_trials_and_verdict_are_scored_with_the_values_of_their_own_rows(trainer: str) -> None:
    document = study(trainer=trainer)
    result = lossreg.tune(document)
    dataset = study_data.load_data(studies.from_dict(study(data={"preprocess": "standard"})))[0]
    assert "amount" in dataset.features
    for trial in result.trials:
        model, preprocessor = lossreg.load_trial(document, number=trial.number)
        positions = [TABLE.index[TABLE.amount == value][0] for value in amounts(_with_amounts().validation)]
        rows = TABLE.iloc[positions]
        p = (model.predict(preprocessor.transform(rows), verbose=0)[:, 0] > 0.5).astype(int)
        assert trial.score == pytest.approx(profit(Y[positions], p, rows.amount.to_numpy()))
    assert result.verdict.repeats == 2
    assert "profit takes amount of each row, as before preprocessing" in result.notes
    again = lossreg.tune(document)
    assert [trial.score for trial in again.trials] == [trial.score for trial in result.trials]


def _with_amounts() -> Any:
    return prepared(study()).problem.dataset


@pytest.mark.parametrize(
    "data",
    [
        {},
        *(pytest.param(data, marks=pytest.mark.long) for data in ({"folds": 3}, {"group": "week"})),
        {"time": "week"},
        {"drop": ["amount"]},
        {"test": "u.csv"},
    ],
)
def test_values_belong_to_the_rows_of_every_part_fold_and_fresh_split(data: dict[str, Any]) -> None:
    TABLE.assign(amount=TABLE.amount + 1000).iloc[:40].to_csv("u.csv", index=False)
    dataset = prepared(study(data=data)).problem.dataset
    age = {**dict(zip(TABLE.amount, TABLE.age, strict=True)), **dict(zip(TABLE.amount + 1000, TABLE.age, strict=True))}
    label = {**dict(zip(TABLE.amount, Y, strict=True)), **dict(zip(TABLE.amount + 1000, Y, strict=True))}
    assert ("amount" in dataset.features) == (data != {"drop": ["amount"]})
    for fold in (*dataset.folds, *dataset.resampled([1, 2]).folds):
        column = fold.preprocessor.get_feature_names_out().tolist().index("age")
        for part in (fold.train, fold.validation, fold.test):
            known = np.array([age[value] for value in amounts(part)])
            # standardised by an increasing function that is the same for all parts
            assert (np.argsort(known) == np.argsort(part.x[:, column], kind="stable")).mean() > 0.95
            assert np.corrcoef(known, part.x[:, column])[0, 1] > 0.999999
            assert part.y.tolist() == [label[value] for value in amounts(part)]
    tested = judgement.Tested.of(dataset)
    assert tested.y["amount"].tolist() == amounts(dataset.test).tolist()
    assert (amounts(dataset.test) > 900).all() == ("test" in data)


def test_outer_folds_and_the_interval_are_those_of_a_metric_that_has_its_columns_inside() -> None:
    study_of = prepared(study())
    dataset, metric = study_of.problem.dataset, study_of.metric
    parts = dataset.rows.outer(3, 0)
    nested.Nested(study_of, parts, 2, None).check()
    tested = judgement.Tested.of(dataset, parts)
    assert tested.y["amount"].tolist() == TABLE.amount.tolist()

    # each record as a label of its own: its number, by which the metric finds label and amount
    def inside(y: Any, p: Any) -> float:
        return profit(Y[y], p.astype(int), TABLE.amount.to_numpy()[y])

    other = functions.metric_of(inside, Path(), task="binary", direction="maximize", predictions="value")
    winner = np.stack([np.where(RNG.random(N) < 0.8, Y, 1 - Y) for _ in range(6)])
    loser = np.stack([np.where(RNG.random(N) < 0.6, Y, 1 - Y) for _ in range(6)])
    columns = compare(metric, tested.y, winner, loser, folds=tested.folds)
    plain = compare(other, np.arange(N), winner, loser, folds=tested.folds)
    assert columns is not None
    assert plain is not None
    assert columns.difference == pytest.approx(plain.difference)
    assert columns.low <= plain.low < plain.high <= columns.high  # labels: half a row more


@pytest.mark.parametrize(
    ("metric", "search"),
    [("by_city", {}), ("weighted", {}), ("spread", {"predictions": "probability", "direction": "minimize"}),
     ("priced", {}), ("kinds", {})],
)  # fmt: skip
def test_columns_by_position_and_name_of_text_and_weights_and_defaults_as_they_are(metric: str, search: Any) -> None:
    data = {"weight": "w"} if metric == "weighted" else {}
    ready = prepared(study(f"cost.py:{metric}", data, **search))
    validation = ready.problem.dataset.validation
    p = np.eye(2)[1 - validation.y] if search else 1 - validation.y
    score = ready.metric.score(validation.scored, p)
    positions = {float(amount): row for row, amount in enumerate(TABLE.amount)}
    if metric in ("by_city", "kinds"):
        rows = TABLE.iloc[[positions[value] for value in amounts(validation)]]
        right = ready.metric.score(validation.scored, validation.y)
        expected = (
            rows.amount[rows.city == "h"].sum() / rows.amount.sum() if metric == "by_city" else rows.amount.mean()
        )
        assert (score, right) == (0.0, pytest.approx(expected))
    elif metric == "spread":
        assert score == pytest.approx(amounts(validation).mean())
    else:
        assert score == 0.0


@pytest.mark.long
def test_the_columns_of_a_tuned_decision_are_those_of_the_rows_that_it_is_tuned_on() -> None:
    many = pd.concat([TABLE] * 3, ignore_index=True).assign(amount=np.arange(3 * N) + 10.0, age=RNG.normal(size=3 * N))
    result = lossreg.tune({**study(decision="tuned"), "data": {"target": "left", "positive": "yes"}}, data=many)
    assert all("threshold" in trial.decision for trial in result.trials)
    assert all(np.isfinite(trial.score) for trial in result.trials)


def test_numbers_as_text_arrays_and_regressions_have_columns_too() -> None:
    TABLE.to_csv("t.csv", index=False, sep=";", decimal=",")
    assert sorted(np.concatenate([amounts(part) for part in _parts(prepared(study()))])) == TABLE.amount.tolist()
    text = TABLE.assign(amount=[f"${value}" for value in TABLE.amount])
    rows = study()
    del rows["data"]["source"]
    assert sorted(np.concatenate([amounts(part) for part in _parts(prepared(rows, text))])) == TABLE.amount.tolist()
    x, days = TABLE[["age"]].to_numpy(), np.arange(N) + 1.0
    document = study("cost.py:of_days", direction="minimize")
    document |= {"data": {}, "losses": {"mean_squared_error": {}}, "verdict": {"enabled": False}}
    ready = prepared(document, {"x": x, "y": x[:, 0] ** 2, "days": days})
    validation = ready.problem.dataset.validation
    score = ready.metric.score(validation.scored, validation.y + 2)
    assert score == pytest.approx((4 / validation.scored["days"]).mean())


def _parts(ready: Any) -> tuple[Any, ...]:
    dataset = ready.problem.dataset
    return dataset.train, dataset.validation, dataset.test


def with_gaps(name: str, number: int) -> pd.DataFrame:
    return TABLE.assign(**{name: TABLE[name].where(TABLE.index >= number)})


@pytest.mark.parametrize(
    ("metric", "rows", "says"),
    [
        ("absent", TABLE, "takes 'amont' beside labels and predictions, .*no column.*Did you mean amount"),
        ("first", TABLE, "takes 'left', which is the target and its first argument already"),
        ("profit", with_gaps("amount", 3), "takes 'amount': 3 of 300 rows have none, .* rows 1, 2, 3 of the data"),
        ("profit", with_gaps("amount", 1), "takes 'amount': 1 of 300 rows has none, the first in row 1 of the data"),
        ("by_city", with_gaps("city", 1), "takes 'city': 1 of 300 rows has none, the first in row 1 of the data"),
        ("profit", TABLE.assign(amount=["odd", *map(str, TABLE.amount[1:])]), r"1 of 300 rows has none, .*\('odd'\)"),
        ("profit", (TABLE[["age"]].to_numpy(), TABLE.left), "takes 'amount' .*no column or array of that name"),
        ("profit", (np.zeros((N, 8, 8)), (RNG.random((N, 8, 8)) < 0.5).astype(int)), "takes 'amount'"),
        ("profit", {"x": np.zeros((N, 8, 8)), "y": (RNG.random((N, 8, 8)) < 0.5).astype(int), "amount": np.ones(N)},
         "pixels of masks are scored one by one"),
        ("profit", {"x": TABLE[["age"]], "y": TABLE.left, "amount": [1, 2]}, "has 2"),
    ],
)  # fmt: skip
def test_columns_that_are_not_there_or_have_gaps_are_refused(metric: str, rows: Any, says: str) -> None:
    document = study(f"cost.py:{metric}")
    document["data"] = {"target": "left"} if isinstance(rows, pd.DataFrame) else {}
    with pytest.raises(InputError, match=says) as error:
        study_data.load_data(studies.of(document, (), rows))
    assert "\n" not in str(error.value)
    assert "search.metric" in str(error.value) or says == "has 2"


def test_another_column_is_a_change_of_the_metric() -> None:
    def run() -> None:
        lossreg.tune({**study(), "verdict": {"enabled": False}}, trainers=[Fake(lambda plan, epoch: 0.5)])

    run()
    run()
    Path("cost.py").write_text(COST.replace("amount", "age"))
    with pytest.raises(InputError, match="the code of the metric profit"):
        run()
