"""The verdict in words and as a line."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import sample_study as sample
import sample_verdict
from sample_verdict import CASES, compared

from lossreg.reporting import interval, report, verdict
from lossreg.storage.constraints import Constraint
from lossreg.storage.verdict import OF_FOLDS, Answer, Kept, KeptBy, Reevaluated, Value
from lossreg.verdict import answers

DIRECTIONS = ["maximize", "minimize"]
THRESHOLD_ALONE = "there is too little data to tune the threshold of both."


def lines(result):
    return [verdict.decision(result, result.verdict), *verdict.evidence(result, result.verdict)]


# ---------------------------------------------------------------------------------- words


@pytest.mark.parametrize(("unseen", "is_said"), [(0.05, True), (0.016, False), (0.0, False)])
def test_what_rows_that_are_not_shown_may_change_is_said_where_the_interval_is_narrower(unseen, is_said):
    result = sample_verdict.study("no difference, ahead", against_baseline=compared(0.012, 0.016, unseen=unseen))
    sentence = (
        "The result rests on few rows, or on few of one class: rows unlike the test rows may change the difference by "
        "0.050. Treat the interval as too narrow."
    )
    assert (sentence in lines(result)) is is_said
    detectable = f"{'At best, a' if is_said else 'A'} difference of 0.023 would be seen in 4 of 5 such studies."
    assert any(line.endswith(f" {detectable}") for line in lines(result))


def test_equality_that_unseen_rows_forbid_has_its_reason():
    main = compared(0.001, 0.003, unseen=0.05)
    reason = answers.refused_equality([main], 0.005)
    assert reason == (
        "the interval lies within the margin of 0.005, but not with the 0.05 that rows of a kind that the test rows do "
        "not show may add"
    )
    assert not answers.refused_equality([main], 0.003)
    assert not answers.refused_equality([main], 0.1)
    assert not answers.refused_equality([], 0.1)
    assert not answers.refused_equality([compared(0.001, 0.003)], 0.005)
    result = sample_verdict.study("equal", against_baseline=main, answer=Answer.NO_DIFFERENCE, reason=reason)
    assert f"focal is called neither better than cross_entropy nor equal: {reason}." in lines(result)
    assert not any("may change" in line for line in lines(result))


def test_one_loss_under_two_names_is_said_to_be_one():
    result = sample_verdict.study("no difference, ahead", metric="roc_auc")
    winner = replace(result.verdict.winner, recipe=result.verdict.baseline.recipe)
    result.verdict = replace(result.verdict, winner=winner)
    assert lines(result)[0] == (
        "Train with focal(gamma=2.1): the same loss as cross_entropy, from which it differs in learning rate."
    )
    assert not any("simpler" in line for line in lines(result))
    kept, violated = KeptBy(0.95, None), KeptBy(0.8, None)
    constraint = Constraint("recall", 0.9, "maximize")
    broken, other = Kept(constraint, violated, kept), Kept(replace(constraint, bound=0.85), kept, violated)
    result.verdict = replace(result.verdict, constraints=(broken, other))
    assert lines(result)[0].endswith(
        "in learning rate; in validation focal violates recall >= 0.9 (focal 0.8, cross_entropy 0.95)."
    )


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (
            "no difference, behind",
            "Train with cross_entropy: focal is not shown to be better; in validation neither keeps recall >= 0.8 "
            "(cross_entropy 0.143, focal 0.514); on the test rows neither keeps recall >= 0.8 (cross_entropy 0.333, "
            "focal 0.646).",
        ),
        (
            "better, because of the loss",
            "Train with focal(gamma=2.1): shown to be better; in validation neither keeps recall >= 0.8 (focal 0.514, "
            "cross_entropy 0.143); on the test rows neither keeps recall >= 0.8 (focal 0.646, cross_entropy 0.333).",
        ),
    ],
)
def test_constraints_that_neither_keeps_are_said_of_both_with_their_values(case, sentence):
    result = sample_verdict.study(case)
    focal = KeptBy(0.5143, Value(0.6458, 0.5, 0.81, 20))
    cross_entropy = KeptBy(0.1429, Value(0.3333, 0.2, 0.5, 20))
    kept = Kept(Constraint("recall", 0.8, "maximize"), focal, cross_entropy)
    result.verdict = replace(result.verdict, constraints=(kept,))
    assert lines(result)[0] == sentence
    assert any(line.endswith("which violates it; the interval of focal includes the bound.") for line in lines(result))


def test_one_that_alone_keeps_a_constraint_but_not_on_the_test_rows_is_said_with_both_values():
    result = sample_verdict.study("no difference, ahead")
    kept = Kept(
        Constraint("recall", 0.5, "maximize"),
        KeptBy(0.6, Value(0.43, 0.3, 0.6, 20)),
        KeptBy(0.14, Value(0.51, 0.4, 0.6, 20)),
    )
    result.verdict = replace(result.verdict, constraints=(kept,))
    assert lines(result)[0] == (
        "Train with focal(gamma=2.1): of the two it alone keeps recall >= 0.5 (0.6, cross_entropy 0.14) in validation; "
        "on the test rows focal violates recall >= 0.5 (focal 0.43, cross_entropy 0.51)."
    )
    assert any(line.endswith("which keeps it; both intervals include the bound.") for line in lines(result))


def test_of_outer_folds_validation_is_that_of_the_losses_and_the_rest_that_of_all_rows():
    focal, cross_entropy = KeptBy(0.2, Value(0.37, 0.3, 0.4, 20)), KeptBy(0.4, Value(0.33, 0.3, 0.4, 20))
    constraints = tuple(Kept(Constraint(name, 0.8, "maximize"), focal, cross_entropy) for name in ("recall", "f1"))
    result = sample_verdict.study("no difference, ahead", outer=5, constraints=constraints)
    assert lines(result)[0].endswith(
        "; in validation neither keeps recall >= 0.8 (focal 0.2, cross_entropy 0.4) and neither keeps f1 >= 0.8 "
        "(focal 0.2, cross_entropy 0.4); on all 500 rows neither keeps recall >= 0.8 (the loss chosen in each fold "
        "0.37, cross_entropy 0.33) and neither keeps f1 >= 0.8 (the loss chosen in each fold 0.37, cross_entropy "
        "0.33)."
    )


@pytest.mark.parametrize(
    ("winner", "baseline", "log", "named"),
    [
        (0.001, 0.00995, True, " of cross_entropy (0.00995) is"),
        (0.000101, 0.001, True, " of focal (0.000101) is"),
        (0.0099, 0.01, True, "s of focal (0.0099) and cross_entropy (0.01) are"),
        (0.001, 0.009, True, ""),
        (0.00012, 0.001, False, " of focal (0.00012) is"),
        (0.001, 0.009, False, ""),
        (0.02, 0.001, True, ""),
    ],
)
def test_learning_rates_near_an_end_of_their_range_are_named_of_winner_and_baseline(winner, baseline, log, named):
    result = sample_verdict.study("no difference, ahead")
    arms = {"winner": (result.verdict.winner, winner), "baseline": (result.verdict.baseline, baseline)}
    result.verdict = replace(
        result.verdict, **{side: replace(arm, learning_rate=rate) for side, (arm, rate) in arms.items()}
    )
    assert not any("end of the range" in line for line in lines(result)), "nothing is known of a range"
    result.spec["train"]["learning_rate"] = {"low": 0.0001, "high": 0.01, "log": log}
    sentence = (
        f"The learning rate{named} near an end of the range that was searched, 0.0001 to 0.01: with a wider range "
        "the score may be better."
    )
    assert [line for line in lines(result) if "end of the range" in line] == [sentence] * bool(named)
    for other in (0.01, {"choices": [0.001, 0.01]}, {"low": "x", "high": None}):
        changed = replace(result, spec={"train": {"learning_rate": other}})
        assert not any("end of the range" in line for line in lines(changed))
    result.verdict = replace(result.verdict, outer=5)
    assert not any("end of the range" in line for line in lines(result)), "each fold has a rate of its own"


@pytest.mark.parametrize(
    ("left", "shown"),
    [(-0.001, "none of the gain is left"), (0.0, "none of the gain is left"),
     (0.003, "hardly anything of the gain is left"), (0.004, "")],
)  # fmt: skip
def test_a_gain_that_is_gone_at_the_same_rate_is_not_the_loss(left, shown):
    result = sample_verdict.study("no difference, ahead", against_same_rate=compared(left, 0.018))
    of_gain = [line for line in verdict.evidence(result, result.verdict, has_table=True) if "of the gain" in line]
    assert of_gain == [f"By the estimates, {shown} with the same learning rate for both."] * bool(shown)
    [compared_there] = [line for line in lines(result) if line.startswith("With the same learning rate")]
    assert compared_there.endswith(f": by the estimates, {shown}." if shown else "higher).")


DEFAULTS = (
    "Both have their default threshold, which alone may explain the difference: too little is left out of a repeat "
    "to tune it."
)


def test_a_better_loss_is_recommended_and_its_cause_is_named():
    assert lines(sample_verdict.study("better, because of the loss")) == [
        "Train with focal(gamma=2.1): shown to be better.",
        "On 500 test rows the f1_macro of focal is 0.031 higher than that of cross_entropy (95% interval: 0.012 to "
        "0.050 higher). focal was better in 19 of 20 repeated trainings.",
        "focal is better than cross_entropy, because of the loss, though perhaps by the threshold alone: with the "
        "same learning rate for both, it is still better (f1_macro 0.025 higher, 95% interval: 0.006 to 0.044 "
        f"higher); {THRESHOLD_ALONE}",
    ]
    assert lines(sample_verdict.study("better, because of the loss", metric="roc_auc"))[2] == (
        "focal is better than cross_entropy, because of the loss: with the same learning rate for both, it is "
        "still better (roc_auc 0.025 higher, 95% interval: 0.006 to 0.044 higher)."
    )


def test_a_gain_that_the_learning_rate_may_explain_is_not_ascribed_to_the_loss():
    assert lines(sample_verdict.study("better, perhaps by its rate", metric="roc_auc"))[2] == (
        "focal is better than cross_entropy, but the learning rate may have done it: with the same learning rate for "
        "both, it is not shown to be better (roc_auc 0.010 higher, 95% interval: 0.008 lower to 0.028 higher)."
    )
    assert lines(sample_verdict.study("better, perhaps by its rate"))[2] == (
        "focal is better than cross_entropy, but the learning rate, or the threshold alone, may have done it: with the "
        "same learning rate for both, it is not shown to be better (f1_macro 0.010 higher, 95% interval: 0.008 lower "
        f"to 0.028 higher); {THRESHOLD_ALONE}"
    )
    behind = sample_verdict.study("better, perhaps by its rate", against_same_rate=compared(-0.02, 0.018))
    assert "for both, it is worse (f1_macro 0.020 lower, 95% interval: 0.002 to 0.038 lower)" in lines(behind)[2]


@pytest.mark.parametrize(
    ("winner", "baseline", "named"),
    [
        ({"batch_size": 16}, {"batch_size": 64}, "batch_size"),
        ({"learning_rate": 0.1, "model.units": 9}, {"model.units": 5}, "learning rate and model.units"),
        (
            {"learning_rate": 0.1, "batch_size": 16, "model.units": 8}, {"batch_size": 64},
            "learning rate, batch_size and model.units",
        ),
        ({f"model.units_{i}": 8 for i in range(9)}, {}, "training settings"),
        ({"learning_rate": 0.1, "batch_size": 16, "focal.gamma": 2.1}, {"batch_size": 16}, "learning rate"),
    ],
)  # fmt: skip
def test_what_may_have_done_it_is_named_and_nothing_that_winner_and_baseline_share(winner, baseline, named):
    result = sample_verdict.study("better, perhaps by its rate", metric="roc_auc")
    arms = {
        name: replace(getattr(result.verdict, name), params=params, learning_rate=params.get("learning_rate", 0.01))
        for name, params in (("winner", winner), ("baseline", baseline))
    }
    result.verdict = replace(result.verdict, **arms)
    assert lines(result)[2].startswith(
        f"focal is better than cross_entropy, but the {named} may have done it: with the same {named} for both, it "
    )


def test_outer_folds_may_differ_in_whatever_the_study_searches():
    result = sample_verdict.study("better, perhaps by its rate", metric="roc_auc", outer=5)
    rate = result.verdict.winner.learning_rate
    result.trials[:] = [
        replace(trial, params={"batch_size": 16 * (trial.number + 1)}, learning_rate=rate) for trial in result.trials
    ]
    assert ", but the batch_size may have done it: with the same batch_size for both, it is " in lines(result)[2]


def test_a_better_loss_that_was_trained_as_the_baseline_is_so_because_of_the_loss():
    said = lines(sample_verdict.study("better, at the same rate", metric="roc_auc"))
    assert said[2] == "focal is better than cross_entropy, because of the loss: both were otherwise trained alike."


def test_a_gain_of_the_threshold_alone_is_named():
    result = sample_verdict.study("better, at the same rate", against_tuned_decision=compared(0.002, 0.006))
    result.verdict = replace(result.verdict, answer=Answer.NO_DIFFERENCE, cause=None)
    assert lines(result)[2:] == [
        "focal is better than cross_entropy as it is, but not shown to be better where both have a tuned threshold: "
        "cross_entropy with a tuned threshold may do as well.",
        "With a tuned threshold for both, the f1_macro of focal is 0.0020 higher than that of cross_entropy (95% "
        "interval: 0.0040 lower to 0.0080 higher).",
    ]


def with_tuned(case, tuned, **changes):
    """A study of that case whose answer follows from a comparison with tuned decisions."""
    result = sample_verdict.study(case, against_tuned_decision=tuned, **changes)
    told = answers.answer(result.verdict.against_baseline, result.verdict.margin, tuned)
    result.verdict = replace(result.verdict, answer=told, cause=None)
    return result


def test_a_baseline_that_is_better_with_a_tuned_threshold_is_recommended_to_those_who_tune_it():
    result = with_tuned("better, at the same rate", compared(-0.02, 0.006))
    assert lines(result)[0] == "Train with focal(gamma=2.1), or with cross_entropy if you tune the threshold."
    assert lines(result)[2:4] == [
        "focal is better than cross_entropy as it is, but worse where both have a tuned threshold.",
        "With a tuned threshold for both, the f1_macro of focal is 0.0200 lower than that of cross_entropy (95% "
        "interval: 0.0140 to 0.0260 lower).",
    ]


def test_a_winner_that_is_better_with_a_tuned_threshold_is_recommended_to_those_who_tune_it():
    result = with_tuned("worse", compared(0.02, 0.006))
    assert lines(result)[0] == "Train with cross_entropy, or with focal(gamma=2.1) if you tune the threshold."
    assert lines(result)[2] == (
        "focal is worse than cross_entropy as it is, but better where both have a tuned threshold."
    )


def test_a_winner_that_is_worse_by_its_threshold_alone_is_said_to_be():
    assert lines(with_tuned("worse", compared(0.0, 0.006)))[2] == (
        "focal is worse than cross_entropy as it is, but not shown to be worse where both have a tuned threshold."
    )
    assert "focal is worse than cross_entropy." in lines(with_tuned("worse", compared(-0.02, 0.006)))


@pytest.mark.parametrize(
    ("case", "tuned", "margin"),
    [
        ("better, at the same rate", compared(-0.002, 0.006), 0.0),
        ("better, at the same rate", compared(0.02, 0.006), 0.0),
        ("worse", compared(0.002, 0.006), 0.0),
        ("worse", compared(-0.02, 0.006), 0.0),
        ("worse", compared(0.02, 0.006), 0.015),
    ],
)
def test_one_loss_is_recommended_where_a_tuned_threshold_shows_nothing_else(case, tuned, margin):
    assert "if you tune" not in lines(with_tuned(case, tuned, margin=margin))[0]


def test_a_gain_with_tuned_decisions_too_is_not_one_of_the_threshold():
    result = sample_verdict.study("better, at the same rate", against_tuned_decision=compared(0.02, 0.012))
    assert lines(result)[3].endswith("0.008 to 0.032 higher): the gain is not one of the threshold alone.")


@pytest.mark.parametrize(
    ("case", "metric", "told"),
    [("better, at the same rate", "f1_macro", True), ("better, at the same rate", "accuracy", False),
     ("better, at the same rate", "roc_auc", False), ("no difference, ahead", "f1_macro", False)],
)  # fmt: skip
def test_a_gain_that_may_be_one_of_the_threshold_is_called_so(case, metric, told):
    said = lines(sample_verdict.study(case, metric=metric))
    assert any(line.endswith(THRESHOLD_ALONE) for line in said) == told
    assert ("by the threshold alone" in " ".join(said)) == told


def test_a_missing_comparison_of_tuned_decisions_is_the_reason_for_no_better_answer():
    reason = "fewer than half of the repeats have a tuned decision for both losses"
    result = sample_verdict.study("better, at the same rate", reason=reason)
    result.verdict = replace(result.verdict, answer=Answer.NO_DIFFERENCE, cause=None)
    assert lines(result)[2:] == [f"focal is called neither better than cross_entropy nor equal: {reason}."]
    result.verdict = replace(result.verdict, reason="")
    assert lines(result)[2:] == ["focal is called neither better than cross_entropy nor equal."]


@pytest.mark.parametrize(
    ("task", "metric", "what"),
    [
        ("multiclass", "f1_macro", "shift per class"),
        ("binary", "f1", "threshold"),
        ("binary", "log_loss", "temperature"),
    ],
)
def test_tuned_arms_are_named(task, metric, what):
    result = sample_verdict.study("worse", metric=metric, decision="tuned")
    result.task = task
    assert lines(result)[3] == f"Both have a tuned {what}."


def test_a_decision_without_proof_says_what_would_have_been_seen():
    assert lines(sample_verdict.study("no difference, ahead")) == [
        "Train with focal(gamma=2.1) or cross_entropy: no difference between them is shown.",
        "On 500 test rows the f1_macro of focal is 0.012 higher than that of cross_entropy (95% interval: 0.004 lower "
        "to 0.028 higher). focal was better in 14 of 20 repeated trainings.",
        "focal has the better estimate, cross_entropy is the simpler choice. A difference of 0.023 would be seen in 4 "
        "of 5 such studies.",
        DEFAULTS,
    ]
    assert DEFAULTS not in lines(sample_verdict.study("no difference, ahead", metric="roc_auc"))
    assert DEFAULTS not in lines(sample_verdict.study("no difference, ahead", metric="accuracy"))


def test_a_winner_that_is_not_shown_to_be_better_is_compared_at_its_own_learning_rate_too():
    said = lines(sample_verdict.study("no difference, ahead", against_same_rate=compared(0.01, 0.018)))
    assert said[3] == (
        "With the same learning rate for both, the f1_macro of focal is 0.010 higher than that of cross_entropy (95% "
        "interval: 0.008 lower to 0.028 higher)."
    )
    behind = sample_verdict.study("no difference, behind", against_same_rate=compared(0.01, 0.018))
    assert said[3] in lines(behind)


def test_a_compared_trial_that_the_leaderboard_does_not_show_is_explained():
    result = sample_verdict.study("better, at the same rate", reevaluated=(Reevaluated("focal", 1, (0.9, 0.8)),))
    assert not [line for line in lines(result) if "trial" in line.split()]
    result.add(replace(sample.trial(7, "focal"), score=1.0))
    result.verdict = sample_verdict.study("better, at the same rate").verdict
    assert not [line for line in lines(result) if "trial" in line.split()]
    result.verdict = replace(result.verdict, reevaluated=(Reevaluated("focal", 1, (0.9, 0.8)),))
    assert ("The verdict compares trial 1 of focal (the leaderboard has 7).") in lines(result)
    told = result.verdict
    result.add(replace(sample.trial(8, "cross_entropy"), score=1.0))
    result.verdict = told
    assert (
        "The verdict compares trial 1 of focal (the leaderboard has 7) and trial 0 of cross_entropy "
        "(the leaderboard has 8)."
    ) in lines(result)


def test_a_recommended_baseline_is_compared_with_the_best_other_loss():
    assert lines(sample_verdict.study("worse", "minimize", "log_loss")) == [
        "Train with cross_entropy: focal is shown to be worse.",
        "On 500 test rows the log_loss of focal(gamma=2.1), the best other loss, is 0.031 higher than that of "
        "cross_entropy (95% interval: 0.012 to 0.050 higher). focal was better in 1 of 20 repeated trainings.",
        "focal is worse than cross_entropy.",
        DEFAULTS.replace("threshold", "temperature"),
    ]


def test_a_difference_within_the_margin_is_no_reason_to_change():
    assert lines(sample_verdict.study("equal"))[2:] == [
        "The interval lies within the margin of 0.005, so either will do.",
    ]


@pytest.mark.parametrize("tuned", [None, compared(0.02, 0.03)])
def test_a_winner_that_few_outer_folds_chose_is_offered_beside_the_baseline(tuned):
    result = sample_verdict.study("no difference, ahead", **SELDOM, against_tuned_decision=tuned)
    assert lines(result)[0] == "Train with focal(gamma=2.1) or cross_entropy: no difference between them is shown."
    assert any(
        line.endswith("Only 1 of them chose focal: the numbers are mostly those of other losses.")
        for line in lines(result)
    )


CLEAR = compared(0.02, 0.01)


def test_no_difference_without_a_tuned_threshold_is_called_so_where_there_is_one_with_it():
    result = sample_verdict.study("no difference, ahead", against_tuned_decision=CLEAR)
    assert lines(result)[0] == (
        "Train with focal(gamma=2.1) or cross_entropy: no difference between them is shown without a tuned threshold."
    )


def test_a_loss_to_be_tuned_that_few_outer_folds_chose_is_said_to_be():
    result = sample_verdict.study("worse", **SELDOM, against_tuned_decision=CLEAR)
    assert lines(result)[0] == "Train with cross_entropy, or with focal(gamma=2.1) if you tune the threshold."
    assert any("Only 1 of them chose focal" in line for line in lines(result))


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("no difference, ahead", "; on the test rows cross_entropy violates recall >= 0.5 (focal 0.6, cross_entropy "
         "0.4)."),
        ("better, because of the loss", ": shown to be better."),
    ],
)  # fmt: skip
def test_a_constraint_that_the_baseline_violates_is_told_where_either_may_do(case, told):
    focal, cross_entropy = KeptBy(0.6, Value(0.6, 0.5, 0.7, 20)), KeptBy(0.6, Value(0.4, 0.3, 0.5, 20))
    kept = Kept(Constraint("recall", 0.5, "maximize"), focal, cross_entropy)
    assert lines(sample_verdict.study(case, constraints=(kept,)))[0].endswith(told)


@pytest.mark.parametrize(
    ("case", "changes", "told"),
    [
        ("no difference, ahead", {"against_same_rate": CLEAR}, "same learning rate for both, the interval lies above"),
        ("worse", {"against_same_rate": CLEAR}, "same learning rate for both, the interval lies above 0: there focal"),
        ("no difference, behind", {"against_tuned_decision": compared(-0.02, 0.01)},
         "tuned threshold for both, the interval lies below 0: there cross_entropy is better."),
        ("worse", {"against_tuned_decision": compared(-0.02, 0.01)}, "tuned threshold for both, the interval lies"),
        ("worse", {"against_tuned_decision": CLEAR}, ""),
        ("better, because of the loss", {}, ""),
        ("equal", {"against_same_rate": compared(0.002, 0.001)}, ""),
        ("equal", {"against_same_rate": CLEAR}, "same learning rate for both, the interval lies above 0: there focal"),
        ("no difference, ahead", {"against_same_rate": compared(0.02, 0.03)}, ""),
        ("worse", {"against_same_rate": compared(-0.0201, 0.02)}, ""),  # shown as -0.040 to 0.000
    ],
)  # fmt: skip
def test_an_interval_of_the_table_that_leaves_0_out_has_a_sentence(case, changes, told):
    result = sample_verdict.study(case, **changes)
    clear = [line for line in verdict.evidence(result, result.verdict, has_table=True) if "the interval lies" in line]
    assert bool(told) == any(told in line for line in clear if told)
    assert told or not any("0: there" in line for line in clear)


def test_too_few_rows_are_the_reason_for_no_answer():
    assert lines(sample_verdict.study("not enough data")) == [
        "Train with cross_entropy: the baseline is kept, as focal could not be compared with it.",
        "focal was not compared with cross_entropy: 80 rows, and a verdict needs at least 100.",
    ]


TUNED = {"against_tuned_decision": compared(0.02, 0.01)}
SELDOM = {"outer": 5, "folds_won": {"focal": 1, "gce_mild": 4}}
AHEAD = {"against_baseline": compared(0.03, 0.01)}
UNSTABLE = TUNED | {"reason": "15 of its 20 repeats alone have a score"}
SMALL = {"against_baseline": compared(0.002, 0.001), "margin": 0.005, "against_tuned_decision": compared(0.0, 0.01)}
ALIKE = "better than cross_entropy as it is, not shown to be with a tuned threshold for both"
UNTUNED = "focal is shown to be worse as it is, but not with a tuned threshold for both"


@pytest.mark.parametrize(
    ("case", "changes", "how_sure"),
    [
        ("better, because of the loss", TUNED, "shown to be better, because of the loss"),
        ("better, because of the loss", TUNED | SELDOM, f"{OF_FOLDS} is shown to be better, because of the loss"),
        ("better, perhaps by its rate", TUNED, "shown to be better, perhaps by the learning rate"),
        ("better by less than the margin", {}, "focal is better, but not by more than the margin"),
        ("no difference, ahead", AHEAD | {"against_tuned_decision": compared(0.01, 0.02)}, ALIKE),
        ("no difference, ahead", AHEAD, "ahead of cross_entropy, but not called better"),
        ("no difference, ahead", AHEAD | SELDOM, f"{OF_FOLDS} is ahead of cross_entropy, but not called better"),
        ("no difference, ahead", AHEAD | UNSTABLE, "ahead of cross_entropy, but not called better"),
        ("no difference, behind", AHEAD | UNSTABLE, "focal is called neither better nor equal"),
        ("no difference, behind", SMALL, "focal is better as it is, but not by more than the margin"),
        ("no difference, behind", {}, "focal is not shown to be better"),
        ("equal", {}, "focal is practically equal"),
        ("worse", {"outer": 5, "folds_won": {"focal": 5}}, f"{OF_FOLDS} is shown to be worse"),
        ("worse", {"against_tuned_decision": compared(-0.02, 0.01)}, "focal is shown to be worse"),
        ("worse", {"against_tuned_decision": compared(0.0, 0.01)}, UNTUNED),
    ],
)  # fmt: skip
def test_the_first_line_says_how_sure_it_is(case, changes, how_sure):
    first, *others = lines(sample_verdict.study(case, **changes))
    assert first.partition(": ")[2] == f"{how_sure}."
    assert others


def test_a_winner_that_shares_its_place_on_the_fresh_splits_says_so():
    result = sample_verdict.study("no difference, ahead")
    result.losses = dict(sample.LOSSES)
    result.add(sample.trial(7, "gce_mild", score=1.0))
    scores = {"focal": (0.9, 0.8), "gce_mild": (0.8, 0.9), "cross_entropy": (0.9, 0.8)}
    reevaluated = tuple(Reevaluated(name, n, values) for n, (name, values) in enumerate(scores.items()))
    result.verdict = sample_verdict.study("no difference, ahead", reevaluated=reevaluated).verdict
    assert (
        "focal was the best other loss by its mean score on 2 fresh splits of the development rows, 0.85 (tied with "
        "gce_mild), when the verdict was reached; the leaderboard has another."
    ) in lines(result)


def test_every_answer_is_among_the_cases():
    assert {case[0] for case in CASES.values()} == set(Answer)


LIMITS = {
    "none": {},
    "exploratory": {"exploratory": True},
    "looked at again": {"openings": 3},
    "one repeat left out": {"repeats": 21},
    "repeats left out": {"repeats": 25},
    "one row": {"test_rows": 1},
    "outer folds": {"outer": 5},
    "a tuned decision": {"against_tuned_decision": compared(0.01, 0.002)},
    "a worse tuned decision": {"outer": 5, "against_tuned_decision": compared(-0.01, 0.002)},
}


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", CASES)
def test_all_that_is_said_is_sentences(case, direction, limits):
    result = sample_verdict.study(case, direction, **LIMITS[limits])
    for sentence in [*lines(result), report.caveat(result)]:
        assert sentence.endswith(".")
        assert not re.search(rf"^{OF_FOLDS}|[;,] {OF_FOLDS.capitalize()}", sentence)
        assert sentence == sentence.strip()
        assert not re.search(r"  |\.\.|nan|inf\b|None|-0|\(\)| ,", sentence), sentence
        assert not re.search(r"\b1 (rows|test rows|repeats|repeated trainings|times|are)\b", sentence)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", CASES)
def test_the_side_of_a_difference_is_that_of_the_metric(case, direction):
    """Every sentence compares the winner with the baseline, never the other way round."""
    clear = {name: compared(-0.02, 0.01) for name in ("against_same_rate", "against_tuned_decision")}
    result = sample_verdict.study(case, direction, **(clear if case == "worse" else {}))
    main = result.verdict.against_baseline
    sides = re.findall(r"[\d.]+ (higher|lower) than that of (\w+)", " ".join(lines(result)))
    assert bool(sides) == bool(main and main.difference)
    assert len(sides) == (3 if case == "worse" else len(sides))
    for side, other in sides:
        assert side == ("higher" if (main.difference > 0) == (direction == "maximize") else "lower")
        assert other == "cross_entropy"


def counts(winner, baseline):
    """The counts of finished and of scored repeats of both."""
    finished, scored = ({"winner": a, "baseline": b} for a, b in zip(winner, baseline, strict=True))
    return {"finished": finished, "scored": scored}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"exploratory": True},
            "This is exploratory: trials were run after the first look at the test rows, so the answer is less "
            "sure than its numbers say.",
        ),
        (
            {"openings": 3},
            "The test rows have been looked at 3 times; every further look makes a result by chance more likely.",
        ),
        (
            {"exploratory": True, "changed": ("margin",)},
            "This is exploratory: the margin was set after the first look at the test rows, so the answer is less "
            "sure than its numbers say.",
        ),
        (
            {"exploratory": True, "changed": ("trials", "margin")},
            "This is exploratory: trials were run and the margin was set after the first look at the test rows, "
            "so the answer is less sure than its numbers say.",
        ),
        ({"repeats": 21}, "1 of 21 repeats is left out: one of the two has no score there."),
        (
            {"repeats": 21, **counts((21, 21), (20, 20))},
            "1 of 21 repeats is left out: 1 of cross_entropy diverged or failed.",
        ),
        (
            {"repeats": 29, **counts((25, 25), (28, 23))},
            "9 of 29 repeats are left out: 4 of focal diverged or failed, 1 of cross_entropy diverged or failed, in 5 "
            "the f1_macro of cross_entropy is not finite.",
        ),
    ],
)
def test_what_limits_an_answer_is_added(changes, expected):
    without = lines(sample_verdict.study("no difference, ahead"))
    limited = lines(sample_verdict.study("no difference, ahead", **changes))
    assert ("(exploratory)" in limited[0]) is changes.get("exploratory", False)
    limited[0] = limited[0].replace(" (exploratory)", "")
    assert [line for line in limited if line not in without] == [expected]


def test_why_a_winner_that_lost_many_repeats_is_not_called_better():
    reason = "12 of its 20 repeats alone have a score, which are its best ones"
    result = sample_verdict.study("no difference, behind", reason=reason)
    assert f"focal is called neither better than cross_entropy nor equal: {reason}." in lines(result)


def test_the_choice_of_a_study_with_outer_folds_is_named():
    said = lines(sample_verdict.study("no difference, ahead", outer=5, folds_won={"focal": 3, "gce_mild": 2}))
    assert said[0] == "Train with focal(gamma=2.1) or cross_entropy: no difference between them is shown."
    assert said[2].startswith(
        "The loss chosen in each fold has the better estimate, cross_entropy is the simpler choice."
    )


def test_rows_of_outer_folds_are_named():
    assert lines(sample_verdict.study("worse", outer=5, folds_won={"focal": 4, "gce_mild": 1}))[1:] == [
        "In 5-fold nested cross-validation on all 500 rows, the f1_macro of the loss chosen in each fold is 0.031 "
        "lower than that of cross_entropy (95% interval: 0.012 to 0.050 lower). The loss chosen in each fold was "
        "better in 1 of 20 repeated trainings.",
        "The loss chosen in each fold is worse than cross_entropy.",
        "Chosen in the 5 outer folds, as the best beside cross_entropy: focal in 4, gce_mild in 1.",
        DEFAULTS,
    ]


@pytest.mark.parametrize(
    ("won", "told"),
    [
        ({"gce_mild": 5}, "None of them chose focal: the numbers are those of other losses."),
        ({"gce_mild": 4, "focal": 1}, "Only 1 of them chose focal: the numbers are mostly those of other losses."),
        ({"gce_mild": 3, "focal": 2}, "Only 2 of them chose focal: the numbers are mostly those of other losses."),
        ({"focal": 3, "gce_mild": 2}, ""),
    ],
)
def test_a_recommended_loss_that_few_outer_folds_tested_is_told(won, told):
    first, _, _, line, *_ = lines(sample_verdict.study("better, because of the loss", outer=5, folds_won=won))
    few = f", chosen in {f'only {count}' if (count := won.get('focal')) else 'none'} of 5 outer folds"
    assert first.startswith(f"Train with focal(gamma=2.1){few if told else ''}: ")
    assert line.startswith("Chosen in the 5 outer folds, as the best beside cross_entropy: ")
    assert line.split(". ")[1:] == ([told] if told else [])
    worse = lines(sample_verdict.study("worse", outer=5, folds_won=won))
    assert not [line for line in worse if "of them chose" in line]


@pytest.mark.parametrize(("score", "is_told"), [(0.99, True), (0.5, False)])
def test_a_best_other_loss_that_does_not_lead_the_leaderboard_is_named(score, is_told):
    reevaluated = (Reevaluated("focal", 1, (0.8, 0.9, 0.85)),)
    result = sample_verdict.study("better, at the same rate", reevaluated=reevaluated)
    result.losses = dict(sample.LOSSES)
    result.trials.append(sample.trial(2, "gce_mild", score=score))
    line = (
        "focal was the best other loss by its mean score on 3 fresh splits of the development rows, 0.85, when the "
        "verdict was reached; the leaderboard has another."
    )
    assert (line in lines(result)) == is_told
    assert lines(result)[1].startswith("On 500 test rows the f1_macro of focal is ")
    worse = sample_verdict.study("worse", reevaluated=reevaluated)
    worse.losses = dict(sample.LOSSES)
    assert line not in lines(worse)
    worse.trials.append(sample.trial(2, "gce_mild", score=score))
    assert (line in lines(worse)) == is_told


def test_a_tie_counts_half():
    main = compared(0.01, 0.02, share_won=0.525)
    sentence = lines(sample_verdict.study("no difference, ahead", against_baseline=main))[1]
    assert sentence.endswith("focal was better in 52% of 20 repeated trainings, a tie counting half.")
    main = compared(0.01, 0.02, share_won=1.0, repeats=1)
    sentence = lines(sample_verdict.study("no difference, ahead", against_baseline=main))[1]
    assert sentence.endswith("focal was better in 1 of 1 repeated training.")


def test_the_mean_score_on_test_rows_is_shown_where_it_is_known():
    result = sample_verdict.study("no difference, ahead")
    winner = replace(result.verdict.winner, score=0.87446)
    result.verdict = replace(result.verdict, winner=winner, recommended=winner)
    assert "the f1_macro of focal is 0.874, 0.012 higher than that of cross_entropy" in lines(result)[1]


@pytest.mark.parametrize(
    ("difference", "half", "text"),
    [
        (0.0123456, 0.0161, "0.012 higher than that of cross_entropy (95% interval: 0.004 lower to 0.028 higher)"),
        (0.5, 0.0161, "0.500 higher than that of cross_entropy (95% interval: 0.484 to 0.516 higher)"),
        (123.4, 45.6, "123 higher than that of cross_entropy (95% interval: 78 to 169 higher)"),
        (5123.4, 4567.0, "5100 higher than that of cross_entropy (95% interval: 600 to 9700 higher)"),
        (2e-9, 1e-9, "2.0e-09 higher than that of cross_entropy (95% interval: 1.0e-09 to 3.0e-09 higher)"),
        (1e-5, 0.016, "about the same as that of cross_entropy (95% interval: 0.016 lower to 0.016 higher)"),
        (0.0, 0.0, "about the same as that of cross_entropy (95% interval: 0.000 to 0.000)"),
        (0.02, 0.0, "0.020 higher than that of cross_entropy (95% interval: 0.020 to 0.020 higher)"),
    ],
)
def test_numbers_have_the_digits_that_the_interval_allows(difference, half, text):
    result = sample_verdict.study("no difference, ahead", against_baseline=compared(difference, half))
    assert text in lines(result)[1]


def test_a_comparison_without_finite_numbers_is_left_out():
    main = replace(compared(0.01, 0.02), low=math.nan)
    assert lines(sample_verdict.study("no difference, ahead", against_baseline=main)) == [
        "Train with focal(gamma=2.1) or cross_entropy: no difference between them is shown.",
        "focal has the better estimate, cross_entropy is the simpler choice.",
    ]


def test_parameters_that_would_fill_the_line_are_left_to_the_recipe():
    result = sample_verdict.study("no difference, ahead")
    result.trials[1] = sample.trial(1, "focal", loss_params={"alpha": [0.123456] * 20})
    assert lines(result)[0] == "Train with focal or cross_entropy: no difference between them is shown."


@pytest.mark.parametrize(
    ("name", "told"),
    [("baseline", "baseline (focal, gamma=2.1), or with"), ("focal_hard", "focal_hard(gamma=2.1) or")],
)
def test_a_candidate_whose_name_says_nothing_of_its_loss_has_both(name, told):
    result = sample_verdict.study("no difference, ahead")
    result.losses = {"cross_entropy": "cross_entropy", name: "focal"}
    result.trials[:] = [result.trials[0], replace(result.trials[1], candidate=name)]
    winner = replace(result.verdict.winner, candidate=name)
    result.verdict = replace(result.verdict, winner=winner, recommended=winner)
    assert lines(result)[0] == f"Train with {told} cross_entropy: no difference between them is shown."


# ----------------------------------------------------------------------------------- line


def drawn(case, width=100, unicode=True, **changes):
    return interval.line(sample_verdict.study(case, **changes).verdict, width, unicode=unicode)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("case", [case for case in CASES if case != "not enough data"])
def test_the_line_has_the_interval_on_the_side_of_the_better_loss(case, unicode):
    line, main = drawn(case, unicode=unicode), CASES[case][1]
    assert len(line) <= 100
    assert line.isascii() != unicode
    track = line.removeprefix("cross_entropy better ").removesuffix(" focal better")
    middle, point = len(track) // 2, track.index("●" if unicode else "o")
    assert len(track) % 2 == 1
    assert (point > middle, point < middle) == (main.difference > 0, main.difference < 0)
    if main.low * main.high > 0:
        ends = [track.index(end) for end in ("├┤" if unicode else "[]")]
        assert all((end > middle) == (main.difference > 0) for end in ends)


def test_the_line_is_the_same_in_ascii():
    assert (
        drawn("no difference, ahead", 60, unicode=False)
        == "cross_entropy better ...........[|---o-----].. focal better"
    )
    assert drawn("no difference, ahead", 60) == "cross_entropy better ···········├│───●─────┤·· focal better"


def test_the_margin_is_a_band_around_zero():
    assert drawn("equal", unicode=False).count(":") == 2
    assert ":" not in drawn("worse", unicode=False)


def test_a_line_that_does_not_fit_is_left_out():
    widths = [len(drawn("worse", width)) for width in range(30, 140)]
    assert widths[0] == 0
    assert all(length <= width for width, length in zip(range(30, 140), widths, strict=True))
    assert max(widths) < 100
    assert drawn("not enough data") == ""


@pytest.mark.parametrize(("won", "is_known"), [({"focal": 1, "poly1_ce": 4}, True), ({"poly1_ce": 5}, False)])
def test_a_winner_that_no_outer_fold_tested_has_no_score_in_the_json_document(won, is_known):
    result = sample_verdict.study("better, because of the loss", outer=5, folds_won=won)
    scored = {name: replace(getattr(result.verdict, name), score=0.9) for name in ("winner", "baseline", "recommended")}
    document = replace(result.verdict, **scored).to_json()
    assert (document["winner"]["score"], document["recommended"]["score"]) == ((0.9, 0.9) if is_known else (None, None))
    assert document["baseline"]["score"] == 0.9


def test_where_a_loss_got_no_trial_the_choice_is_among_those_that_were_tried():
    result = sample_verdict.study("no difference, ahead")
    result.losses = dict(sample.LOSSES)
    assert lines(result)[0].startswith("Of the losses that were tried, train with focal")
    assert report.caveat(result).endswith("gce_mild got no trial, so nothing is known of how they compare.")
