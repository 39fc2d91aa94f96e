"""The tallies of trials that are counted once, against counting all of them each time."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from optuna.trial import TrialState, create_trial

from lossreg.storage import trials as states
from lossreg.storage.tally import Tallies, excess
from lossreg.storage.trial_record import Outcome
from lossreg.storage.trials import ATTRIBUTE, BEYOND, CUT_OFF, FIXED, LOST, RETRY_OF, START, TWICE

OPEN = (TrialState.RUNNING, TrialState.WAITING)


def trial(number, state, **attributes):
    names = {"start": START, "retry_of": RETRY_OF, "lost": LOST}
    user = {names[name]: value for name, value in attributes.items() if name in names}
    if attributes.get("failed"):
        user[ATTRIBUTE] = {"state": Outcome.FAILED}
    fixed = {FIXED: {"loss": attributes["loss"]}} if "loss" in attributes else {}
    made = create_trial(
        state=state, value=0.5 if state == TrialState.COMPLETE else None, user_attrs=user, system_attrs=fixed
    )
    made.number = number
    return made


def anything(draw, number, state=None):
    """A trial in any state that trials of several workers have."""
    state = state or draw.choice(list(TrialState))
    attributes = {"loss": draw.choice("abc")} if draw.random() < 0.8 else {}
    if draw.random() < 0.3:
        attributes[draw.choice(["start", "retry_of"])] = draw.randrange(4)
    if state == TrialState.FAIL:
        attributes |= draw.choice([{"failed": True}, {"lost": CUT_OFF}, {"lost": BEYOND}])
    return trial(number, state, **attributes)


@pytest.mark.parametrize("seed", range(20))
def test_what_was_counted_before_is_not_counted_anew_and_comes_out_alike(seed):
    draw, tallies = random.Random(seed), Tallies()
    trials = []
    for _ in range(6):
        # those that had not ended go on, and new ones come
        trials = [anything(draw, t.number) if t.state in OPEN else t for t in trials]
        trials += [anything(draw, number) for number in range(len(trials), len(trials) + draw.randrange(8))]
        tallies.read(trials)
        for number in [None, *(t.number for t in trials if t.state in OPEN)]:
            below, tally = trials[:number], tallies.below(number)
            placed = [t for t in below if states.has_place(t)]
            assert (tally.placed, tally.ended) == (len(placed), sum(map(states.has_outcome, below)))
            losses = [t.system_attrs.get(FIXED, {}).get("loss", "") for t in placed]
            assert +tally.asked == Counter(losses)
            tried = [name for name, t in zip(losses, placed, strict=True) if not states.has_failed(t)]
            assert +tally.tried == Counter(tried)


def test_a_trial_beyond_the_budget_or_there_twice_is_one_too_many():
    tallies, running = Tallies(), TrialState.RUNNING
    trials = [
        trial(0, TrialState.COMPLETE, start=0),
        trial(1, TrialState.FAIL, lost=CUT_OFF),
        trial(2, TrialState.FAIL, lost=BEYOND, start=1),
        trial(3, running, retry_of=1),
        trial(4, running, retry_of=1),
        trial(5, running, start=0),
        trial(6, running, start=1),
        trial(7, running),
    ]
    tallies.read(trials)
    # two have a place below trial 3: the first, and the one that was cut off
    assert [excess(tallies.below(t.number), t, 4) for t in trials[3:]] == ["", TWICE, TWICE, "", BEYOND]
    assert excess(tallies.below(7), trials[7], 5) == ""
