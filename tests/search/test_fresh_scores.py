"""Trainings on fresh splits are kept in a study's attributes until the study changes."""

from __future__ import annotations

import math

import optuna
import pytest

from lossreg.errors import ReplacedError
from lossreg.search.attributes import CHANGES
from lossreg.search.fresh_scores import FreshScores, Scored
from lossreg.storage.trials import ATTRIBUTE


@pytest.fixture
def study():
    study = optuna.create_study()
    study.set_user_attr(ATTRIBUTE, {})
    return study


def kept(study, turn=lambda: None, version="0.3.0"):
    return FreshScores(study, turn, {"focal": ("lossreg", version)})


def test_what_was_written_in_several_parts_is_read_in_the_order_in_which_it_ended_and_to_the_last_bit(study):
    third = {"": 1 / 3, "recall": 0.1 + 0.2}
    for name, split, scored in [("7", 2, Scored(third)), ("11", 0, Scored({}, "went non-finite"))]:
        one = kept(study)
        one.add(name, split, scored)
        one.write()
    assert list(kept(study).known.items()) == [(("7", 2), Scored(third)), (("11", 0), Scored({}, "went non-finite"))]


def test_what_is_not_finite_is_read_as_nan(study):
    one = kept(study)
    one.add("0", 0, Scored({"": math.inf, "recall": math.nan}))
    one.write()
    assert all(map(math.isnan, kept(study).known["0", 0].values.values()))


def test_what_is_written_is_written_once(study):
    one = kept(study)
    one.add("0", 0, Scored({"": 1.0}))
    assert not kept(study).known
    one.write()
    before = study.user_attrs
    one.write()
    assert study.user_attrs == before
    assert kept(study).known == one.known


def test_another_version_of_a_loss_drops_it(study):
    one = kept(study)
    one.add("0", 0, Scored({"": 1.0}))
    one.write()
    assert not kept(study, version="0.4.0").known


def test_a_change_of_the_study_drops_it_also_where_no_trial_came_in_between(study):
    for changes in ([], [{"trials": 4}], [{"trials": 4}, {"trials": 4}]):
        study.set_user_attr(ATTRIBUTE, {CHANGES: changes})
        one = kept(study)
        assert not one.known
        one.add("0", 0, Scored({"": 1.0}))
        one.write()


def test_nothing_is_written_where_others_do_the_work(study):
    def replaced():
        raise ReplacedError("others do it")

    one = kept(study, replaced)
    one.add("0", 0, Scored({"": 1.0}))
    with pytest.raises(ReplacedError):
        one.write()
    assert not kept(study).known
