"""Free text: which columns are, and what becomes of them, beside scikit-learn's parts put together outside."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lossreg.contract.data_options import Options
from lossreg.data import loading
from lossreg.data.preprocess import Columns, TablePreprocessor
from lossreg.data.preprocessor_file import dumps, load_preprocessor, save_preprocessor
from lossreg.data.readings import Readings
from lossreg.errors import DataError, InputError

N = 200
WORDS = ("red", "green", "blue", "large", "small", "broken", "lovely", "noisy", "kitchen", "garden", "cable", "hammer")


def reviews(rows: int = N, words: int = 12, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, words)) + f" {i}" for i in range(rows)]


def titles(rows: int = N) -> list[str]:
    rng = np.random.default_rng(1)
    return [f"{rng.choice(['Senior', 'Junior'])} {rng.choice(['Engineer', 'Nurse'])} unit {i}" for i in range(rows)]


def of(values: Any, name: str = "note") -> pd.DataFrame:
    return pd.DataFrame({name: values})


def outside(fitted: list[str], new: list[str], **how: Any) -> np.ndarray[Any, Any]:
    """Return texts projected on the exact singular vectors of the fitted ones, standardised; signs are arbitrary."""
    counter = TfidfVectorizer(max_features=2000, **how)
    weighed = counter.fit_transform(fitted).toarray()
    directions = np.linalg.svd(weighed, full_matrices=False)[2][:30]
    projected = weighed @ directions.T
    scaled = (counter.transform(new) @ directions.T - projected.mean(axis=0)) / projected.std(axis=0)
    return np.pad(scaled, ((0, 0), (0, 30 - scaled.shape[1])))


@pytest.mark.parametrize(
    ("values", "how"),
    [(reviews(words=40), {}), (titles(), {"analyzer": "char_wb", "ngram_range": (3, 4)})],
    ids=["words of long texts", "parts of words of short ones"],
)
def test_text_is_encoded_as_by_exact_latent_semantic_analysis(values: list[str], how: dict[str, Any]) -> None:
    new = ["broken garden", "Sr. Engineer, unit 7", *values[:5]]
    array = TablePreprocessor().fit(of(values)).transform(of(new))
    expected = outside(values, new, **how)
    assert array.shape == (7, 30)
    exact = 8  # further directions are nearly alike in these texts, and the randomised method does not tell them apart
    np.testing.assert_allclose(np.abs(array[:, :exact]), np.abs(expected[:, :exact]), atol=2e-2)


def test_few_terms_leave_the_same_number_of_columns() -> None:
    values = [f"{a} {b} {c}" for a in "ab" for b in ("red", "blue", "green") for c in ("sea", "sky")] * 6
    texts = [f"{text} {'x' * i}" for i, text in enumerate(values, 3)]
    array = TablePreprocessor().fit(of(texts)).transform(of(texts))
    assert array.shape == (72, 30)
    assert np.isfinite(array).all()
    assert np.abs(array).max() < 20


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (reviews(), "text"),
        (titles(), "text"),
        ([None if i % 3 == 0 else text for i, text in enumerate(reviews())], "text"),
        ([f"{text}\n\"{text}\"" for text in titles()], "text"),
        (["red cable", "blue cable", "green cable"] * 60, "category"),
        ([f"A{i:04d}-{i * 7919 % 1000}" for i in range(N)], "id"),
        ([f"{uuid.UUID(int=i * 2**100 + 7**40)}" for i in range(1, N)], "id"),
        ([f"SW{i}A {i % 9}AB" for i in range(N)], "id"),
        ([f"{what}的产品，{'很' * (i % 7)}喜欢" + "这个" * i for i, what in enumerate(["很好", "一般"] * 100)], "text"),
        ([f"{first}, Mrs. {i}" for i, first in enumerate(["Müller", "O'Brien", "Ng", "Roe"] * 50)], "text"),
        ([f"Order number {i}" for i in range(N)], "id"),
        ([f"id {i}" for i in range(N)], "id"),
        ([f"{i} {i + 1}" for i in range(N)], "id"),
        ([f"red cable {i}" for i in range(32)], "category"),
        ([f"number{i % 120}" for i in range(N)], "category"),
    ],
)  # fmt: skip
def test_text_is_free_where_it_mostly_differs_and_has_several_words(values: list[Any], kind: str) -> None:
    columns = Columns.of(of(values).assign(other=range(len(values))))
    assert columns.groups.keys() == {kind, "number"}


def written(tmp_path: Path, values: Any) -> Path:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"note": values, "x": rng.normal(size=len(values)), "y": rng.integers(0, 2, len(values))})
    table.to_csv(tmp_path / "notes.csv", index=False)
    return tmp_path / "notes.csv"


def test_a_study_reads_text_and_says_so(tmp_path: Path) -> None:
    data = loading.load(written(tmp_path, reviews()), target="y")
    assert data.input_shape == (31,)
    assert "'note': free text, read as 30 columns made of its words or parts of words." in data.notes


def test_folds_have_the_same_columns_and_terms_of_their_own_training_rows(tmp_path: Path) -> None:
    """Words that only one part of the rows has are terms in the folds which train on it."""
    values = [f"{text} only{i % 5} only{i % 5}" for i, text in enumerate(reviews())]
    data = loading.load(written(tmp_path, values), target="y", folds=3)
    names = [fold.preprocessor.get_feature_names_out().tolist() for fold in data.folds]
    assert names[0] == names[1] == names[2]
    assert {fold.train.x.shape[1] for fold in data.folds} == {31}
    for fold in data.folds:
        np.testing.assert_allclose(fold.train.x[:, :30].mean(axis=0), 0, atol=1e-4)


def test_other_rows_than_those_of_training_change_nothing(tmp_path: Path) -> None:
    values = reviews()
    one = loading.load(written(tmp_path, values), target="y")
    held_out = np.setdiff1d(np.arange(N), _training_rows(one, values))
    changed = [f"{text} unheard-of things" if i in set(held_out) else text for i, text in enumerate(values)]
    other = loading.load(written(tmp_path, changed), target="y")
    np.testing.assert_array_equal(other.train.x, one.train.x)


def _training_rows(data: Any, values: list[str]) -> list[int]:
    encoded = data.preprocessor.transform(data.rows.raw.x)
    trained = {row.tobytes() for row in data.train.x}
    return [i for i in range(len(values)) if encoded[i].tobytes() in trained]


def test_new_rows_of_unknown_words_numbers_or_nothing_are_alike() -> None:
    fitted = TablePreprocessor().fit(of(reviews()))
    array = fitted.transform(of([None, "", "zzz qqq", float("nan")]))
    assert np.isfinite(array).all()
    np.testing.assert_array_equal(array, array[:1].repeat(4, axis=0))
    assert not np.allclose(fitted.transform(of(["red red kitchen"])), array[:1])


def test_what_is_stored_encodes_as_before(tmp_path: Path) -> None:
    table = of(reviews()).assign(title=titles(), x=range(N))
    fitted = TablePreprocessor().fit(table)
    save_preprocessor(fitted, tmp_path / "p.json")
    again = load_preprocessor(tmp_path / "p.json")
    new = table.assign(note="a broken, noisy hammer", title=None)
    for rows in (table, new, table[:0]):
        np.testing.assert_array_equal(again.transform(rows), fitted.transform(rows))


def test_what_is_stored_is_bounded() -> None:
    rng = np.random.default_rng(3)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    values = [" ".join("".join(rng.choice(letters, 7)) for _ in range(30)) for _ in range(500)]
    assert len(dumps(TablePreprocessor().fit(of(values)))) < 600_000


@pytest.mark.parametrize("damage", [{"directions": "AAAA"}, {"directions": "?"}, {"rarity": [1.0]}, {"terms": []}])
def test_a_damaged_encoding_is_refused(tmp_path: Path, damage: dict[str, Any]) -> None:
    document = json.loads(dumps(TablePreprocessor().fit(of(reviews()))))
    document["parts"][""]["fitted"]["steps"][0].update(damage)
    (tmp_path / "p.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="no preprocessor of lossreg, or damaged"):
        load_preprocessor(tmp_path / "p.json")


def test_a_fold_without_any_text_has_columns_of_zeros() -> None:
    columns = Columns.of(of(reviews()).assign(x=range(N)))
    fitted = TablePreprocessor().fit(of([None] * N).assign(x=range(N)), columns=columns)
    assert not fitted.transform(of(reviews()).assign(x=0))[:, :30].any()


@pytest.mark.parametrize("values", [[f"number{i % 9}" for i in range(N)], list(range(N)), [f"A{i}" for i in range(N)]])
def test_a_study_may_say_that_a_column_is_text(tmp_path: Path, values: list[Any]) -> None:
    options = Options(columns={"note": "text"})
    data = loading.load(written(tmp_path, values), target="y", options=options, folds=2)
    assert [fold.input_shape for fold in data.folds] == [(31,), (31,)]
    save_preprocessor(data.preprocessor, tmp_path / "p.json")
    again = load_preprocessor(tmp_path / "p.json")
    raw = data.rows.raw.x
    np.testing.assert_array_equal(again.transform(raw), data.preprocessor.transform(raw))


def test_a_column_of_lists_is_no_text() -> None:
    with pytest.raises(DataError, match="is to be a text, and holds lists"):
        Readings.of(of([["a"]] * N), Options(columns={"note": "text"}))
