"""The studies that come with lossreg: each loads, and data, metric and losses fit together."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from quick import long_but

import lossreg
from lossreg import data
from lossreg.config import study
from lossreg.config.candidates import candidates_of
from lossreg.config.search_space import Fixed
from lossreg.errors import DataError
from lossreg.metrics import catalogue
from lossreg.registry import registry

FOLDER = Path(__file__).parents[2] / "studies"
FILES = sorted(file.stem for file in FOLDER.glob("*.toml"))
TUTORIALS = {"regression": 25, "regression_positive": 25, "circles": 50, "blobs": 50}
LABELS = {
    "quickstart": ["cross_entropy", "binary_focal", "label_smoothing_ce", "gce", "class_balanced_ce"],
    "regression": ["mean_squared_error", "mean_absolute_error", "huber"],
    "regression_positive": ["mean_squared_error", "mean_absolute_error", "mean_squared_logarithmic_error"],
    "circles": ["binary_crossentropy", "hinge", "squared_hinge"],
    "blobs": ["categorical_crossentropy", "sparse_categorical_crossentropy", "kl_divergence"],
    "multilabel": ["multilabel_bce", "asymmetric", "multilabel_ce"],
    "counts": ["mean_squared_error", "poisson", "negative_binomial", "tweedie"],
    "positive": ["mean_squared_error", "gamma_nll", "tweedie", "mean_squared_logarithmic_error"],
    "folds": ["cross_entropy", "focal", "label_smoothing_ce"],
    "class_weights": ["cross_entropy", "binary_focal", "gce"],
    "quantile": ["mean_squared_error", "quantile", "multi_quantile", "gaussian_nll", "laplace_nll"],
}


@cache
def opened(name):
    """A study's spec, data and candidates."""
    spec = study.load(FOLDER / f"{name}.toml")
    d = spec.data
    dataset = data.load(
        d.source, target=d.target, task=d.task, test=d.test, validation=d.validation, folds=d.folds, weight=d.weight,
        class_weight=spec.train.class_weight, preprocess=d.preprocess, drop=d.drop,
        base=spec.base, seed=spec.search.seed,
    )  # fmt: skip
    return spec, dataset, candidates_of(spec, registry.default(), dataset.task, dataset.n_classes)


def test_the_promised_studies_are_there():
    assert {"quickstart", "digits", "regression", "circles", "blobs"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_study_is_named_as_its_file_and_its_metric_fits(name):
    spec, dataset, _ = opened(name)
    assert spec.name == name
    assert dataset.task in catalogue.resolve(spec.search.metric, dataset.task).tasks


@pytest.mark.parametrize("name", FILES)
def test_every_loss_takes_the_labels_and_one_is_the_baseline(name):
    _, dataset, candidates = opened(name)
    assert sum(candidate.baseline for candidate in candidates) == 1
    for candidate in candidates:
        candidate.spec.check_labels(dataset.train.y)
        assert len(candidate.spec.encode(dataset.train.y, dataset.constants)) == len(dataset.train)


@pytest.mark.parametrize("name", sorted(LABELS))
def test_no_label_is_added_to_those_that_a_study_writes(name):
    assert [candidate.name for candidate in opened(name)[2]] == LABELS[name]


@pytest.mark.parametrize(("name", "width"), TUTORIALS.items())
def test_the_tutorials_are_as_they_were(name, width):
    spec, dataset, candidates = opened(name)
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [500, 250, 250]
    assert (spec.model.hidden, spec.train.optimizer.name, spec.train.optimizer.settings) == (
        (width,), "sgd", {"momentum": 0.9},
    )  # fmt: skip
    assert spec.train.learning_rate == Fixed(0.01)
    assert spec.train.epochs == (200 if name == "circles" else 100)
    assert all(isinstance(space, Fixed) for candidate in candidates for space in candidate.search_space.values())


@pytest.mark.parametrize(
    ("name", "task"), [("multilabel", "multilabel"), ("counts", "count"), ("positive", "positive")]
)
def test_other_tasks_than_classes_and_reals_have_a_study(name, task):
    _, dataset, _ = opened(name)
    assert dataset.task == task
    assert not any(note.startswith(("No ", "Every ")) for note in dataset.notes)


def test_the_study_of_folds_has_five_and_that_of_class_weights_weighs_by_class():
    folds, weighed = opened("folds")[1], opened("class_weights")[1]
    assert [len(fold.validation) for fold in folds.folds] == [28] * 5
    sums = np.bincount(weighed.train.y, weighed.train.weights)
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)
    assert weighed.validation.weights is None


def test_counts_are_overdispersed_and_costs_skewed():
    counts, costs = (np.concatenate([part.y for part in (d.train, d.validation, d.test)])
                     for d in (opened("counts")[1], opened("positive")[1]))  # fmt: skip
    assert counts.min() == 0
    assert np.array_equal(counts, np.floor(counts))
    assert counts.var() > 2 * counts.mean()
    assert costs.min() > 0
    assert costs.mean() > 1.3 * np.median(costs)


def test_the_logarithmic_error_needs_the_shifted_target():
    loss = registry.default().get("msle")
    _, signed, _ = opened("regression")
    _, shifted, _ = opened("regression_positive")
    with pytest.raises(DataError, match="Shift"):
        loss.check_labels(signed.train.y)
    every = np.concatenate([part.y for part in (shifted.train, shifted.validation, shifted.test)])
    assert every.min() == 0
    assert np.ptp(every) == pytest.approx(np.ptp(np.concatenate([signed.train.y, signed.validation.y, signed.test.y])))


def short(name, each=2, **train):
    """A study of this folder with few epochs, untracked and unconfirmed, that leaves nothing behind."""
    document = study.load(FOLDER / f"{name}.toml").document() | {
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }
    document["train"] |= {"epochs": 5} | train
    document["search"] |= {"trials": each * len(document["losses"]), "confirm": 0}
    if ".py:" in document["data"]["source"]:
        document["data"]["source"] = str(FOLDER / document["data"]["source"])
    return document


LEARNT = {"multilabel": 0.25, "counts": 0.2, "positive": 0.1, "folds": 0.5}


@pytest.mark.parametrize("name", long_but({"counts"}, list(LEARNT)))
def test_studies_run_in_lanes_and_learn(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = lossreg.tune(short(name))
    assert result.counts["complete"] == len(result.trials)
    assert result.trainer["fit"] == 0
    assert result.compared_score(result.best) > LEARNT[name]
    assert {row.candidate for row in result.ranking() if row.best} == set(LABELS[name])


@pytest.mark.long
def test_losses_of_several_outputs_are_trained_and_scored_by_their_point(tmp_path, monkeypatch):

    monkeypatch.chdir(tmp_path)
    result = lossreg.tune(short("quantile", each=1, epochs=4))
    assert result.counts["complete"] == len(result.trials)
    scores = {row.candidate: row.best.score for row in result.ranking()}
    # the mean absolute error of the median alone
    assert all(score < 1.75 for score in scores.values()), scores


@pytest.mark.long
def test_blobs_comes_out_equal_to_the_last_bit(tmp_path, monkeypatch):

    monkeypatch.chdir(tmp_path)
    document = study.load(Path(__file__).parents[2] / "studies" / "blobs.toml").document() | {
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }
    document["train"] |= {"epochs": 10}
    result = lossreg.tune(document)
    first, *others = [trial.curves for trial in result.trials]
    assert len(others) == 2
    assert all(curves == first for curves in others)
