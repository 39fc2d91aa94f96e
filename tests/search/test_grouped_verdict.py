"""Studies with groups and times: what the verdict trains on, what it takes as independent, and what is enough."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import small_study

import lossreg
from lossreg import data
from lossreg.config import study as studies
from lossreg.data.loaded_rows import LoadedRows
from lossreg.errors import InputError
from lossreg.metrics import catalogue
from lossreg.search import judgement, preparation, study_metrics
from lossreg.storage.verdict import Answer
from lossreg.training import scoring
from lossreg.verdict import shortage
from lossreg.verdict.comparison import compare

N, PER = 330, 3


def write(folder, task="regression", groups=N // PER, **arrays):
    rng = np.random.default_rng(0)
    customer = rng.permutation(np.arange(N) % groups)
    effect, x = rng.normal(size=groups)[customer], rng.normal(size=(N, 3)).astype("float32")
    y = x @ [1.0, -1.0, 0.5] + effect + 0.1 * rng.normal(size=N)
    y = (y > 0).astype(int) if task == "binary" else y
    np.savez(folder / "rows.npz", **{"x": x, "y": y, "customer": customer, "week": np.arange(N) // 5, **arrays})
    return customer


def study(folder, outer=0, **keys):
    return small_study.study(data={"source": str(folder / "rows.npz"), **keys}, verdict={"outer": outer, "repeats": 3})


@pytest.mark.parametrize("outer", [pytest.param(0, marks=pytest.mark.long), 2])
def test_no_split_of_a_study_with_verdict_takes_a_group_apart(outer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    customer, made = write(tmp_path), []

    def dataset(self, cuts, *others, before=LoadedRows.dataset):
        made.extend(cuts)
        return before(self, cuts, *others)

    monkeypatch.setattr(LoadedRows, "dataset", dataset)
    result = lossreg.tune(study(tmp_path, outer, group="customer"))
    assert len(made) > 8
    for rows in made:
        sides = [set(customer[part]) for part in (rows.train, rows.validation, rows.test)]
        assert len(set().union(*sides)) == sum(map(len, sides))
    verdict, loaded = result.verdict, data.load("rows.npz", base=tmp_path, group="customer")
    tested = np.arange(N) if outer else loaded.rows.test
    folds = np.zeros(N, int)
    for number, part in enumerate(loaded.rows.outer(2, 0)):
        folds[part.test] = number
    with np.load(next((tmp_path / ".lossreg" / "small").glob("verdict*.npz"))) as stored:
        by_hand = compare(
            catalogue.resolve("mean_absolute_error", "regression"), loaded.rows.labels.y[tested], stored["winner"],
            stored["baseline"], groups=customer[tested], folds=folds if outer else None, seed=0,
        )  # fmt: skip
    independent = len(set(customer[tested]))
    assert f"the interval is that of {independent} independent groups of customer, not of rows" in verdict.notes
    assert verdict.against_baseline.low == pytest.approx(by_hand.low, rel=1e-3)
    assert verdict.against_baseline.high == pytest.approx(by_hand.high, rel=1e-3)


def too_few(sections, *, tested=False):
    prepared = preparation.prepare(studies.of(sections), rehearsed=False)
    dataset = prepared.problem.dataset
    return shortage.of_test_rows(dataset, prepared.metric) if tested else shortage.of_rows(dataset)


def classes(folder, **keys):
    return {
        "name": "classes", "data": {"source": str(folder / "rows.npz"), **keys}, "verdict": {"outer": 0},
        "search": {"metric": "f1_macro"}, "tracking": {"enabled": False}, "losses": {"cross_entropy": {}, "focal": {}},
    }  # fmt: skip


def test_groups_are_counted_where_rows_are_not_independent(tmp_path):
    write(tmp_path, "binary", groups=60)
    assert too_few(classes(tmp_path)) == ""
    assert too_few(classes(tmp_path, group="customer")) == "60 groups, and a verdict needs at least 100"
    y = (np.arange(N) < 90).astype(int)
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).normal(size=(N, 2)), y=y, customer=np.arange(N) // 3)
    assert too_few(classes(tmp_path, group="customer")) == ""
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).normal(size=(N, 2)), y=y,
             customer=np.r_[np.arange(90) // 5, np.arange(90, N)])  # fmt: skip
    assert too_few(classes(tmp_path, group="customer")) == (
        "18 groups of class '1', and a verdict needs at least 30 of each"
    )


def test_test_groups_are_counted_for_metrics_that_hang_on_classes(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    y[:60] = 0
    y[:16] = 1
    given, customer = np.where(np.arange(N) < 60, "test", "train"), np.arange(N).astype(int)
    customer[:16] = np.arange(16) // 4
    np.savez(tmp_path / "rows.npz", x=rng.normal(size=(N, 2)), y=y, customer=customer, part=given)
    keys = {"group": "customer", "split": "part"}
    said = too_few(classes(tmp_path, **keys), tested=True)
    assert said == "4 test groups of class '1', and a verdict by f1_macro needs at least 5 of each"
    assert too_few(classes(tmp_path, split="part"), tested=True) == ""


@pytest.mark.parametrize("keys", [{"time": "week"}, {"group": "week"}, {"group": "week", "folds": 2}])
def test_no_decision_is_tuned_on_few_groups_or_times(keys, tmp_path):
    write(tmp_path, "binary", week=np.arange(N) % 5)
    sections = {**classes(tmp_path, **keys), "search": {"metric": "f1", "decision": "tuned"}}
    loaded = data.load("rows.npz", base=tmp_path, **keys)
    metric, notes = study_metrics.choose_metric(studies.of(sections), loaded)
    assert [note for note in notes if "too few for a threshold of f1: " in note and "it needs 10" in note]
    for made in (loaded, loaded.resampled(range(8))):
        problem = SimpleNamespace(folds=made.folds, metric=metric)
        assert not any(scoring.tunable(problem, fold) for fold in range(len(made.folds)))


@pytest.mark.parametrize(
    "groups", [45, 90, *(pytest.param(groups, marks=pytest.mark.long) for groups in (60, 75, 105))]
)
def test_all_folds_and_all_fresh_splits_decide_alike_near_the_fewest_groups(groups, tmp_path):
    """Groups of unequal sizes: validation rows are of more than 10 groups in some splits, of fewer in others."""
    rng = np.random.default_rng(groups)
    sizes = rng.permutation(np.resize([1, 2, 3, 5, 9, 16], groups))
    customer = rng.permutation(np.resize(np.repeat(np.arange(groups), sizes), 600))
    y = rng.integers(0, 2, 600)
    np.savez(tmp_path / "rows.npz", x=rng.normal(size=(600, 2)), y=y, customer=customer)
    loaded = data.load("rows.npz", base=tmp_path, group="customer", folds=5)
    metric, parts, seeds = catalogue.resolve("f1", "binary"), loaded.rows.outer(4, 0), range(8)
    one_by_one = [loaded.resampled([seed]) for seed in seeds]
    outer = [loaded.resampled([seed], parts=[part]) for seed in seeds for part in parts]

    def answers(made):
        problem = SimpleNamespace(folds=made.folds, metric=metric)
        return {scoring.tunable(problem, fold) for fold in range(len(made.folds))}

    for same in ([loaded], [loaded.resampled(seeds), *one_by_one], outer):
        assert len(set().union(*map(answers, same))) == 1
    for same in ([loaded], one_by_one, outer):
        counts = {len(np.unique(fold.validation.units)) for made in same for fold in made.folds}
        assert len(counts) > 1


@pytest.mark.parametrize(("keys", "few"), [
    ({"group": "week"}, "groups"), ({"time": "week"}, "times"), ({"test": 0.5}, "rows"),
    ({"group": "week", "test": 0.7}, "rows"),
])  # fmt: skip
def test_what_there_is_too_little_of_to_tune_a_decision_on(keys, few, tmp_path):
    """A repeat leaves out 15% of 480 rows of 5 weeks, and 50 are needed; with more rows tested, 15% of 300."""
    x, y = np.random.default_rng(0).normal(size=(600, 2)), np.arange(600) % 2
    np.savez(tmp_path / "rows.npz", x=x, y=y, week=np.arange(600) // 3 % 5)
    loaded = data.load("rows.npz", base=tmp_path, **keys)
    assert judgement.too_few(loaded, catalogue.resolve("f1", "binary")) == few


def test_decisions_are_tuned_on_many_groups(tmp_path):
    write(tmp_path, "binary")
    loaded = data.load("rows.npz", base=tmp_path, group="customer")
    problem = SimpleNamespace(folds=loaded.folds, metric=catalogue.resolve("f1", "binary"))
    assert scoring.tunable(problem) == "threshold"


def test_a_study_forward_in_time_has_a_verdict_on_its_newest_rows_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    sections = study(tmp_path, time="week")
    verdict = lossreg.tune({**sections, "verdict": {"repeats": 3}}).verdict
    assert (verdict.outer, verdict.answer is Answer.NOT_ENOUGH_DATA) == (0, False)
    assert any("rows with times have no outer folds" in note for note in verdict.notes)
    with pytest.raises(InputError, match=r"verdict.outer: outer folds would train on rows that are newer"):
        studies.of({**sections, "verdict": {"outer": 5}})
