"""Made-up verdicts on the study of `sample_study`: focal(gamma=2.1) against cross_entropy."""

from __future__ import annotations

from dataclasses import replace

import sample_study as sample

from lossreg.storage.study_result import StudyResult
from lossreg.storage.verdict import Answer, Arm, Cause, Comparison, Verdict


def arm(trial, score=None) -> Arm:
    return Arm(trial.candidate, trial.number, trial.recipe, trial.learning_rate, dict(trial.params), score)


def compared(difference, half, **changes) -> Comparison:
    """A comparison with an interval of that half-width."""
    values = {"share_won": 0.7, "detectable": 0.023, "repeats": 20, **changes}
    return Comparison(difference, difference - half, difference + half, **values)


SHOWN = compared(0.031, 0.019, share_won=0.95)
UNDECIDED = compared(0.012, 0.016)
# answer, the winner against the baseline, what else the verdict has
CASES = {
    "better, because of the loss": (
        Answer.BETTER, SHOWN, {"cause": Cause.LOSS, "against_same_rate": compared(0.025, 0.019)},
    ),
    "better, at the same rate": (Answer.BETTER, SHOWN, {"cause": Cause.LOSS}),
    "better, perhaps by its rate": (
        Answer.BETTER, SHOWN, {"cause": Cause.LOSS_OR_RATE, "against_same_rate": compared(0.01, 0.018)},
    ),
    "better, cause not compared": (Answer.BETTER, SHOWN, {"cause": Cause.LOSS_OR_RATE}),
    "better by less than the margin": (Answer.BETTER, compared(0.01, 0.008), {"cause": Cause.LOSS, "margin": 0.015}),
    "no difference, ahead": (Answer.NO_DIFFERENCE, UNDECIDED, {}),
    "no difference, behind": (Answer.NO_DIFFERENCE, compared(-0.004, 0.016, share_won=0.3), {}),
    "no difference at all": (Answer.NO_DIFFERENCE, compared(0.0, 0.0, share_won=0.5, detectable=0.0), {}),
    "equal": (Answer.EQUAL, compared(0.001, 0.003, share_won=0.55), {"margin": 0.005}),
    "worse": (Answer.WORSE, compared(-0.031, 0.019, share_won=0.05), {}),
    "not enough data": (
        Answer.NOT_ENOUGH_DATA, None,
        {"reason": "80 rows, and a verdict needs at least 100", "repeats": 0, "openings": 0},
    ),
}  # fmt: skip


def study(name: str, direction: str = "maximize", metric: str = "f1_macro", **changes) -> StudyResult:
    """A study with the verdict of that name; `changes` are of the verdict."""
    answer, main, facts = CASES[name]
    trials = [sample.trial(0, "cross_entropy"), sample.trial(1, "focal", loss_params={"gamma": 2.1, "alpha": None})]
    losses = {name: loss for name, loss in sample.LOSSES.items() if name in ("cross_entropy", "focal")}
    result = sample.study(0, trials=trials, losses=losses, direction=direction, metric=metric)
    baseline, winner = map(arm, trials)
    is_ahead = main is not None and main.difference > facts.get("margin", 0.0)
    verdict = Verdict(
        answer, winner, baseline, winner if is_ahead else baseline, against_baseline=main,
        **{"repeats": 20, "test_rows": 500, "openings": 1, **facts},
    )  # fmt: skip
    result.verdict = replace(verdict, **changes)
    return result
