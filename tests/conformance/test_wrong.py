"""The conformance suite against wrong losses: each is found by the check that is named, and others stay silent."""

from dataclasses import replace

import numpy as np
import pytest
import wrong

from lossreg.conformance import CHECKS, Suite

MUTANTS = {mutant.name: mutant for mutant in wrong.MUTANTS}


def judge(mutant, checks):
    suite = Suite(mutant.spec, mutant.golden)
    results = [suite.run(name) for name in CHECKS if name in checks or name == mutant.caught_by]
    actual = {result.name: result.message for result in results if not result.ok}
    assert mutant.caught_by in actual
    assert not {name: actual[name] for name in actual if name not in {mutant.caught_by, *mutant.also}}


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_loss_is_found_by_the_named_check(name):
    judge(MUTANTS[name], ())


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_loss_is_found_by_the_named_check_and_by_no_other(name):
    judge(MUTANTS[name], CHECKS)


def test_a_loss_that_broadcasts_samples_against_each_other_takes_little_memory():
    mutant, sizes = MUTANTS["rows_against_columns_averaged"], []

    def recorded(y, z):
        sizes.append(len(y))
        return mutant.spec.function(y, z)

    assert Suite(replace(mutant.spec, function=recorded)).run("optimum").ok
    assert max(sizes) ** 2 * np.dtype("float64").itemsize < 2**28


def test_mutants_are_many_and_what_is_named_are_checks():
    named = {check for mutant in MUTANTS.values() for check in (mutant.caught_by, *mutant.also)}
    assert named <= set(CHECKS)
    assert len(MUTANTS) == len(wrong.MUTANTS) >= 60
