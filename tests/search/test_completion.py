"""A study is complete when its verdict is reached too."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sample_study
import sample_verdict

from lossreg.config import study as studies
from lossreg.search import completion


def asked(verdict):
    return studies.from_dict({"data": {"source": "sklearn:iris"}, "verdict": verdict})


def is_complete(result, failed=None, **verdict):
    """Tell whether a study is complete; `failed`: with this number of repeats a verdict failed."""
    spec = asked(verdict)
    stored = {completion.KEY: completion.of(spec, result, "")}
    if failed:
        stored[completion.FAILED] = completion.state(asked({"repeats": failed}), result)
    return completion.is_tracked(stored, spec, result, "")


@pytest.mark.parametrize(("repeats", "margin", "complete"), [(20, 0.0, True), (30, 0.0, False), (20, 0.01, False)])
def test_a_verdict_with_fewer_repeats_or_another_margin_is_not_the_one_asked_for(repeats, margin, complete):
    result = sample_verdict.study("no difference, ahead")
    assert is_complete(result, repeats=repeats, margin=margin) is complete


def test_a_verdict_that_was_cut_off_is_left_to_do_and_one_that_failed_is_not():
    result = replace(sample_verdict.study("better, because of the loss"), verdict=None)
    assert not is_complete(result)
    assert is_complete(result, failed=20, repeats=20)
    assert not is_complete(result, failed=20, repeats=30)
    assert is_complete(result, enabled=False)


def test_too_few_data_or_nothing_to_compare_leave_nothing_to_do():
    assert is_complete(sample_verdict.study("not enough data"))
    assert is_complete(sample_study.study(0, trials=[sample_study.trial(0, "cross_entropy")]))
