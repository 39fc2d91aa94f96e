"""Predictors of studies of every task: classes as the data have them, numbers that the network and NumPy agree on."""

from __future__ import annotations

import json
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from quick import long_but

import lossreg
from lossreg.errors import InputError
from lossreg.prediction import filing, predictor_files, pyfunc

ROWS = 160
pytestmark = pytest.mark.filterwarnings(r"ignore:(.|\n)*Gaps filled:UserWarning")
RNG = np.random.default_rng(0)


def table() -> pd.DataFrame:
    """Rows with gaps, texts, truth values and dates, and a target of each task."""
    age, city = RNG.normal(40, 10, ROWS), RNG.choice(["Bonn", "Köln", "Ulm"], ROWS)
    risk = (age - 40) / 10 + (city == "Bonn")
    rows = pd.DataFrame({"age": age, "city": city, "member": RNG.random(ROWS) < 0.5, "empty": np.nan})
    rows["since"] = pd.date_range("2020-01-01", periods=ROWS).astype(str)
    rows.loc[::9, "age"] = np.nan
    return rows.assign(
        answer=np.where(risk > 0.3, "yes", "no"), number=np.where(risk > 0.3, 1, 0), truth=risk > 0.3,
        grade=np.digitize(risk, [-0.5, 0.5]) * 10, letter=np.array(["c", "a", "b"])[np.digitize(risk, [-0.5, 0.5])],
        news=(risk > 0).astype(int), sport=(RNG.random(ROWS) < 0.5).astype(int), price=100 + 10 * risk,
        claims=RNG.poisson(np.exp(risk.clip(-2, 2))),
    )  # fmt: skip


TABLE = table()
FEATURES = ["age", "city", "member", "empty", "since"]
TARGETS = ["answer", "number", "truth", "grade", "letter", "news", "sport", "price", "claims"]
STUDIES = {
    "answer": ("answer", "", {"cross_entropy": {}}), "number": ("number", "", {"cross_entropy": {}}),
    "truth": ("truth", "", {"cross_entropy": {}}), "grade": ("grade", "multiclass", {"cross_entropy": {}}),
    "letter": ("letter", "", {"cross_entropy": {}}), "margin": ("letter", "", {"categorical_hinge": {}}),
    "hinge": ("answer", "", {"hinge": {}}), "labels": (["news", "sport"], "", {"asymmetric": {}}),
    "signs": (["news", "sport"], "", {"multilabel_ce": {}}),
    "price": ("price", "", {"mean_squared_error": {}}), "claims": ("claims", "count", {"poisson": {}}),
}  # fmt: skip


def document(name, target, task, losses, **search):
    targets = [target] if isinstance(target, str) else target
    return {
        "name": name,
        "data": {
            "source": "rows.csv", "target": target, "drop": [t for t in TARGETS if t not in targets],
            **({"task": task} if task else {}),
        },
        "model": {"hidden": [4]}, "train": {"epochs": 3, "learning_rate": 0.02},
        "search": {"trials": 1, "confirm": 0, **search}, "losses": losses, "verdict": {"enabled": False},
        "tracking": {"enabled": False},
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("predictors")
    TABLE.to_csv(place / "rows.csv", index=False)
    return place


# one of each type of class, kind of score and task
@pytest.fixture(params=long_but({"truth", "margin", "labels", "price"}, STUDIES), scope="module")
def predictor(request, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        asked = document(request.param, *STUDIES[request.param])
        lossreg.tune(asked)
        yield lossreg.load_predictor(asked)


def outputs(predictor, rows):
    """What the network gives for rows, without the predictor."""
    return predictor.model.predict(predictor.preprocessor.transform(rows), verbose=0)


CLASSES = {
    "answer": ["no", "yes"], "number": [0, 1], "truth": [False, True], "grade": [0, 10, 20], "letter": ["a", "b", "c"],
    "margin": ["a", "b", "c"], "hinge": ["no", "yes"], "labels": ["news", "sport"],
    "signs": ["news", "sport"],
}  # fmt: skip


def test_classes_are_those_of_the_data_and_the_most_probable_one_is_predicted(predictor):
    name, rows = predictor.about.study, TABLE[FEATURES].head(50)
    predicted, raw = predictor.predict(rows), outputs(predictor, rows)
    if name not in CLASSES:
        np.testing.assert_allclose(predicted, raw[:, 0], rtol=1e-5)
        with pytest.raises(InputError, match="no classes"):
            _ = predictor.classes_
        return
    assert predictor.classes_.tolist() == CLASSES[name]
    half = 0.5 if predictor.about.output == "probability" else 0.0
    if predictor.about.task == "multilabel":
        np.testing.assert_array_equal(predicted, raw > half)
        return
    index = raw.argmax(axis=1) if raw.shape[1] > 1 else (raw[:, 0] > half).astype(int)
    assert predicted.tolist() == [CLASSES[name][i] for i in index]
    assert type(predicted.tolist()[0]) is type(CLASSES[name][0])


def test_probabilities_have_a_column_per_class(predictor):
    rows, about = TABLE[FEATURES].head(20), predictor.about
    if about.output != "probability":
        with pytest.raises(InputError, match="probabilities"):
            predictor.predict_proba(rows)
        return
    probabilities = predictor.predict_proba(rows)
    assert probabilities.shape == (20, len(predictor.classes_))
    if about.task != "multilabel":
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        assert predictor.classes_[probabilities.argmax(axis=1)].tolist() == predictor.predict(rows).tolist()


def test_a_table_has_a_prediction_and_a_column_per_class(predictor):
    rows, name = TABLE[FEATURES].head(7), predictor.about.study
    frame = predictor.predict_frame(rows)
    of = [f"{predictor.about.output}_of_{label}" for label in CLASSES.get(name, [])]
    first = ["predicted_news", "predicted_sport"] if predictor.about.task == "multilabel" else ["prediction"]
    assert list(frame.columns) == [*first, *of]
    np.testing.assert_array_equal(frame[first].to_numpy().squeeze(), predictor.predict(rows))


def test_rows_come_as_frames_arrays_dictionaries_of_columns_and_files(predictor, folder):
    rows = TABLE[FEATURES].head(30)
    expected = predictor.predict(rows)
    shuffled = rows[FEATURES[::-1]].drop(columns="empty")  # which training left out
    records = rows.to_dict("records")
    frames = (shuffled, pl.from_pandas(shuffled), pl.from_pandas(shuffled).lazy())
    for given in (*frames, rows.to_numpy(object), rows.to_dict("list"), records):
        assert predictor.predict(given).tolist() == expected.tolist()
    whole = predictor.predict(folder / "rows.csv")[:30]  # with its target
    if predictor.about.classes:
        assert whole.tolist() == expected.tolist()
    else:
        np.testing.assert_allclose(whole, expected, rtol=1e-6)
    np.testing.assert_allclose(predictor.outputs(records[0]).array, predictor.outputs(rows.head(1)).array, rtol=1e-6)
    assert len(predictor.predict(rows.head(0))) == 0


def test_a_saved_predictor_predicts_the_same(predictor, tmp_path):
    predictor_files.save(predictor, tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "model.keras", "predictor.json", "preprocessor.json",
    ]  # fmt: skip
    loaded = lossreg.load_predictor(tmp_path / "saved")
    assert loaded.about == predictor.about
    np.testing.assert_array_equal(loaded.predict(TABLE[FEATURES]), predictor.predict(TABLE[FEATURES]))


def test_the_data_are_not_needed_for_the_recommended_trial_and_any_other_comes_from_them(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    TABLE.to_csv("rows.csv", index=False)
    asked = document("two", "answer", "", {"cross_entropy": {}, "focal": {}}, trials=2, keep="all")
    result = lossreg.tune(asked)
    best = result.recommended
    other = next(trial for trial in result.trials if trial.number != best.number)
    by_number = {trial.number: lossreg.load_predictor(asked, trial.number) for trial in result.trials}
    model, preprocessor = lossreg.load_trial(asked, other.number)
    expected = model.predict(preprocessor.transform(TABLE[FEATURES]), verbose=0)[:, 0]
    np.testing.assert_allclose(by_number[other.number].predict_proba(TABLE[FEATURES])[:, 1], expected, rtol=1e-5)
    assert by_number[other.number].about.trial == other.number
    Path("rows.csv").unlink()
    for source in (asked, Path(result.folder), result.folder):
        predictor = lossreg.load_predictor(source)
        assert predictor.predict(TABLE[FEATURES]).tolist() == by_number[best.number].predict(TABLE[FEATURES]).tolist()
    with pytest.raises(InputError, match=r"rows\.csv"):
        lossreg.load_predictor(asked, other.number)
    Path(result.folder, "predictor.json").write_text("{}")
    with pytest.raises(InputError, match=r"predictor\.json: is no description of a predictor"):
        lossreg.load_predictor(result.folder)


def test_a_tuned_decision_is_part_of_the_prediction(folder, monkeypatch):
    monkeypatch.chdir(folder)
    asked = document(
        "tuned", "answer", "", {"cross_entropy": {}}, metric="f1", decision="tuned"
    ) | {"train": {"epochs": 1, "learning_rate": 1e-4}}  # fmt: skip
    asked["data"]["validation"] = 0.45
    result = lossreg.tune(asked)
    threshold = result.best.decision["threshold"]
    predictor = lossreg.load_predictor(asked)
    assert predictor.about.decision == {"threshold": threshold}
    # the log odds of the network before its layer of the decision
    import keras

    inner = keras.Model(predictor.model.input, predictor.model.get_layer("decision").input)
    odds = inner.predict(predictor.preprocessor.transform(TABLE[FEATURES]), verbose=0)[:, 0]
    assert predictor.predict(TABLE[FEATURES]).tolist() == np.where(odds > threshold, "yes", "no").tolist()


def test_what_is_imputed_coerced_or_unknown_is_counted(folder, monkeypatch):
    monkeypatch.chdir(folder)
    asked = document("answer", *STUDIES["answer"])
    lossreg.tune(asked)
    predictor = lossreg.load_predictor(asked)
    rows = TABLE[FEATURES].head(20).astype(object)
    rows.loc[0, "city"], rows.loc[1, "age"] = "Rom", "old"
    with pytest.warns(UserWarning, match="Rom") as caught:
        predictor.predict(rows)
    (line,) = caught
    assert "age: 1 of 20 values is not a number ('old')" in str(line.message)
    assert line.filename == __file__
    for words, wrong in {
        "columns are missing: city": rows.drop(columns="city"), "shape (3, 2)": np.zeros((3, 2)),
        "no such file": "nowhere.csv", "columns are missing: city, member": {"age": 3},
        "no table": {"age": [1], "city": [1, 2]},
        "Did you mean citty": rows.rename(columns={"city": "citty"}),
    }.items():  # fmt: skip
        with pytest.raises(InputError) as refused:
            predictor.predict(wrong)
        assert words in str(refused.value)


def test_a_description_says_what_is_predicted(predictor, tmp_path):
    predictor_files.save(predictor, tmp_path)
    said = json.loads((tmp_path / "predictor.json").read_text())
    assert said["study"] == predictor.about.study
    assert said["loss"].startswith("lossreg.get(")
    assert said["classes"] == CLASSES.get(predictor.about.study, [])


def test_an_exposure_multiplies_and_may_be_missing(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    days = np.random.default_rng(1).uniform(0.1, 2, ROWS)
    TABLE.assign(days=days).to_csv("rows.csv", index=False)
    asked = document("exposed", *STUDIES["claims"])
    asked["data"]["exposure"] = "days"
    lossreg.tune(asked)
    predictor = lossreg.load_predictor(asked)
    rows = TABLE[FEATURES].assign(days=days)
    with pytest.warns(UserWarning, match="predictions are rates"):
        rates = predictor.predict(rows.drop(columns="days"))
    np.testing.assert_allclose(predictor.predict(rows), rates * days, rtol=1e-5)
    rows.to_csv("new.csv", index=False)
    filing.predict(predictor, Path("new.csv"), Path("out.csv"), size=50)
    np.testing.assert_allclose(pd.read_csv("out.csv")["prediction"], rates * days, rtol=1e-5)
    with pytest.warns(UserWarning, match=r"not given are taken as missing: age\."):
        served = pyfunc.Model(predictor).predict(rows.drop(columns="age"))["prediction"]
    np.testing.assert_allclose(served, predictor.predict(rows.assign(age=np.nan)), rtol=1e-5)
    assert [column.name for column in predictor.about.columns if not column.required] == ["age", "days"]


def test_columns_and_arrays_of_unusual_types_have_a_predictor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({
        "month": pd.period_range("2020-01", periods=60, freq="M"), "raw": [b"\xff", b"a", b"b"] * 20,
        "third": [Fraction(1, 3), Fraction(2, 3)] * 30, "when": pd.date_range("2020-01-01", periods=60),
    })  # fmt: skip
    arrays = rng.normal(size=(60, 3, 4)).astype(">f8")
    for data in ((rows, np.arange(60) % 2), (arrays, np.arange(60) % 2)):
        settings = {"verdict": {"enabled": False}, "tracking": {"enabled": False}}
        result = lossreg.tune(*data, losses=["cross_entropy"], trials=1, epochs=1, settings=settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = result.predictor.predict(data[0])
        assert len(expected) == 60
        assert result.predictor.about.trial == result.recommended.number


def test_gaps_that_are_filled_are_told(folder, monkeypatch):
    monkeypatch.chdir(folder)
    asked = document("answer", *STUDIES["answer"])
    lossreg.tune(asked)
    with pytest.warns(UserWarning, match=r"Gaps filled with the median of the training rows: age: 18 of 160\."):
        lossreg.load_predictor(asked).predict(TABLE[FEATURES])
