"""Rows that belong together: no cut of a study or its verdict takes them apart, and all splits have equal sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, TimeSeriesSplit
from sklearn.preprocessing import StandardScaler

from lossreg import data
from lossreg.config import study as studies
from lossreg.contract.targets import Constants
from lossreg.data import layout, splits, twins
from lossreg.data.classes import Labels
from lossreg.data.layout import Layout
from lossreg.data.raw import Raw
from lossreg.errors import DataError, InputError
from lossreg.search import study_data

N = 600
RNG = np.random.default_rng(0)
SIZES = {
    "pairs": np.full(300, 2),
    "tens": np.full(60, 10),
    "uneven": np.repeat([1, 2, 5, 11, 24], [60, 60, 30, 9, 7]),
    "one large": np.concatenate([[180], np.full(140, 3)]),
    "mostly alone": np.concatenate([np.full(20, 5), np.ones(500, int)]),
}
LABELS = {
    "regression": RNG.normal(size=N),
    "binary": (RNG.random(N) < 0.2).astype(int),
    "multiclass": RNG.choice(4, N, p=[0.5, 0.3, 0.15, 0.05]),
    "multilabel": (RNG.random((N, 3)) < [0.1, 0.4, 0.7]).astype(int),
}


def groups_of(kind: str) -> np.ndarray:
    sizes = SIZES[kind]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    assert len(groups) in (N, N - 1, N + 3) or kind == "uneven"
    return np.random.default_rng(1).permutation(np.resize(groups, N))


def saved(folder: Path, task: str, groups: np.ndarray, **arrays: Any) -> None:
    """Write rows that bear their number, so that each is known again."""
    x = np.column_stack([np.arange(N), RNG.normal(size=N)]).astype(np.float32)
    np.savez(folder / "a.npz", **{"x": x, "y": LABELS[task], "customer": groups, **arrays})


def numbers(split: data.Split) -> np.ndarray:
    return split.x[:, 0].astype(int)


def every_split(study: data.Dataset) -> list[data.Dataset]:
    """The folds of a study, the fresh splits of its verdict, and all that outer folds make of it."""
    parts = study.rows.outer(4, 0)
    searches = study.resampled([40_000, 50_000, 60_000, 70_000], 0.8, parts)
    repeats = study.resampled([40_001 + 10_000 * fold + split for fold in range(4) for split in range(8)],
                              parts=[part for part in parts for _ in range(8)])  # fmt: skip
    return [study, study.resampled(range(20_000, 20_025)), searches, repeats]


@pytest.mark.parametrize("folds", [None, 5])
@pytest.mark.parametrize(
    ("task", "kind"),
    [*(("multiclass", kind) for kind in SIZES), *((task, "uneven") for task in LABELS if task != "multiclass")],
)
def test_no_cut_takes_a_group_apart_and_all_splits_have_equal_sizes(
    tmp_path: Path, task: str, kind: str, folds: int | None
) -> None:
    groups = groups_of(kind)
    saved(tmp_path, task, groups)
    study = data.load("a.npz", base=tmp_path, preprocess="none", task=task, folds=folds, group="customer", seed=3)
    for made in every_split(study):
        assert len({(len(fold.train), len(fold.validation)) for fold in made.folds}) == 1
        for fold in made.folds:
            train, validation, test = (numbers(part) for part in (fold.train, fold.validation, fold.test))
            on_sides = [set(groups[part]) for part in (train, validation, test)]
            assert len(set().union(*on_sides)) == sum(map(len, on_sides))
            rows = np.concatenate([train, validation, test])
            assert len(set(rows.tolist())) == len(rows)
            assert fold.constants == Constants.from_labels(
                LABELS[task][train], study.n_classes, multihot=task == "multilabel"
            )
    assert sum(len(part.test) for part in study.rows.outer(4, 0)) == N


@pytest.mark.parametrize("kind", SIZES)
def test_shares_are_about_those_that_were_asked_for(tmp_path: Path, kind: str) -> None:
    saved(tmp_path, "binary", groups_of(kind))
    study = data.load("a.npz", base=tmp_path, preprocess="none", group="customer")
    assert abs(len(study.test) - 120) <= 6
    assert abs(len(study.validation) - 96) <= 6
    for part in (study.train, study.validation, study.test):
        assert part.y.mean() == pytest.approx(LABELS["binary"].mean(), abs=0.05)
    fresh = study.resampled(range(3)).train
    assert len(fresh) >= 0.85 * (N - len(study.test)) - max(SIZES[kind][SIZES[kind] < 100])
    assert len(study.resampled(range(3)).validation) == np.ceil(0.15 * (N - len(study.test)))


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_folds_are_as_even_as_those_of_scikit_learn(task: str, kind: str) -> None:
    """Compare how far classes and sizes of the folds are from equal, over several seeds."""
    y, groups = LABELS[task], groups_of(kind)
    classes = tuple("abcd"[: y.max() + 1])
    arranged = Layout(units=twins.numbered(groups), grouped=True)

    def spread(parts: list[np.ndarray]) -> float:
        counts = np.array([np.bincount(y[part], minlength=len(classes)) for part in parts])
        return float((counts / counts.sum(axis=0)).std(axis=0).mean() + (counts.sum(axis=1) / N).std())

    ours = [spread([p.test for p in splits.outer(Labels(task, y, classes), 5, arranged, seed=s)]) for s in range(5)]
    theirs = [
        spread([test for _, test in StratifiedGroupKFold(5, shuffle=True, random_state=s).split(y, y, groups)])
        for s in range(5)
    ]
    assert np.mean(ours) <= 1.1 * np.mean(theirs) + 0.005


def test_fresh_splits_follow_the_seed_and_differ(tmp_path: Path) -> None:
    saved(tmp_path, "binary", groups_of("uneven"))
    study = data.load("a.npz", base=tmp_path, preprocess="none", group="customer")
    splits_made = [frozenset(numbers(fold.validation).tolist()) for fold in study.resampled(range(10)).folds]
    assert len(set(splits_made)) == 10
    (alone,) = study.resampled([7]).folds
    assert frozenset(numbers(alone.validation).tolist()) == splits_made[7]


@pytest.mark.parametrize("folds", [pytest.param(None, marks=pytest.mark.long), 5])
def test_a_feature_that_tells_the_label_of_a_group_scores_at_chance(tmp_path: Path, folds: int | None) -> None:
    """Each customer has a code and a label, both drawn at random: there is nothing to learn for new customers."""
    rng = np.random.default_rng(5)
    customers = rng.integers(0, 80, N)
    codes, label = rng.normal(size=(80, 3)), rng.permutation(np.arange(80) % 2)
    x = codes[customers] + 0.05 * rng.normal(size=(N, 3))
    np.savez(tmp_path / "a.npz", x=x, y=label[customers], customer=customers)

    def score(group: str | None) -> float:
        study = data.load("a.npz", base=tmp_path, folds=folds, group=group)
        parts = [(fold.train, part) for made in (study, study.resampled(range(4))) for fold in made.folds
                 for part in (fold.validation, fold.test)]  # fmt: skip
        forest = RandomForestClassifier(40, random_state=0)
        return float(np.mean([forest.fit(train.x, train.y).score(part.x, part.y) for train, part in parts]))

    assert score(None) > 0.95
    assert abs(score("customer") - 0.5) < 0.12


def test_statistics_come_from_the_training_rows_of_each_fold(tmp_path: Path) -> None:
    frame = pd.DataFrame({"at": np.arange(N), "a": RNG.normal(size=N), "customer": groups_of("uneven")})
    frame["left"] = LABELS["binary"]
    frame.to_csv(tmp_path / "t.csv", index=False)
    keys: dict[str, Any] = {"target": "left", "base": tmp_path, "folds": 4, "group": "customer"}
    plain = data.load("t.csv", preprocess="none", **keys)
    for scaled, fold in zip(data.load("t.csv", **keys).folds, plain.folds, strict=True):
        rows = {part: numbers(getattr(fold, part)) for part in ("train", "validation", "test")}
        scaler = StandardScaler().fit(frame.loc[rows["train"], ["at", "a"]].to_numpy())
        for part, index in rows.items():
            expected = scaler.transform(frame.loc[index, ["at", "a"]].to_numpy())
            np.testing.assert_allclose(getattr(scaled, part).x, expected, rtol=1e-4, atol=1e-4)
        assert scaled.constants.class_counts == tuple(np.bincount(frame.left[rows["train"]]).astype(float))


def test_a_column_of_groups_is_no_feature_and_the_same_in_text_numbers_and_a_function(tmp_path: Path) -> None:
    groups = groups_of("tens")
    frame = pd.DataFrame({"at": np.arange(N), "a": np.arange(N) * 0.37, "left": LABELS["binary"], "customer": groups})
    frame.to_csv(tmp_path / "numbers.csv", index=False)
    frame.assign(customer="c" + frame.customer.astype(str)).to_parquet(tmp_path / "texts.parquet")
    frame.to_pickle(tmp_path / "frame")
    (tmp_path / "mine.py").write_text(
        f"import pandas as pd\nt = pd.read_pickle({str(tmp_path / 'frame')!r})\n"
        "def table():\n    return t\n"
        "def arrays():\n    return {'x': t[['at', 'a']], 'y': t.left, 'customer': t.customer}\n"
        "def pair():\n    return t[['at', 'a', 'customer']], t.left\n"
    )
    made = [
        data.load(source, base=tmp_path, preprocess="none", group="customer",
                  target=None if "arrays" in source or "pair" in source else "left")
        for source in ("numbers.csv", "texts.parquet", "mine.py:table", "mine.py:arrays", "mine.py:pair")
    ]  # fmt: skip
    for one in made:
        assert one.features == ("at", "a")
        np.testing.assert_array_equal(numbers(one.train), numbers(made[0].train))
        assert any(note.startswith("customer: 60 groups of 10 rows each") for note in one.notes)
    assert made[0].preprocessor.transform(frame.drop(columns=["left", "customer"])).shape == (N, 2)


@pytest.mark.parametrize(("change", "says"), [
    ({"group": "custommer"}, "no column 'custommer' for group. Did you mean customer"),
    ({"group": "same"}, "group = 'same' has 1 value, and training, validation and test rows take 3 groups at least"),
    ({"group": "gaps"}, r"group = 'gaps': 2 of 600 rows have none, the first in lines 5, 7 of the file"),
    ({"time": "customer_name"}, "time = 'customer_name' has neither numbers nor dates"),
    ({"time": "same"}, "time = 'same' has 1 distinct value, and training, validation and test rows take 3 at least"),
    ({"split": "customer_name"}, "split = 'customer_name' has 'c"),
    ({"split": "typo"}, "has 'tran', which names no part. Did you mean train"),
    ({"split": "trains"}, "split = 'trains' has training rows only"),
])  # fmt: skip
def test_columns_that_say_nothing_of_cuts_are_refused(tmp_path: Path, change: dict[str, str], says: str) -> None:
    groups = groups_of("tens")
    frame = pd.DataFrame({"a": np.arange(N), "left": LABELS["binary"], "customer": groups, "same": 1, "gaps": groups})
    frame = frame.assign(customer_name="c" + frame.customer.astype(str), typo="train", trains="train")
    frame["gaps"] = frame.gaps.astype("Float64")
    frame.loc[[3, 5], "gaps"] = pd.NA
    frame.loc[9, "typo"] = "tran"
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=says):
        data.load("t.csv", target="left", base=tmp_path, **change)  # type: ignore[arg-type]


def test_arrays_without_the_group_say_how_to_give_it(tmp_path: Path) -> None:
    saved(tmp_path, "binary", groups_of("tens"))
    with pytest.raises(DataError, match=r"'patient' names no array of .* x, y, customer\. Give an array of that"):
        data.load("a.npz", base=tmp_path, group="patient")
    np.savez(tmp_path / "b.npz", x=np.zeros((20, 2)), y=np.arange(20) % 2, customer=np.arange(19))
    with pytest.raises(DataError, match="x has 20 rows and customer, for group, has 19"):
        data.load("b.npz", base=tmp_path, group="customer")


def test_folds_need_as_many_groups(tmp_path: Path) -> None:
    saved(tmp_path, "regression", np.arange(N) // 100)
    with pytest.raises(DataError, match="6 folds need as many groups of rows, and there are"):
        data.load("a.npz", base=tmp_path, group="customer", folds=6)


def test_a_class_that_one_group_has_is_trained_on(tmp_path: Path) -> None:
    groups = np.arange(N) // 10
    y = np.where(groups == 17, 2, RNG.integers(0, 2, N))
    saved(tmp_path, "multiclass", groups, y=y)
    for folds in (None, 5):
        study = data.load("a.npz", base=tmp_path, group="customer", folds=folds, preprocess="none")
        for made in (study, study.resampled(range(5))):
            assert all((fold.train.y == 2).sum() in range(1, 11) for fold in made.folds)
    assert "No test row of class 2." in study.notes


@pytest.mark.parametrize("kind", ["group", "twin", "lumpy", "time"])
def test_whatever_the_sizes_a_cut_is_right_or_refused(kind: str) -> None:
    """Groups, equal rows and times of any sizes, also such as cannot be cut, and classes that hang on them."""
    made = 0
    for trial in range(60):
        rng = np.random.default_rng(trial)
        n, k = int(rng.integers(8, 200)), int(rng.integers(2, 5))
        units = twins.numbered(rng.integers(0, rng.integers(1, n + 1), n))
        if kind == "twin":
            units = twins.numbered(np.where(rng.random(n) < 0.3, rng.integers(0, n, n), np.arange(n)))
        y = rng.integers(0, k, n) if rng.random() < 0.7 and kind in ("group", "time") else units % k
        labels = Labels("multiclass", y, tuple("abcd"[:k]))
        lay = Layout(times=units) if kind == "time" else Layout(units, grouped=kind == "group", lumpy=kind == "lumpy")
        for folds in (None, 3):
            try:
                cuts = splits.cut(labels, lay, test=0.2, validation=0.2, folds=folds, seed=trial, where="here")
                part = splits.Part(cuts[0].test, np.setdiff1d(np.arange(n), cuts[0].test))
                fresh = splits.resample(labels, [(part, s) for s in range(4)], lay, share=0.85, where="here")
            except InputError:
                continue
            made += 1
            for group in (cuts, fresh):
                assert len({(len(one.train), len(one.validation)) for one in group}) == 1
                for one in group:
                    sides = [set(units[rows]) for rows in (one.train, one.validation, one.test)]
                    assert len(set().union(*sides)) == sum(map(len, sides))
    assert made > 60


# ------------------------------------------------------------------ time


def timed(folder: Path, times: np.ndarray, folds: int | None = None) -> data.Dataset:
    frame = pd.DataFrame({"at": np.arange(N), "when": times, "left": LABELS["binary"]})
    frame.to_csv(folder / "t.csv", index=False)
    return data.load("t.csv", target="left", base=folder, preprocess="none", time="when", folds=folds)


TIMES = {
    "all distinct": RNG.permutation(N),
    "weeks": RNG.integers(0, 40, N),
    "years": RNG.choice([2019, 2020, 2021, 2022, 2023], N),
    "dates": pd.date_range("2021-01-01", periods=N, freq="9h").to_numpy()[RNG.permutation(N)].astype("datetime64[D]"),
}


@pytest.mark.parametrize(
    ("kind", "folds"), [*((kind, None) for kind in TIMES), ("all distinct", 3), ("weeks", 3), ("dates", 3)]
)
def test_every_cut_goes_forward_in_time(tmp_path: Path, kind: str, folds: int | None) -> None:
    times = TIMES[kind]
    study = timed(tmp_path, times, folds)
    assert study.features == ("at",)
    for made in (study, study.resampled(range(25))):
        assert len({(len(fold.train), len(fold.validation)) for fold in made.folds}) == 1
        for fold in made.folds:
            train, validation, test = (times[numbers(part)] for part in (fold.train, fold.validation, fold.test))
            assert train.max() < validation.min()
            assert validation.max() < test.min()
    newest = study.test
    assert times[numbers(newest)].min() > np.delete(times, numbers(newest)).max()
    with pytest.raises(DataError, match="no outer folds"):
        study.rows.outer(5, 0)


def test_the_folds_of_distinct_times_are_those_of_scikit_learn(tmp_path: Path) -> None:
    times = TIMES["all distinct"]
    study = timed(tmp_path, times, 4)
    order = np.argsort(times)
    rest = order[: N - 120]
    np.testing.assert_array_equal(numbers(study.test), np.sort(order[N - 120 :]))
    expected = TimeSeriesSplit(4, test_size=60, max_train_size=240).split(rest)
    for fold, (train, validation) in zip(study.folds, expected, strict=True):
        np.testing.assert_array_equal(numbers(fold.train), np.sort(rest[train]))
        np.testing.assert_array_equal(numbers(fold.validation), np.sort(rest[validation]))


def test_fresh_splits_are_windows_that_begin_at_random(tmp_path: Path) -> None:
    times = TIMES["all distinct"]
    fresh = timed(tmp_path, times).resampled(range(30)).folds
    begins = {int(times[numbers(fold.train)].min()) for fold in fresh}
    assert len(begins) > 20
    for fold in fresh:
        rows = np.sort(times[np.concatenate([numbers(fold.train), numbers(fold.validation)])])
        np.testing.assert_array_equal(rows, np.arange(rows[0], rows[0] + len(rows)))


def test_few_times_have_no_folds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the times are too few for the folds\. Use fewer folds"):
        timed(tmp_path, TIMES["years"], 10)


@pytest.mark.parametrize(("texts", "expected"), [
    (["2023-W52", "2024-W01", "2024-W02", "2024-W10"], [0, 1, 2, 3]),
    (["2024Q4", "2025Q1", "2023Q2", "2025Q2"], [1, 2, 0, 3]),
    (["31.12.2023", "01.02.2024", "15.01.2024", "02.02.2024"], [0, 2, 1, 3]),
    (["9", "10", "11", "100"], [0, 1, 2, 3]),
    (["99998", "99999", "100000", "100001"], [0, 1, 2, 3]),
    (["202352", "202353", "202401", "202410"], [0, 1, 2, 3]),
    (["2024-2", "2024-10", "2024-11", "2025-1"], [0, 1, 2, 3]),
])  # fmt: skip
def test_times_in_text(tmp_path: Path, texts: list[str], expected: list[int]) -> None:
    which = np.arange(N) % 4
    frame = pd.DataFrame({"at": np.arange(N), "when": np.array(texts)[which], "left": LABELS["binary"]})
    frame.to_parquet(tmp_path / "t.parquet")
    study = data.load("t.parquet", target="left", base=tmp_path, preprocess="none", time="when")
    np.testing.assert_array_equal(np.unique(which[numbers(study.test)]), [expected.index(3)])
    np.testing.assert_array_equal(np.unique(which[numbers(study.validation)]), [expected.index(2)])


# ------------------------------------------------------------------ rows that stand twice


def copied(folder: Path, copies: int, distinct: int = 400) -> pd.DataFrame:
    frame = pd.DataFrame({"a": RNG.permutation(distinct) * 1.5, "b": RNG.choice(list("xyz"), distinct)})
    frame["left"] = (RNG.random(distinct) < 0.3).astype(int)
    frame = pd.concat([frame, frame.iloc[:copies]]).sample(frac=1, random_state=0)
    frame.to_csv(folder / "t.csv", index=False)
    return frame


@pytest.mark.parametrize(
    ("copies", "folds"),
    [(1, None), (130, 5), (400, None),
     *(pytest.param(*case, marks=pytest.mark.long) for case in [(1, 5), (30, None), (30, 5), (130, None), (400, 5)])],
)  # fmt: skip
def test_rows_that_stand_twice_are_on_one_side_of_every_cut(tmp_path: Path, copies: int, folds: int | None) -> None:
    copied(tmp_path, copies)
    study = data.load("t.csv", target="left", base=tmp_path, folds=folds)
    note = f"{2 * copies} of {400 + copies} rows occur more than once, with the same features and the same target"
    assert f"{note}; equal rows stay together in every split." in study.notes
    plain = data.load("sklearn:wine")
    assert not any("more than once" in note for note in plain.notes)
    for made in every_split(study):
        assert len({(len(fold.train), len(fold.validation)) for fold in made.folds}) == 1
        for fold in made.folds:
            raw = [fold.preprocessor.transformer_.named_transformers_["number"][-1].inverse_transform(part.x[:, :1])
                   for part in (fold.train, fold.validation, fold.test)]  # fmt: skip
            values = [set(np.round(part[:, 0], 1).tolist()) for part in raw]
            assert len(set().union(*values)) == sum(map(len, values))


def test_a_cut_that_takes_no_equal_rows_apart_stays_as_it_was() -> None:
    labels = Labels("binary", np.repeat([0, 1], 50), tuple("ab"), tuple("ab"))
    (plain,) = splits.cut(labels, test=0.2, validation=0.2, seed=0, where="here")
    units = np.arange(100)
    units[plain.test[1]] = units[plain.test[0]]
    (same,) = splits.cut(labels, Layout(units=units), test=0.2, validation=0.2, seed=0, where="here")
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(same, part), getattr(plain, part))
    units[plain.train[-1]] = units[plain.test[0]]
    (moved,) = splits.cut(labels, Layout(units=units), test=0.2, validation=0.2, seed=0, where="here")
    assert len({part for part in ("train", "validation", "test") if plain.test[0] in getattr(moved, part)}) == 1
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(
            np.bincount(labels.y[getattr(moved, part)]), np.bincount(labels.y[getattr(plain, part)])
        )


def test_tables_of_few_categories_are_cut_row_by_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": RNG.choice(list("xyz"), N), "b": RNG.choice(list("uv"), N), "left": LABELS["binary"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    study = data.load("t.csv", target="left", base=tmp_path)
    assert any("600 of 600 rows occur more than once" in note and "not kept together" in note for note in study.notes)
    assert [len(part) for part in (study.train, study.validation, study.test)] == [384, 96, 120]


def test_the_layout_tells_copies_from_rows_of_few_categories() -> None:
    """Both have about a third of their rows twice; only equal features with other labels tell the two apart."""
    rng = np.random.default_rng(0)
    few, y = pd.DataFrame(rng.integers(0, 4, (500, 5))).add_prefix("c"), rng.integers(0, 2, 500)
    copies = pd.DataFrame({"c": np.r_[np.arange(400), np.arange(100)]})
    for x, labels, is_kept in ((few, y, False), (copies, np.r_[y[:400], y[:100]], True)):
        made = layout.of(Raw("here", x, pd.Series(labels)), "here")
        assert (made.units is not None) is is_kept
        assert len(made.notes) == 1


@pytest.mark.parametrize("column", [
    [f"{row:08x}-ab{row * 7 % 31}" for row in range(430)],
    [[row] for row in range(430)],
    [" " * (row % 9) for row in range(430)],
])  # fmt: skip
def test_copies_that_differ_in_columns_that_are_left_out_alone_are_copies(column: list[Any]) -> None:
    distinct = pd.DataFrame({"a": np.arange(400) * 1.5, "y": RNG.integers(0, 2, 400)})
    frame = pd.concat([distinct, distinct.iloc[:30]], ignore_index=True).assign(code=column)
    made = layout.of(Raw("here", frame[["a", "code"]], frame.y), "here")
    assert made.units is not None
    assert made.notes[0].startswith("60 of 430 rows occur more than once")
    given = {"words": frame[["a"]], "codes": frame[["code"]]}
    assert layout.of(Raw("here", given, frame.y), "here").notes == made.notes


def test_free_text_tells_rows_apart() -> None:
    words = RNG.choice(list("abcdefghij"), (100, 6, 4))
    texts = [" ".join("".join(word) for word in row) for row in words]
    assert layout.of(Raw("here", pd.DataFrame({"note": texts}), pd.Series(np.arange(100) % 2)), "here").notes == []


def test_copies_of_images_are_found(tmp_path: Path) -> None:
    x = RNG.random((100, 4, 4, 1)).astype(np.float32)
    np.savez(
        tmp_path / "a.npz", x=np.concatenate([x, x[:20]]), y=np.concatenate([np.arange(100) % 2, np.arange(20) % 2])
    )
    assert any("40 of 120 rows occur more than once" in note for note in data.load("a.npz", base=tmp_path).notes)


def test_a_study_that_was_begun_with_equal_rows_apart_goes_on_so(tmp_path: Path) -> None:
    copied(tmp_path, 130)
    study, apart = (data.load("t.csv", target="left", base=tmp_path, ties_twins=ties) for ties in (True, False))
    assert study.digest != apart.digest
    spec = studies.from_dict({"name": "s", "data": {"source": "t.csv", "target": "left"}}, base=tmp_path)
    for begun, same in ((apart, apart), (study, study)):
        loaded, notes = study_data.load_data(spec, {"data": {"digest": begun.digest}})
        assert loaded.digest == begun.digest
        np.testing.assert_array_equal(loaded.train.x, same.train.x)
        assert (study_data.APART in notes) is (begun is apart)
    assert study_data.load_data(spec)[0].digest == study.digest
    assert study_data.load_data(spec, {"data": {"digest": "another"}})[0].digest == study.digest


# ------------------------------------------------------------------ parts that are given


def parted(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"at": np.arange(n), "plan": rng.choice(["a", "b"], n), "left": rng.choice(["no", "yes"], n)})
    return frame.assign(part=np.repeat(["train", "validation", "test"], [120, 50, 30]))


@pytest.mark.parametrize("words", [
    ("train", "validation", "test"), ("TRAIN", " Val ", "Test"), ("training", "dev", "holdout"),
    ("trn", "valid", "tst"),
])  # fmt: skip
def test_a_column_says_which_part_a_row_is_in(tmp_path: Path, words: tuple[str, ...]) -> None:
    frame = parted().sample(frac=1, random_state=0)
    frame["part"] = frame.part.map(dict(zip(("train", "validation", "test"), words, strict=True)))
    frame.to_csv(tmp_path / "t.csv", index=False)
    study = data.load("t.csv", target="left", split="part", base=tmp_path)
    assert study.features == ("at", "plan")
    assert "part: 120 train, 50 validation, 30 test rows. The column is no feature." in study.notes
    assert [len(part) for part in (study.train, study.validation, study.test)] == [120, 50, 30]
    fresh = study.resampled(range(3))
    assert all(np.array_equal(fold.test.y, study.test.y) for fold in fresh.folds)
    with pytest.raises(InputError, match="folds: folds are cut from training and validation rows"):
        data.load("t.csv", target="left", split="part", base=tmp_path, folds=3)


def test_what_the_column_does_not_give_is_cut_off_the_training_rows(tmp_path: Path) -> None:
    frame = parted()
    for other, expected in (("test", [136, 34, 30]), ("validation", [110, 50, 40])):
        frame.assign(part=np.where(frame.part == other, other, "train")).to_csv(tmp_path / "t.csv", index=False)
        study = data.load("t.csv", target="left", split="part", base=tmp_path)
        assert [len(part) for part in (study.train, study.validation, study.test)] == expected
    assert [len(fold.validation) for fold in data.load(
        "t.csv", target="left", split="part", base=tmp_path, test=0.5, validation=0.2).folds] == [50]  # fmt: skip


@pytest.mark.parametrize("key", ["test", "validation"])
def test_a_share_beside_rows_that_are_given_is_refused_or_noted(tmp_path: Path, key: str) -> None:
    frame = parted()
    part, x = frame.part.to_numpy(), np.arange(len(frame), dtype=np.float32).reshape(-1, 1)
    frame.to_csv(tmp_path / "t.csv", index=False)
    arrays = {name: values for word in ("train", key) for name, values in
              {f"x_{word}": x[part == word], f"y_{word}": np.arange((part == word).sum()) % 2}.items()}  # fmt: skip
    np.savez(tmp_path / "a.npz", **arrays)

    def told(**section: Any) -> list[str]:
        spec = studies.from_dict({"data": section}, base=tmp_path)
        return study_data.unused_shares(spec, study_data.load_data(spec)[0].rows.layout)

    table = {"source": "t.csv", "target": "left", "split": "part"}
    assert told(**table) == told(source="a.npz") == []
    with pytest.raises(InputError, match=f"data.{key}: 0.2 is a share of the rows, and the column 'part' gives {key}"):
        told(**table, **{key: 0.2})
    for source, giver in ((table, "the column 'part'"), ({"source": "a.npz"}, "the source")) if key == "test" else ():
        with pytest.raises(InputError, match=f"data.test: 0 leaves no test rows, and {giver} gives test rows"):
            told(**source, test=0)
    assert told(source="a.npz", **{key: 0.3}) == [f"data.{key} = 0.3 is not used: the source gives {key} rows."]
    frame.assign(part=np.where(part == key, "train", part)).to_csv(tmp_path / "t.csv", index=False)
    assert told(**table, **{key: 0.2}) == []


def test_files_of_test_and_validation_rows(tmp_path: Path) -> None:
    frame = parted().assign(zip=lambda t: [f"{9 + i % 90:05d}" for i in t["at"]])
    parts = {name: part.drop(columns="part") for name, part in frame.groupby("part")}
    parts["train"].to_csv(tmp_path / "train.csv", index=False)
    parts["validation"].to_csv(tmp_path / "valid.csv", index=False, sep=";")
    parts["test"][["left", "zip", "at", "plan"]].to_parquet(tmp_path / "test.parquet")
    study = data.load("train.csv", target="left", base=tmp_path, validation="valid.csv", test="test.parquet")
    assert [len(part) for part in (study.train, study.validation, study.test)] == [120, 50, 30]
    assert {"Validation rows: valid.csv.", "Test rows: test.parquet."} <= set(study.notes)
    np.testing.assert_array_equal(study.test.y, (parts["test"].left == "yes").to_numpy().astype(int))
    whole = frame.assign(part=frame.part).copy()
    whole.to_parquet(tmp_path / "t.parquet")
    same = data.load("t.parquet", target="left", base=tmp_path, split="part")
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(study, part).x, getattr(same, part).x)
    parts["test"].drop(columns="plan").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(DataError, match=r"other\.csv: training and test rows have different columns: only one of them "
                                        "has plan"):  # fmt: skip
        data.load("train.csv", target="left", base=tmp_path, test="other.csv")
    with pytest.raises(DataError, match=r"mine\.py:f: is no file that test or validation rows can be read from"):
        data.load("train.csv", target="left", base=tmp_path, test="mine.py:f")


@pytest.mark.parametrize("file", ["test", "validation"])
def test_the_digest_knows_which_rows_a_file_holds(tmp_path: Path, file: str) -> None:
    frame, digests = parted().drop(columns="part"), set()
    for rows in (150, 160):
        frame.iloc[:rows].to_csv(tmp_path / "train.csv", index=False)
        frame.iloc[rows:].to_csv(tmp_path / "other.csv", index=False)
        digests.add(data.load("train.csv", target="left", base=tmp_path, **{file: "other.csv"}).digest)
    assert len(digests) == 2


def test_notes_on_a_further_file_are_told(tmp_path: Path) -> None:
    frame = parted().drop(columns="part")
    frame.iloc[:150].to_csv(tmp_path / "train.csv", index=False)
    frame.iloc[150:].to_csv(tmp_path / "other.csv", index=False, sep=";")
    alone = data.load("other.csv", target="left", base=tmp_path).loaded
    assert alone is not None
    told = [note for note in alone.raw.notes if "identifiers" not in note and "numbers of the rows" not in note]
    assert told
    study = data.load("train.csv", target="left", base=tmp_path, test="other.csv")
    assert {f"other.csv: {note}" for note in told} <= set(study.notes)


def test_a_function_or_an_archive_gives_all_three_parts(tmp_path: Path) -> None:
    frame = parted()
    frame.to_pickle(tmp_path / "frame")
    (tmp_path / "mine.py").write_text(
        f"import pandas as pd\nt = pd.read_pickle({str(tmp_path / 'frame')!r})\n"
        "p = [t[t.part == name] for name in ('train', 'validation', 'test')]\n"
        "def triple():\n    return tuple((q[['at']], q.left) for q in p)\n"
        "def tables():\n    return dict(zip(('train', 'valid', 'test'), (q[['at', 'left']] for q in p)))\n"
        "def names():\n    return {f'{k}_{w}': v for w, q in zip(('train', 'val', 'test'), p)\n"
        "            for k, v in (('x', q[['at']]), ('y', q.left), ('who', q['at'] // 10))}\n"
    )
    numeric = (frame.left == "yes").astype(int).to_numpy()
    cuts = np.split(np.arange(200), [120, 170])
    np.savez(tmp_path / "a.npz", **{f"{k}_{w}": v[rows] for w, rows in zip(("train", "dev", "test"), cuts, strict=True)
                                    for k, v in (("x", np.arange(200.0)[:, None]), ("y", numeric))})  # fmt: skip
    for source, keys in (("mine.py:triple", {}), ("mine.py:tables", {"target": "left"}), ("a.npz", {}),
                         ("mine.py:names", {"group": "who"})):  # fmt: skip
        study = data.load(source, base=tmp_path, preprocess="none", **keys)
        for part, rows in zip((study.train, study.validation, study.test), cuts, strict=True):
            np.testing.assert_array_equal(numbers(part), rows)


def test_given_parts_do_not_take_a_group_apart(tmp_path: Path) -> None:
    frame = parted().assign(customer=lambda t: t["at"] // 50)
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"2 groups of 'customer' have rows in more than one of the given parts, the "
                                        "first is 2. Put each group into one part"):  # fmt: skip
        data.load("t.csv", target="left", base=tmp_path, split="part", group="customer")
    frame.assign(customer=np.r_[np.arange(199), 0]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match="1 group of 'customer' has rows in more than one of the given parts"):
        data.load("t.csv", target="left", base=tmp_path, split="part", group="customer")


def test_rows_that_given_parts_have_twice_are_counted(tmp_path: Path) -> None:
    frame = parted()
    frame.loc[[199, 150], ["at", "plan", "left"]] = frame.loc[[0, 0], ["at", "plan", "left"]].to_numpy()
    frame.to_csv(tmp_path / "t.csv", index=False)
    study = data.load("t.csv", target="left", base=tmp_path, split="part")
    assert any("3 of 200 rows occur more than once" in note and "except 3 of them, which the given parts" in note
               for note in study.notes)  # fmt: skip
    assert len(study.test) == 30
