"""Paired tests of several losses against the first, against SciPy and Holm's procedure step by step."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lossreg.verdict.noise import p_values

FIRST = np.array([0.91, 0.93, 0.90, 0.94, 0.92])
OTHERS = {f"loss {i}": FIRST - 0.004 * i + np.random.default_rng(i).normal(0, 0.004, 5) for i in range(8)}


def rejected(level: float) -> set[str]:
    """The losses that Holm's procedure finds to be worse."""
    tests = {name: stats.ttest_rel(FIRST, scores, alternative="greater").pvalue for name, scores in OTHERS.items()}
    worse: set[str] = set()
    for name in sorted(tests, key=tests.__getitem__):
        if tests[name] > level / (len(tests) - len(worse)):
            break
        worse.add(name)
    return worse


@pytest.mark.parametrize("level", [0.001, 0.01, 0.05, 0.1, 0.3])
def test_a_loss_is_worse_at_a_level_where_holms_procedure_says_so(level: float) -> None:
    assert {name for name, p in p_values(FIRST, OTHERS).items() if p <= level} == rejected(level)


def test_the_levels_tell_the_losses_apart() -> None:
    assert 0 < len(rejected(0.01)) < len(rejected(0.3)) < len(OTHERS)


def test_one_other_has_the_value_of_the_plain_test() -> None:
    expected = stats.ttest_rel(FIRST, OTHERS["loss 3"], alternative="greater").pvalue
    assert p_values(FIRST, {"one": OTHERS["loss 3"]}) == {"one": pytest.approx(expected)}


def test_equal_scores_are_as_good_and_a_constant_deficit_is_worse() -> None:
    assert p_values([2.0, 1.0], {"same": [2.0, 1.0], "less": [1.0, 0.0], "more": [3.0, 2.0]}) == {
        "same": 1.0, "less": 0.0, "more": 1.0,
    }  # fmt: skip
    assert p_values(FIRST, {}) == {}
