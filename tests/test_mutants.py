"""The conformance suite against wrong losses, which it must find, and right ones, which it must let pass."""

import mutants
import pytest
import sound

from lossreg.conformance import CHECKS, Suite

MUTANTS = {mutant.name: mutant for mutant in mutants.MUTANTS}
SOUND = {spec.name: spec for spec in sound.SOUND}
# tenths of a second each; on wrong losses all of them run in `make test-all`
SLOW = {"descent", "finite", "fuzz", "gradient", "graph", "lanes", "minimum", "optimum", "precision", "saving"}


def failed(spec, checks, golden=None):
    """What the checks that fail have found, by their names."""
    suite = Suite(spec, golden)
    results = [suite.run(name) for name in CHECKS if name in checks]
    return {result.name: result.message for result in results if not result.ok}


def judge(mutant, checks):
    found = failed(mutant.spec, {mutant.caught_by, *checks}, mutant.golden)
    assert mutant.caught_by in found
    assert not {check: found[check] for check in found if check not in {mutant.caught_by, *mutant.also}}


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_loss_is_found_by_the_named_check_and_by_no_quick_other(name):
    judge(MUTANTS[name], set(CHECKS) - SLOW)


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_loss_is_found_by_the_named_check_and_by_no_other(name):
    judge(MUTANTS[name], CHECKS)


@pytest.mark.parametrize("name", SOUND)
def test_right_loss_passes_every_check(name):
    assert failed(SOUND[name], CHECKS) == {}


def test_names_are_checks_and_mutants_are_many():
    named = {check for mutant in MUTANTS.values() for check in (mutant.caught_by, *mutant.also)}
    assert named <= set(CHECKS)
    assert len(MUTANTS) == len(mutants.MUTANTS) >= 60
    assert len(SOUND) == len(sound.SOUND) >= 20
