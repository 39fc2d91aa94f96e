"""Digests of the user's functions: what these compute with, and not what they change as they run."""

from __future__ import annotations

import pytest

from lossreg.runtime import digests


def counting():
    class Counter:
        made, most = 0, 3

        def count(self):
            Counter.made += 1

    return Counter, lambda: lambda: Counter().count()


def test_what_a_function_counts_as_it_runs_is_no_change():
    counter, make = counting()
    count = make()
    before = digests.digest(count)
    for _ in range(2):
        with digests.running([count]):
            count()
            assert digests.digest(count) == before
        assert digests.digest(count) == before
    # a function of the same code, such as a lambda in a cell that is run again
    assert digests.digest(make()) == before
    counter.most = 5
    assert digests.digest(count) != before


def test_a_run_that_fails_leaves_the_digest_too():
    count = counting()[1]()
    before = digests.digest(count)
    with pytest.raises(ZeroDivisionError), digests.running([count, (n for n in ())]):
        _ = count(), 1 / 0
    assert digests.digest(count) == before
