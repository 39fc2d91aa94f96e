"""Pictures of a study: what is drawn, and that odd studies are drawn at all."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest
import sample_study as sample
import sample_verdict

from lossreg.reporting import study_plots, verdict
from lossreg.storage.confirmation import Confirmation


def draw(figure):
    """Render it, which is where layout and labels fail."""
    figure.canvas.draw()
    return figure


def texts(figure):
    return {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}


@pytest.fixture(scope="module")
def result():
    return sample.study(24)


def test_curves_are_those_of_the_best_trial_of_each_loss(result):
    figure = draw(study_plots.curves(result))
    shown = {axes.get_title() for axes in figure.axes if axes.get_title()}
    assert len(shown) == len(result.losses)
    for column, row in enumerate(result.ranking()):
        assert any(row.candidate in title and f"trial {row.best.number}" in title for title in shown)
        for axes, kind in ((figure.axes[column], "loss"), (figure.axes[column + len(shown)], "score")):
            train, validation = axes.get_lines()[:2]
            assert list(train.get_ydata()) == row.best.curves[f"train_{kind}"]
            assert list(validation.get_ydata()) == row.best.curves[f"val_{kind}"]
            assert list(train.get_xdata()) == list(range(1, 7))


def test_history_shows_completed_trials_and_the_best_so_far(result):
    [axes] = draw(study_plots.history(result)).axes
    points = {tuple(point) for drawn in axes.collections for point in drawn.get_offsets().tolist()}
    assert points == {(t.number, t.score) for t in result.trials if t.state == "complete"}
    [line] = axes.get_lines()
    assert max(line.get_ydata()) == result.best.score
    assert list(line.get_ydata()) == sorted(line.get_ydata())


def test_by_loss_has_every_score_and_the_baseline_as_a_line(result):
    figure = draw(study_plots.by_loss(result))
    [axes] = figure.axes
    scores = sorted(point[0] for drawn in axes.collections for point in drawn.get_offsets().tolist())
    assert scores == sorted(t.score for t in result.trials if t.state == "complete")
    baseline = next(row.best.score for row in result.ranking() if row.is_baseline)
    assert any(list(line.get_xdata()) == [baseline, baseline] for line in axes.get_lines())
    assert [label.get_text().split("  ")[0].split(" ")[0] for label in axes.get_yticklabels()] == [
        row.candidate for row in result.ranking()
    ]


def test_slices_have_one_picture_a_searched_parameter(result):
    figure = draw(study_plots.slices(result))
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()] == ["learning_rate", "focal.gamma"]
    assert figure.axes[0].get_xscale() == "log"


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_slices_mark_the_setting_of_the_leaderboard_and_name_the_mark(is_confirmed):
    trials = [sample.trial(n, params={"q": n / 10}, score=0.9 - n / 100) for n in range(4)]
    result = sample.study(0, losses={"cross_entropy": "cross_entropy", "focal": "focal"}, trials=trials)
    assert {trial.candidate for trial in trials} == {"focal"}
    if is_confirmed:  # the best of the search is not the best on fresh splits
        result.confirmation = Confirmation(4, 2, {0: (0.7, 0.7), 2: (0.8, 0.8)})
    figure = draw(study_plots.slices(result))
    name = f"best {'confirmed ' if is_confirmed else ''}setting of each loss"
    (ring,) = [points for points in figure.axes[0].collections if points.get_label() == name]
    best = trials[2 if is_confirmed else 0]
    assert ring.get_offsets().tolist() == [[best.params["q"], pytest.approx(best.score)]]
    assert name in texts(figure)


@pytest.mark.parametrize(("log", "scale"), [(True, "log"), (False, "linear")])
def test_the_scale_is_the_one_that_was_searched(log, scale):
    shares = [(n + 0.5) / 30 for n in range(30)]
    values = [10 ** (-4 + 3 * share) if log else 5 * share for share in shares]
    trials = [sample.trial(n, params={"q": value}) for n, value in enumerate(values)]
    assert study_plots.slices(sample.study(0, trials=trials)).axes[0].get_xscale() == scale


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (4, 4), (5, 3), (8, 4)])
def test_rows_of_pictures_are_evenly_filled(count, columns):
    searched = [{f"p{i}": n / 30 for i in range(count)} for n in range(30)]
    trials = [sample.trial(n, params=params) for n, params in enumerate(searched)]
    figure = study_plots.slices(sample.study(0, trials=trials))
    assert figure.axes[0].get_subplotspec().get_gridspec().ncols == columns


def test_scores_that_are_far_worse_do_not_flatten_the_rest():
    bad = sample.trial(30, score=-1e6)
    result = sample.study(24)
    result.trials.append(bad)
    [axes] = draw(study_plots.history(result)).axes
    low, high = axes.get_ylim()
    assert low > 0
    assert high >= result.best.score
    assert "1 outside" in texts(axes.figure)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_score_is_always_inside(direction):
    result = sample.study(24, direction=direction, metric="profit")
    extreme = 50.0 if direction == "maximize" else -50.0
    result.trials.append(sample.trial(30, score=extreme))
    for figure in (study_plots.history(result), study_plots.slices(result)):
        low, high = draw(figure).axes[0].get_ylim()
        assert low <= extreme <= high
    low, high = draw(study_plots.by_loss(result)).axes[0].get_xlim()
    assert low <= extreme <= high


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_verdict_is_drawn_with_every_comparison_zero_and_margin(direction):
    result = sample_verdict.study("better, because of the loss", direction, margin=0.005)
    [axes] = draw(study_plots.verdict(result)).axes
    drawn = [tuple(line.get_xdata()) for line in axes.get_lines()]
    for comparison in (result.verdict.against_baseline, result.verdict.against_same_rate):
        assert comparison.interval in drawn
        assert (comparison.difference,) in drawn
    assert (0.0, 0.0) in drawn
    [band] = axes.patches
    assert band.get_extents().transformed(axes.transData.inverted()).intervalx == pytest.approx([-0.005, 0.005])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "cross_entropy", "cross_entropy,\nlearning rate of focal",
    ]  # fmt: skip
    assert ("lower" in axes.get_xlabel()) == (direction == "minimize")


@pytest.mark.parametrize(
    ("outer", "won", "title"),
    [
        (0, {}, "toy: focal against cross_entropy, with 95% intervals"),
        (5, {"focal": 5}, "toy: focal against cross_entropy, with 95% intervals"),
        (
            5,
            {"focal": 3, "gce_mild": 2},
            "toy: the loss chosen in each fold against cross_entropy, with 95% intervals",
        ),
    ],
)
def test_a_picture_of_a_verdict_names_both_sides(outer, won, title):
    figure = study_plots.verdict(sample_verdict.study("worse", outer=outer, folds_won=won))
    assert figure.get_suptitle() == title


@pytest.mark.parametrize(("outer", "rows"), [(0, "500 test rows"), (5, "all 500 rows")])
def test_a_picture_of_a_verdict_names_its_rows_as_its_words_do(outer, rows):
    result = sample_verdict.study("worse", outer=outer)
    [axes] = draw(study_plots.verdict(result)).axes
    assert f" on {rows}\n" in axes.get_xlabel()
    assert any(f"n {rows}" in sentence for sentence in verdict.evidence(result, result.verdict))


def test_the_arm_with_the_settings_of_the_winner_is_named_by_what_differs():
    result = sample_verdict.study("better, because of the loss")
    winner = dataclasses.replace(
        result.verdict.winner, learning_rate=result.verdict.baseline.learning_rate, params={"batch_size": 8}
    )
    result.verdict = dataclasses.replace(result.verdict, winner=winner)
    [axes] = draw(study_plots.verdict(result)).axes
    assert axes.get_yticklabels()[1].get_text() == "cross_entropy,\nbatch_size of focal"


def test_no_comparison_no_picture():
    assert study_plots.verdict(sample_verdict.study("not enough data")) is None
    assert study_plots.verdict(sample.study(3)) is None


ODD = {
    "one trial": lambda: sample.study(1),
    "one epoch": lambda: sample.study(0, trials=[sample.trial(n, epochs=1) for n in range(3)]),
    "no epochs": lambda: sample.study(0, trials=[sample.trial(0, curves={})]),
    "equal scores": lambda: sample.study(0, trials=[sample.trial(n, score=1.0) for n in range(12)]),
    "zero scores": lambda: sample.study(0, trials=[sample.trial(n, score=0.0) for n in range(12)]),
    "gaps in curves": lambda: sample.study(0, trials=[sample.trial(0, curves={"val_loss": [1.0, None, math.nan]})]),
    "nothing searched": lambda: sample.study(0, trials=[sample.trial(n, params={}) for n in range(3)]),
    "words as values": lambda: sample.study(
        0, trials=[sample.trial(n, params={"kind": "ab"[n % 2], "flag": bool(n % 2)}) for n in range(4)]
    ),
    "many losses": lambda: many(40),
    "a label that is mathematics": lambda: many(2, "$x_{")
}  # fmt: skip


def many(count, prefix="a_rather_long_label_"):
    labels = {f"{prefix}{n}": "focal" for n in range(count)}
    trials = [sample.trial(n, label, params={f"{label}.q": n / 7, "learning_rate": 0.1 + n})
              for n, label in enumerate(list(labels) * 2)]  # fmt: skip
    return sample.study(0, losses=labels, baseline=f"{prefix}0", trials=trials)


@pytest.mark.parametrize("name", ODD)
def test_odd_studies_are_drawn(name):
    figures = study_plots.figures(ODD[name]())
    assert {"curves", "history", "by_loss"} <= set(figures)
    for figure in figures.values():
        draw(figure)


def test_no_completed_trial_no_picture():
    assert study_plots.figures(sample.study(0, trials=[sample.trial(0, state="failed")])) == {}


def test_labels_do_not_overlap(result):
    """The texts of the axes, as rendered, keep clear of one another."""
    big = dataclasses.replace(result, losses={**result.losses, "unused": "hinge"})
    for figure in study_plots.figures(big).values():
        draw(figure)
        for axes in figure.axes:
            labels = [label for label in axes.get_xticklabels() if label.get_text() and label.get_visible()]
            boxes = [label.get_window_extent() for label in labels if axes.axison]
            assert not any(left.overlaps(right) for left, right in pairwise(boxes))
