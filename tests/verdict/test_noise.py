"""Paired tests of several losses against the first, against plain computations and Holm's procedure step by step."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lossreg.verdict.noise import p_values

FIRST = np.array([0.91, 0.93, 0.90, 0.94, 0.92])
OTHERS = {f"loss {i}": FIRST - 0.004 * i + np.random.default_rng(i).normal(0, 0.004, 5) for i in range(8)}
RATIO = 30 / 170
PAGE = Path(__file__).parents[2] / "docs/study/search.md"


def plain(gains: np.ndarray) -> float:
    """The p-value of the corrected resampled t-test, from SciPy's test of independent gains."""
    t = stats.ttest_1samp(gains, 0.0).statistic / np.sqrt(1 + len(gains) * RATIO)
    return float(stats.t.sf(t, len(gains) - 1))


def rejected(level: float) -> set[str]:
    """The losses that Holm's procedure finds to be worse."""
    tests = {name: plain(FIRST - scores) for name, scores in OTHERS.items()}
    worse: set[str] = set()
    for name in sorted(tests, key=tests.__getitem__):
        if tests[name] > level / (len(tests) - len(worse)):
            break
        worse.add(name)
    return worse


@pytest.mark.parametrize("level", [0.001, 0.01, 0.05, 0.1, 0.3])
def test_a_loss_is_worse_at_a_level_where_holms_procedure_says_so(level: float) -> None:
    assert {name for name, p in p_values(FIRST, OTHERS, RATIO).items() if p <= level} == rejected(level)


def test_the_levels_tell_the_losses_apart() -> None:
    assert 0 < len(rejected(0.01)) < len(rejected(0.3)) < len(OTHERS)


def test_one_other_has_the_value_of_the_plain_test() -> None:
    expected = plain(FIRST - OTHERS["loss 3"])
    assert p_values(FIRST, {"one": OTHERS["loss 3"]}, RATIO) == {"one": pytest.approx(expected)}


def test_at_a_ratio_of_zero_it_is_the_usual_test() -> None:
    expected = stats.ttest_rel(FIRST, OTHERS["loss 3"], alternative="greater").pvalue
    assert p_values(FIRST, {"one": OTHERS["loss 3"]}, 0.0) == {"one": pytest.approx(expected)}


def test_an_equal_gain_on_all_splits_counts_by_the_spread_of_the_scores() -> None:
    first, few = np.array([28, 27, 29, 28, 26]) / 30, np.array([20, 19, 21, 20, 18]) / 30
    variance = (1 / 5 + RATIO) * (first.var(ddof=1) + few.var(ddof=1))
    values = p_values(first, {"a row": first - 1 / 30, "eight rows": few}, RATIO)
    assert values["a row"] == pytest.approx(stats.t.sf(1 / 30 / np.sqrt(variance), 4))
    assert values["eight rows"] == pytest.approx(2 * stats.t.sf(8 / 30 / np.sqrt(variance), 4))
    assert values["eight rows"] < 0.01
    assert values["a row"] > 0.1


@pytest.mark.parametrize(("other", "expected"), [(0.7 + 0.2, 1.0), (0.91, 1.0), (0.8, 0.0)])
def test_scores_that_do_not_vary_say_which_is_better(other: float, expected: float) -> None:
    assert p_values([0.9] * 5, {"one": [other] * 5}, RATIO) == {"one": expected}


def test_losses_that_are_equally_good_are_told_apart_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    studies, splits, rows, validation = 4000, 5, 200, 30
    gains_of_rows = rng.normal(size=(studies, 1, rows))
    chosen = np.argsort(rng.random((studies, splits, rows), np.float32), -1)[..., :validation]
    gains = np.take_along_axis(gains_of_rows, chosen, -1).mean(-1)
    values = [p_values(gain, {"one": np.zeros(splits)}, RATIO)["one"] for gain in gains]
    assert 0.04 < np.mean(np.less(values, 0.05)) < 0.06
    assert np.mean(stats.ttest_1samp(gains, 0.0, axis=1, alternative="greater").pvalue < 0.05) > 0.08


def test_equal_scores_are_as_good_and_no_others_have_no_values() -> None:
    assert p_values([2.0, 1.0], {"same": [2.0, 1.0], "more": [3.0, 2.0]}, RATIO) == {"same": 1.0, "more": 1.0}
    assert p_values(FIRST, {}, RATIO) == {}


def deficits() -> list[tuple[int, int, float]]:
    """The numbers of splits and of losses with their deficit, in the table of the page on the search."""
    text = PAGE.read_text(encoding="utf-8")
    head = next(line for line in text.splitlines() if line.startswith("| | 2 losses |"))
    losses = [int(number) for number in re.findall(r"(\d+) losses", head)]
    rows = re.findall(r"^\| `confirm = (\d+)` \| (.*) \|$", text, re.M)
    return [
        (int(splits), number, float(deficit))
        for splits, cells in rows for number, deficit in zip(losses, cells.split(" | "), strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize(("splits", "losses", "deficit"), deficits())
def test_the_documented_deficits_are_those_from_which_on_a_loss_is_worse(splits, losses, deficit):
    gains = np.linspace(-1.0, 1.0, splits)
    error = gains.std(ddof=1) * np.sqrt(1 / splits + RATIO)

    def adjusted(errors: float) -> float:
        others = {str(number): -gains - errors * error for number in range(losses - 1)}
        return losses * max(p_values(np.zeros(splits), others, RATIO).values())

    assert adjusted(deficit + 0.06) < 0.05 < adjusted(deficit - 0.06)
