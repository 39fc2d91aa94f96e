"""`lossreg.sklearn`: estimators that keep scikit-learn's conventions, and the studies that they run."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

import lossreg
from lossreg.config import study as studies
from lossreg.prediction.predictor import Predictor
from lossreg.sklearn import LossSearchClassifier, LossSearchRegressor

PAGE = (Path(__file__).parents[2] / "docs" / "scikit-learn.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ROWS = 120
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({
    "age": RNG.normal(40, 10, ROWS), "city": RNG.choice(["Bonn", "Köln", "Ulm"], ROWS),
    "since": pd.date_range("2020-01-01", periods=ROWS).astype(str),
})  # fmt: skip
TABLE.loc[::9, "age"] = np.nan
ANSWER = np.where(TABLE["city"] == "Bonn", "yes", "no")
PRICE = 100 + 10 * (TABLE["city"] == "Bonn").to_numpy() + RNG.normal(size=ROWS)
# the smallest study that learns what the checks ask for
SMALLEST = {"trials": 1, "epochs": 15, "model": {"hidden": [16]}, "random_state": 0}
QUICK = {"train": {"batch_size": 8, "learning_rate": 0.01}}
WEIGHTS = "a row of weight 2 is not the same as two rows: a split may part these"
EXPECTED = {"check_sample_weight_equivalence_on_dense_data": WEIGHTS}
# compared to 1e-7, one last bit of float32; compared to 1e-6 below
ROUNDING = "a network in float32 rounds in another order in a batch of another size"
ROUNDED = dict.fromkeys(("check_methods_subset_invariance", "check_methods_sample_order_invariance"), ROUNDING)
ESTIMATORS = [
    LossSearchClassifier(["cross_entropy"], settings=QUICK, **SMALLEST),
    LossSearchRegressor(["mean_squared_error"], settings=QUICK, **SMALLEST),
]
# checks of scikit-learn in which nothing is trained, or little
SHORT = (
    "check_estimator_cloneable", "check_estimator_tags_renamed", "check_valid_tag_types", "check_estimator_repr",
    "check_no_attributes_set_in_init", "check_estimators_unfitted", "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order", "check_all_zero_sample_weights_error", "check_complex_data",
    "check_estimators_empty_data_messages", "check_estimator_sparse_tag", "check_estimator_sparse_array",
    "check_estimator_sparse_matrix", "check_classifiers_one_label", "check_classifiers_one_label_sample_weights",
    "check_classifiers_regression_target", "check_supervised_y_no_nan", "check_parameters_default_constructible",
    "check_fit2d_1sample", "check_get_params_invariance", "check_set_params", "check_fit1d", "check_requires_y_none",
)  # fmt: skip

pytestmark = pytest.mark.filterwarnings(r"ignore:(.|\n)*Gaps filled:UserWarning")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def classifier():
    losses = {"cross_entropy": {}, "focal": {"gamma": {"low": 1.0, "high": 2.0}}}
    # the network gives the probability of "no", which is the first of classes_
    settings = {"train": {**QUICK["train"], "class_weight": {"yes": 2.0}}, "data": {"positive": "no"}}
    return LossSearchClassifier(losses, trials=4, epochs=4, random_state=3, settings=settings).fit(TABLE, ANSWER)


# ------------------------------------------------------------ scikit-learn's checks


@pytest.mark.long
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_all_checks_of_scikit_learn_pass_but_one_and_those_of_the_last_bit(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ended = check_estimator(estimator, expected_failed_checks=EXPECTED | ROUNDED, on_fail="warn")
    failed = {check["check_name"] for check in ended if check["status"] in ("failed", "xfail")}
    assert failed - set(ROUNDED) == set(EXPECTED)
    assert sum(check["status"] == "passed" for check in ended) >= 45


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_checks_of_scikit_learn_that_train_nothing_pass(estimator):
    seen = set()
    for each, check in estimator_checks_generator(estimator):
        name = getattr(check, "func", check).__name__
        if name in SHORT:
            check(each)
            seen.add(name)
    assert len(seen) >= 20


# ------------------------------------------------------------ what is found


def test_what_is_found_is_that_of_the_study(classifier):
    result, table = classifier.result_, pd.DataFrame(classifier.cv_results_)
    assert list(classifier.classes_) == ["no", "yes"]
    assert list(classifier.feature_names_in_) == list(TABLE.columns)
    assert classifier.n_features_in_ == 3
    best = table.loc[classifier.best_index_]
    assert (classifier.best_loss_, classifier.best_score_) == (result.best.candidate, best["mean_confirmed_score"])
    assert classifier.best_params_ == {"loss": result.best.candidate, **result.best.params}
    assert len(table) == len(result.trials) == 4
    assert classifier.best_score_ == table["mean_confirmed_score"].max()
    by_score = table.sort_values(["mean_confirmed_score", "mean_test_score"], ascending=False, na_position="last")
    assert by_score["rank_test_score"].is_monotonic_increasing
    assert best["rank_test_score"] == 1
    gammas = classifier.cv_results_["param_focal.gamma"]
    assert list(gammas.mask) == [trial.candidate != "focal" for trial in result.trials]
    assert set(table["param_loss"]) == {"cross_entropy", "focal"}
    assert classifier.verdict_ is None
    assert result.best.weights == {"classes": [2.0, 1.0]}
    assert result.predictor is classifier.predictor_  # though the study's folder is gone
    assert result.data["rows"] == {"train": 96, "validation": 24, "test": 0}


def test_predictions_are_those_of_the_predictor(classifier):
    predicted, probabilities = classifier.predict(TABLE), classifier.predict_proba(TABLE)
    frame = classifier.predictor_.predict_frame(TABLE)
    assert classifier.result_.predictor is classifier.predictor_  # the study's folder is gone
    assert list(classifier.predictor_.classes_) == ["yes", "no"]
    assert (predicted == frame["prediction"]).all()
    assert np.allclose(probabilities, frame[["probability_of_no", "probability_of_yes"]])
    assert (classifier.classes_[probabilities.argmax(axis=1)] == predicted).all()
    assert classifier.score(TABLE, ANSWER) == (predicted == ANSWER).mean() > 0.9


def test_a_row_is_predicted_alike_alone_and_in_any_order(classifier):
    together, backwards = classifier.predict_proba(TABLE), classifier.predict_proba(TABLE[::-1])[::-1]
    alone = np.concatenate([classifier.predict_proba(TABLE.iloc[[row]]) for row in range(20)])
    np.testing.assert_allclose(backwards, together, rtol=0, atol=1e-6)
    np.testing.assert_allclose(alone, together[:20], rtol=0, atol=1e-6)


def test_pickles_hold_the_model_and_nothing_is_left_on_disk(classifier, tmp_path):
    assert not Path(classifier.result_.folder).exists()
    assert list(tmp_path.iterdir()) == []
    joblib.dump(classifier, tmp_path / "search.joblib")
    for again in (pickle.loads(pickle.dumps(classifier)), joblib.load(tmp_path / "search.joblib")):
        assert np.array_equal(again.predict_proba(TABLE), classifier.predict_proba(TABLE))
        assert again.best_params_ == classifier.best_params_
        assert repr(again.result_) == repr(classifier.result_)


def test_columns_are_checked_as_scikit_learn_does(classifier):
    expected = classifier.predict(TABLE)
    assert (classifier.predict(pl.from_pandas(TABLE)) == expected).all()
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert (classifier.predict(TABLE.to_numpy()) == expected).all()
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        classifier.predict(TABLE[["city", "age", "since"]])
    with pytest.raises(ValueError, match="seen at fit time, yet now missing:\n- since"):
        classifier.predict(TABLE[["age", "city"]])
    with pytest.warns(UserWarning, match="categories that no training row has"):
        classifier.predict(TABLE.assign(city="Rom"))


def test_a_copy_has_the_arguments_alone(classifier):
    cloned = clone(classifier)
    assert cloned.get_params() == classifier.get_params()
    with pytest.raises(NotFittedError):
        cloned.predict(TABLE)


# ------------------------------------------------------------ other losses, numbers, weights


def test_losses_without_probabilities_have_scores_in_the_order_of_the_classes(classifier):
    search, of_probabilities = copy.copy(classifier), classifier.predictor_
    about = of_probabilities.about.model_copy(update={"output": "score"})
    search.predictor_ = Predictor(of_probabilities.model, of_probabilities.preprocessor, about)
    assert not hasattr(search, "predict_proba")
    assert not hasattr(classifier, "decision_function")
    scores = search.decision_function(TABLE)
    assert scores.shape == (ROWS,)
    assert (search.classes_[(scores > 0).astype(int)] == search.predict(TABLE)).all()


@pytest.mark.long
def test_a_hinge_loss_has_no_probabilities():
    labels = np.where(TABLE["city"] == "Bonn", 7, np.where(TABLE["city"] == "Ulm", 5, 9))
    labels = np.where(RNG.random(ROWS) < 0.5, RNG.permutation(labels), labels)  # so that no loss has all right
    found = set()
    for state in range(8):  # the baseline is tried too
        given = {**SMALLEST, "trials": 2, "random_state": state}
        # one validation part alone decides, so that either loss may be the better one
        settings = {**QUICK, "search": {"confirm": 0}}
        search = LossSearchClassifier(["categorical_hinge"], metric="accuracy", settings=settings, **given)
        search.fit(TABLE, labels)
        is_hinge = search.best_loss_ == "categorical_hinge"
        assert hasattr(search, "decision_function") is is_hinge is not hasattr(search, "predict_proba")
        values = search.decision_function(TABLE) if is_hinge else search.predict_proba(TABLE)
        assert values.shape == (ROWS, 3)
        assert (search.classes_[values.argmax(axis=1)] == search.predict(TABLE)).all()
        found.add(is_hinge)
        if len(found) == 2:
            return
    raise AssertionError(f"no study ends with the other loss: {found}")


def test_numbers_are_predicted_in_their_unit_and_rows_of_weight_zero_are_left_out(capsys):
    odd = np.arange(ROWS) % 4 == 0
    search = LossSearchRegressor(["mean_squared_error"], settings=QUICK, verbose=2, **SMALLEST)
    search.fit(TABLE, np.where(odd, 1e6, PRICE), sample_weight=np.where(odd, 0.0, 2.0))
    assert search.result_.data["rows"] == {"train": 72, "validation": 18, "test": 0}
    assert search.score(TABLE[~odd], PRICE[~odd]) > 0.5
    assert not hasattr(search, "classes_")
    assert not hasattr(search, "decision_function")
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("[lossreg] ") for line in lines)
    assert any("trial 0: mean_squared_error, complete, r2 " in line for line in lines)


@pytest.mark.long
def test_the_same_random_state_gives_the_same_model_and_a_directory_goes_on(tmp_path):
    given = {**SMALLEST, "trials": 3, "settings": QUICK}
    first, again = (LossSearchClassifier(["focal"], **given).fit(TABLE, ANSWER) for _ in range(2))
    assert np.array_equal(first.predict_proba(TABLE), again.predict_proba(TABLE))
    other = LossSearchClassifier(["focal"], **{**given, "random_state": np.random.RandomState(1)}).fit(TABLE, ANSWER)
    assert other.result_.spec["search"]["seed"] != 0
    kept = LossSearchClassifier(["focal"], directory=tmp_path / "kept", **given).fit(TABLE, ANSWER)
    (study,) = (tmp_path / "kept" / ".lossreg").iterdir()
    assert np.array_equal(kept.predict_proba(TABLE), first.predict_proba(TABLE))
    more = LossSearchClassifier(["focal"], directory=tmp_path / "kept", **{**given, "trials": 5}).fit(TABLE, ANSWER)
    assert [trial.started for trial in more.result_.trials[:3]] == [trial.started for trial in kept.result_.trials]
    assert len(more.result_.trials) == 5
    assert list((tmp_path / "kept" / ".lossreg").iterdir()) == [study]
    assert lossreg.load_predictor(study).about.trial == more.best_index_


def own_model(hp):
    import keras

    head = keras.layers.Dense(hp.get("outputs"))
    return keras.Sequential([keras.Input(hp.get("input_shape")), keras.layers.Dense(7), head])


@pytest.mark.long
def test_a_model_may_be_the_users_own_function():
    search = LossSearchClassifier(["cross_entropy"], trials=1, epochs=1, model={"build": own_model}, settings=QUICK)
    fitted = pickle.loads(pickle.dumps(clone(search).fit(TABLE, ANSWER)))
    assert fitted.predict_proba(TABLE).shape == (ROWS, 2)
    assert any(weight.shape[-1] == 7 for weight in fitted.predictor_.model.weights)
    assert fitted.get_params()["model"] == {"build": own_model}


@pytest.mark.long
def test_a_verdict_is_there_if_it_is_asked_for():
    labels = np.where(RNG.random(ROWS) < 0.1, "yes", ANSWER)
    settings = {**QUICK, "verdict": {"repeats": 2, "outer": 0}, "data": {"test": 0.3}}
    search = LossSearchClassifier(["cross_entropy", "focal"], settings=settings, **{**SMALLEST, "trials": 2})
    search.fit(TABLE, labels)
    assert search.verdict_ is search.result_.verdict is not None
    assert search.result_.data["rows"]["test"] == 36
    assert search.best_index_ == search.verdict_.recommended.trial


# ------------------------------------------------------------ among estimators


@pytest.mark.long
def test_pipelines_cross_validation_and_grid_search():
    X, y = RNG.normal(size=(90, 3)), RNG.permutation(np.repeat([0, 1, 2], 30))
    X[np.arange(90), y] += 3
    small = LossSearchClassifier(["cross_entropy"], settings=QUICK, **SMALLEST)
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), small)
    assert cross_val_score(pipeline, X, y, cv=3).min() > 0.6
    assert cross_val_score(pipeline, X, y, cv=3, scoring="roc_auc_ovr").min() > 0.7
    fitted = pipeline.fit(X, y)[-1]
    assert list(fitted.feature_names_in_) == ["x0", "x1", "x2"]
    grid = GridSearchCV(small, {"epochs": np.array([1, 15])}, cv=2, scoring="f1_macro").fit(X, y)
    assert grid.best_params_ == {"epochs": 15}
    assert f1_score(y, grid.predict(X), average="macro") > 0.6


@pytest.mark.long
def test_polars_images_truth_values_rare_classes_and_folds():
    small = {**SMALLEST, "settings": QUICK}
    fitted = LossSearchClassifier(["cross_entropy"], **small).fit(pl.from_pandas(TABLE), pl.Series(ANSWER == "yes"))
    assert list(fitted.feature_names_in_) == list(TABLE.columns)
    assert fitted.predict(TABLE).dtype == bool
    images = RNG.random((60, 8, 8, 1))
    images[::2, :4] += 1
    search = LossSearchClassifier(["cross_entropy"], **{**small, "model": None}).fit(images, np.arange(60) % 2)
    assert search.result_.spec["model"]["build"] == "cnn"
    assert search.score(images, np.arange(60) % 2) > 0.9
    labels = np.array([*ANSWER[:-1], "rare"])
    settings = {**QUICK, "data": {"folds": 3}}
    search = LossSearchClassifier(["cross_entropy"], **{**small, "settings": settings}).fit(TABLE, labels)
    assert list(search.classes_) == ["no", "rare", "yes"]
    assert {"split0_test_score", "split2_test_score"} <= set(search.cv_results_)
    assert search.predict_proba(TABLE).shape == (ROWS, 3)


def test_an_estimator_whose_last_fit_failed_is_not_fitted(classifier):
    for search in (copy.copy(classifier), clone(classifier)):
        with pytest.raises(ValueError, match="no class 'no'"):
            search.fit(TABLE[["age"]], np.where(ANSWER == "yes", "a", "b"))
        with pytest.raises(NotFittedError):
            search.predict(TABLE)
        assert not {"classes_", "result_", "best_loss_"} & {*vars(search)}


def test_rows_whose_classes_have_other_names_are_another_study_in_a_directory(tmp_path):
    def of(classes, **given):
        rows = {"x": np.eye(4), "y": np.arange(4) % 2, "target_names": classes}
        return studies.of({**given, "data": {"task": "binary"}}, (), rows)

    assert of(["no", "yes"]).name == of(["no", "yes"]).name != of(["0", "1"]).name


def test_a_changed_study_is_refused_with_what_an_estimator_has():
    search = LossSearchClassifier(["focal"], directory="kept", settings={**QUICK, "name": "one"}, **SMALLEST)
    search.fit(TABLE, ANSWER)
    with pytest.raises(ValueError, match="give another directory, or the study another name in settings") as caught:
        search.fit(TABLE, ANSWER[::-1])
    assert not re.search("allow_changed|fresh", str(caught.value))


# ------------------------------------------------------------ wrong arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"losses": "focal"}, r"^losses: must be names of losses, or a table for each, not 'focal'"),
        ({"losses": []}, r"^losses: must be names of losses"),
        ({"losses": [3]}, r"^losses: must be names of losses"),
        ({"losses": ["focall"]}, r'^losses\["focall"\]: unknown loss .focall.. Did you mean focal\?'),
        ({"losses": ["huber"]}, r'^losses\["huber"\]: huber is for regression'),
        ({"losses": {"focal": {"gama": 1.0}}}, r'^losses\["focal"\]\["gama"\]: unknown parameter .gama.'),
        ({"losses": ["hinge"], "metric": "log_loss"}, r'^losses\["hinge"\]: hinge yields no probabilities'),
        ({"metric": "f2"}, r"^metric: unknown metric 'f2'"),
        ({"metric": 3}, r"^metric: must be text, not 3"),
        ({"metric": "r2"}, r"^metric: r2 is for regression"),
        (
            {"metric": f1_score},
            r'^metric: f1_score is a .* settings=\{"search": \{"direction": "maximize"\}\}',
        ),
        ({"trials": 0}, r"^trials: must be at least 1, not 0"),
        ({"trials": 2.5}, r"^trials: must be a whole number, not 2.5"),
        ({"epochs": -1}, r"^epochs: must be at least 1, not -1"),
        ({"epochs": 4, "settings": {"train": {"epochs": 3}}}, r"^epochs: settings has train.epochs too"),
        ({"settings": {"train": {"epochs": 0}}}, r'^settings\["train"\]\["epochs"\]: must be at least 1'),
        ({"settings": {"verdict": {"enabled": True}}}, r'settings=\{"verdict": \{"outer": 5\}\}'),
        ({"trials": 0, "epochs": 0}, r"epochs: must be at least 1, not 0\ntrials: must be at least 1, not 0"),
        ({"model": "mlp"}, r"^model: must be the section of a study, not 'mlp'"),
        ({"model": {"hiden": [3]}}, r'^model\["hiden"\]: unknown key; .* Did you mean hidden\?'),
        ({"validation_fraction": 0}, r"^validation_fraction: must be a share of the rows between 0 and 1, not 0"),
        ({"validation_fraction": "x"}, r"^validation_fraction: must be a share"),
        ({"validation_fraction": 0.001}, r"^validation_fraction: not enough rows for the splits: 119 tr"),
        (
            {"validation_fraction": 0.3, "settings": {"data": {"folds": 3}}},
            r"^validation_fraction: settings has data.f",
        ),
        ({"settings": 3}, r"^settings: must be sections of a study, not 3"),
        ({"settings": {"train": 3}}, r'^settings\["train"\]: must be a table, not 3'),
        ({"settings": {"trian": {}}}, r'^settings\["trian"\]: unknown key; .* Did you mean train\?'),
        ({"settings": {"train": {"batch": 3}}}, r'^settings\["train"\]\["batch"\]: unknown key'),
        ({"settings": {"data": {"source": "a.csv"}}}, r'^settings\["data"\]\["source"\]: the rows are given to fit'),
        ({"settings": {"data": {"task": "count"}}}, r'^settings\["data"\]\["task"\]: is not .count., but binary'),
        ({"settings": {"data": {"columns": {"cty": "text"}}}}, r'^settings\["data"\]\["columns"\]: no column .cty.'),
        ({"settings": {"verdict": {"enabled": True}}}, r'^settings\["verdict"\]\["enabled"\]: a verdict takes test r'),
        ({"settings": {"search": {"seed": 3}}, "random_state": 3}, r"^random_state: settings has search.seed too"),
        ({"random_state": -1}, r"Seed must be between 0 and"),
        ({"random_state": "x"}, r"'x' cannot be used to seed"),
        ({"directory": 3}, r"^directory: 3 is no path"),
        ({"directory": ""}, r'^directory: is empty. .* the current folder is "."'),
        ({"directory": __file__}, r"^directory: .*test_estimators.py: is a file"),
        ({"directory": "/proc/here"}, r"^directory: the study's folder /proc/here cannot be written"),
        ({"verbose": "x"}, r"^verbose: must be a whole number, not 'x'"),
    ],
)
def test_wrong_arguments_are_named_at_fit(arguments, words):
    with pytest.raises(ValueError, match=words):
        LossSearchClassifier(**{"losses": ["cross_entropy"], "trials": 1, **arguments}).fit(TABLE, ANSWER)


def test_settings_stand_in_place_of_defaults_also_in_a_copy():
    wrong = {"data": {"folds": 3, "columns": {"cty": "text"}}, "search": {"trials": 2}, "train": {"epochs": 2}}
    search = LossSearchClassifier(settings=wrong)
    for each in (search, clone(search), pickle.loads(pickle.dumps(search))):
        with pytest.raises(ValueError, match="no column 'cty'"):  # the data are looked at after all arguments
            each.fit(TABLE, ANSWER)
    assert wrong["data"] == {"folds": 3, "columns": {"cty": "text"}}


@pytest.mark.parametrize(
    ("estimator", "y", "words"),
    [
        (LossSearchClassifier, None, "requires y to be passed, but the target y is None"),
        (LossSearchClassifier, np.full(ROWS, "a"), r"y has one class only \(a\)"),
        (LossSearchClassifier, PRICE, "Unknown label type: continuous"),
        (LossSearchClassifier, np.eye(2)[np.arange(ROWS) % 2], "y should be a 1d array"),
        (LossSearchClassifier, ANSWER[:-1], "inconsistent numbers of samples"),
        (LossSearchRegressor, ANSWER, "could not convert string to float"),
        (LossSearchRegressor, np.ones(ROWS), "^X, y: every label is 1"),
        (LossSearchRegressor, np.where(np.arange(ROWS) == 5, np.nan, PRICE), "Input y contains NaN"),
        (LossSearchRegressor, np.column_stack([PRICE, PRICE]), "y should be a 1d array"),
    ],
)
def test_labels_that_do_not_fit_are_refused(estimator, y, words):
    with pytest.raises(ValueError, match=words):
        estimator(trials=1).fit(TABLE, y)


@pytest.mark.parametrize(("X", "words"), [
    (TABLE["age"], "Expected a 2-dimensional container"),
    (TABLE[["age", "city", "age"]], "X has two columns called 'age'"),
    (TABLE[[]], r"0 feature\(s\) \(shape=\(120, 0\)\) while a minimum of 1 is required by LossSearchClassifier"),
    (TABLE[:0], r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 2 is required"),
    (TABLE[["age"]].assign(age=np.nan), "^X, y: no usable column among age"),
    (TABLE.set_axis(["a", 1, "b"], axis=1), "Feature names are only supported if all input features have string names"),
    ("rows.csv", "Expected 2D array, got scalar array"),
])  # fmt: skip
def test_rows_that_do_not_fit_are_refused(X, words):
    with pytest.raises((ValueError, TypeError), match=words):
        LossSearchClassifier(["cross_entropy"], trials=1).fit(X, ANSWER[: len(X)])


@pytest.mark.parametrize(("weights", "words"), [
    (np.zeros(ROWS), "sample_weight must have a number that is not zero"),
    (np.full(ROWS, -1.0), "sample_weight has negative numbers"),
    (np.ones((ROWS, 2)), "sample_weight must be 1D"),
    (np.ones(3), "inconsistent numbers of samples"),
    (np.full(ROWS, np.nan), "Input sample_weight contains NaN"),
    (np.where(ANSWER == "yes", 1.0, 0.0), r"y has one class only where sample_weight is not zero \(yes\)"),
])  # fmt: skip
def test_weights_that_do_not_fit_are_refused(weights, words):
    with pytest.raises(ValueError, match=words):
        LossSearchClassifier(trials=1).fit(TABLE, ANSWER, sample_weight=weights)


# ------------------------------------------------------------ the page


@pytest.mark.long
def test_what_stands_on_the_page_runs(capsys):
    names = {}
    for snippet in SNIPPETS:
        exec(compile(snippet, "scikit-learn.md", "exec"), names)
    assert names["search"].score(names["X_test"], names["y_test"]) > 0.9
    assert capsys.readouterr().out


def test_the_page_has_the_arguments_and_their_defaults():
    rows = dict(re.findall(r"^\| `(\w+)` \| ?([^|]*)\|", PAGE, re.MULTILINE))
    defaults = LossSearchClassifier().get_params()
    assert set(rows) == set(defaults)
    said = {name: cell.strip("` ") for name, cell in rows.items() if re.fullmatch(r"`[\d.]+` ", cell)}
    assert said == {name: str(value) for name, value in defaults.items() if value is not None}
