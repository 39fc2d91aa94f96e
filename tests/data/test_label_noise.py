"""Label noise: a share of the labels of development rows, flipped once; test rows keep theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.data.splits import Part
from lossreg.errors import DataError, InputError

N, CLASSES = 300, 4
Y = np.arange(N) % CLASSES


def loaded(folder: Path, y: np.ndarray = Y, **how: Any) -> data.Dataset:
    """Return rows that bear their number, so that each is known again."""
    x = np.column_stack([np.arange(len(y)), np.arange(len(y)) ** 2]).astype(np.float32)
    np.savez(folder / "a.npz", x=x, y=y)
    return data.load("a.npz", base=folder, preprocess="none", **how)


def by_number(*parts: data.Split) -> dict[int, int]:
    """Return the label of each row by its number."""
    return {
        number: label
        for part in parts
        for number, label in zip(part.x[:, 0].astype(int).tolist(), part.y.tolist(), strict=True)
    }


@pytest.mark.parametrize("share", [0.1, 0.4, 0.75])
@pytest.mark.parametrize("cut", [{}, {"folds": 4}, {"test": 0}])
def test_a_share_of_development_labels_is_of_another_class(tmp_path: Path, share: float, cut: dict[str, Any]) -> None:
    study, clean = (loaded(tmp_path, noise=noise, seed=3, **cut) for noise in (share, 0.0))
    seen = by_number(study.train, study.validation)
    wrong = [number for number, label in seen.items() if label != Y[number]]
    assert len(wrong) == round(share * len(seen))
    assert all(label == Y[number] for number, label in by_number(study.test).items())
    assert set(range(CLASSES)) == {(seen[number] - Y[number]) % CLASSES for number in wrong} | {0}
    for part in ("train", "validation", "test"):  # the rows are cut as without
        np.testing.assert_array_equal(getattr(study, part).x, getattr(clean, part).x)
    assert study.summary()["noise"] == {"share": share, "flipped": len(wrong), "rows": len(seen)}
    assert f"{len(wrong)} of {len(seen)} labels" in " ".join(study.notes)
    assert "noise" not in clean.summary()


def test_a_row_has_the_same_label_in_every_cut(tmp_path: Path) -> None:
    study = loaded(tmp_path, noise=0.4, folds=3)
    seen = {number: label for fold in study.folds for number, label in by_number(fold.train, fold.validation).items()}
    for fold in study.resampled(range(6)).folds:
        assert by_number(fold.train, fold.validation).items() <= seen.items()
        assert all(label == Y[number] for number, label in by_number(fold.test).items())
        counts = np.bincount(fold.train.y, minlength=CLASSES)
        np.testing.assert_allclose(fold.constants.class_counts, counts)


def test_outer_folds_are_trained_on_wrong_labels_and_tested_on_right_ones(tmp_path: Path) -> None:
    study = loaded(tmp_path, noise=0.4)
    parts: tuple[Part, ...] = study.rows.outer(5, 0)
    tested, trained = dict[int, int](), dict[int, int]()
    for part in parts:
        fold = study.resampled([7], parts=[part])
        tested |= by_number(fold.test)
        labels = by_number(fold.train, fold.validation)
        assert all(trained.setdefault(number, label) == label for number, label in labels.items())
        assert {number for number in labels if labels[number] != Y[number]}
    assert tested == dict(enumerate(Y.tolist()))
    np.testing.assert_array_equal(study.rows.scored, Y)
    assert by_number(study.train, study.validation).items() <= trained.items()


def test_the_seed_decides_which_labels_are_wrong(tmp_path: Path) -> None:
    first, again, other = (
        by_number((study := loaded(tmp_path, noise=0.3, seed=seed, test=0)).train, study.validation)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert sum(first[number] != other[number] for number in range(N)) > N / 5


def test_class_weights_are_those_of_the_labels_in_training(tmp_path: Path) -> None:
    y = np.where(np.arange(N) % 10 == 0, 1, 0)
    study = loaded(tmp_path, y, noise=0.3, class_weight="balanced", task="binary")
    counts = np.bincount(study.train.y)
    assert counts[1] > 2 * study.train.y.size / 10
    assert study.train.weights is not None
    for label in (0, 1):
        weights = study.train.weights[study.train.y == label]
        np.testing.assert_allclose(weights, study.train.y.size / (2 * counts[label]), rtol=1e-5)


def test_a_note_says_where_the_true_class_is_lost(tmp_path: Path) -> None:
    assert "the true class is as frequent as each of the 3 others." in " ".join(loaded(tmp_path, noise=0.75).notes)
    assert "the true class is rarer than each of the 3 others." in " ".join(loaded(tmp_path, noise=0.9).notes)
    assert "the true class" not in " ".join(loaded(tmp_path, noise=0.7).notes)
    assert "noise = 0.0001 has no effect: it is less than one of " in " ".join(loaded(tmp_path, noise=0.0001).notes)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.linspace(0, 1, N), "regression"),
        (np.arange(N) % 50, "count"),
        (np.stack([Y % 2, Y // 2], axis=1), "multilabel"),
        (np.arange(N * 6).reshape(N, 3, 2) % 2, "segmentation"),
    ],
)
def test_tasks_without_one_class_per_row_are_refused(tmp_path: Path, y: np.ndarray, task: str) -> None:
    with pytest.raises(InputError, match=f"by another one, and rows of a {task} task have no single class") as refusal:
        loaded(tmp_path, y, task=task, noise=0.2)
    assert refusal.value.where == "noise"
    assert "binary and multiclass" in refusal.value.hint


def test_a_class_that_loses_all_its_training_rows_is_named(tmp_path: Path) -> None:
    y, single = np.array([0] * 5 + [1] * 5 + [2]), Options(fewest=1)
    told = []
    for seed in range(100):
        try:
            loaded(tmp_path, y, noise=0.1, seed=seed, test=0, options=single)
        except DataError as error:
            told.append((error.where, error.what))
    # its single row is the one of 11 whose label is wrong
    assert 1 <= len(told) <= 30
    assert set(told) == {("noise", "with noise = 0.1 no training row is of class 2")}
