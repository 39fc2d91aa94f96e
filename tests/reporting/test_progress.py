"""What is shown while trials run: lines and the live display, of the first epoch of the first trials on."""

from __future__ import annotations

import io
import itertools
import threading
import time
from dataclasses import replace

import pytest
import sample_study as sample
from rich.console import Console

from lossreg.reporting import values
from lossreg.reporting.pace import FIRST, FURTHER, WRITING, Pace
from lossreg.reporting.progress import Display, Lines
from lossreg.reporting.ticker import Ticker
from lossreg.reporting.watcher import where
from lossreg.storage.activity import Activity
from lossreg.storage.observer import Ahead, Running


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Wave:
    """Trials that run side by side, each for so many epochs; `study` has none that ended."""

    def __init__(self, trials=4, epochs=30):
        self.study, self.clock = replace(sample.study(12), trials=[]), Clock()
        self.trials, self.epochs, self.epoch = trials, epochs, 0

    def running(self):
        scores = [None if not self.epoch else 0.5 + 0.01 * self.epoch + 0.001 * n for n in range(self.trials)]
        return [Running("focal", self.epoch, self.epochs, score) for score in scores]

    def begin(self, watcher, total=8):
        watcher.begin(total, 0, list(self.study.losses), self.trials)
        watcher.look(self.study, self.running)

    def train(self, watcher, seconds):
        self.epoch += 1
        self.clock.now += seconds
        watcher.epoch(self.trials, self.epoch)


def test_a_line_comes_every_few_seconds_before_any_trial_has_ended():
    written, wave = [], Wave()
    lines = Lines(written.append, wave.clock)
    wave.begin(lines)
    for _ in range(10):
        wave.train(lines, 2.0)
    assert len(written) == 1 + 3
    assert written[1].startswith("0/8 trials, 4 in epoch 4 of 30, 15.0 s per trial, ")
    assert written[1].endswith("15.0 s per trial, 1:54 left")  # 57 epochs of 2 s
    assert not [letter for line in written for letter in line if not letter.isprintable()]


def test_a_line_on_trials_that_have_ended_does_not_say_in_which_epoch_others_are():
    written, wave = [], Wave()
    lines = Lines(written.append, wave.clock)
    wave.begin(lines)
    for number in range(2):
        lines.trial(sample.trial(number), wave.study)
    for _ in range(2):
        wave.train(lines, 6.0)
    assert [line[:10] for line in written[1:]] == ["2/8 trials", "2/8 trials"]
    assert ["in epoch" in line for line in written[1:]] == [False, True], "no more trials have ended"


def test_a_line_comes_every_few_seconds_also_while_an_epoch_lasts():
    written, wave = [], Wave()
    lines = Lines(written.append, wave.clock)
    wave.begin(lines)
    for _ in range(12):
        wave.clock.now += 1.0
        lines.meanwhile()
    assert len(written) == 1 + 2
    assert written[1].startswith("0/8 trials, 4 in epoch 1 of 30")
    lines.searched()
    wave.clock.now += 60.0
    lines.meanwhile()
    assert len(written) == 3, "nothing is searched any more"


def test_the_first_epoch_in_which_programs_are_compiled_does_not_count_in_the_time_left():
    wave = Wave()
    pace = Pace(wave.clock)
    pace.begin(8, 0)
    pace.look(wave.running)
    assert str(pace) == ""
    for seconds in (300.0, 1.0, 1.0):
        wave.epoch += 1
        wave.clock.now += seconds
        pace.epoch()
    # 2 waves of 30 epochs of a second, of which 3 are done
    assert str(pace).endswith("s per trial, 0:57 left")


def test_what_follows_the_search_counts_in_the_time_left_and_in_the_end_by_its_own_speed():
    wave = Wave()
    lines = Lines([].append, wave.clock)
    wave.begin(lines)
    lines.expect(Ahead(confirm=100, verdict=(60,), in_folds=(10**6,), most=120.0, per_trial=2))
    for seconds in (11.0, 1.0, 1.0):
        wave.train(lines, seconds)
    search = lines.pace.left()
    # 57 epochs of 7.5 s per trial and so 3.75 s per training; 10 s of setting up, of which parts take a share
    assert search == pytest.approx(57 + 160 * 3.75 + 10 * (FIRST + FURTHER) + WRITING)
    lines.searched()
    lines.retrained("confirming", 0, 100)
    before = lines.pace.left()
    wave.clock.now += 4.0
    assert lines.pace.left() == pytest.approx(before - 4.0)
    lines.retrained("confirming", 10.0, 100)
    lines.epoch(100, 1)
    wave.clock.now += 1.0
    lines.retrained("confirming", 20.0, 100)
    # 80 more take 8 s, and 60 of the verdict what they took in the search; 3 s of the 4 were setting it up
    assert lines.pace.left() == pytest.approx(8 + 60 * 3.75 + 3 * FURTHER / FIRST + WRITING)
    lines.retrained("verdict", 0, 60)
    lines.retrained("verdict", 6, 60)
    lines.epoch(60, 1)
    wave.clock.now += 2.0
    lines.retrained("verdict", 12, 60)
    assert lines.pace.left() == pytest.approx(16.0, abs=2.0)  # and what is written in the end


def test_no_time_left_is_told_while_setting_up_takes_longer_than_expected():
    wave = Wave()
    lines = Lines([].append, wave.clock)
    wave.begin(lines)
    lines.expect(Ahead(verdict=(60,)))
    for seconds in (11.0, 1.0, 1.0):
        wave.train(lines, seconds)
    lines.searched()
    lines.retrained("verdict", 0, 60)
    shown = []
    for _ in range(40):
        wave.clock.now += 1.0
        shown.append(lines.pace.left())
    known = [left for left in shown if left is not None]
    assert known == sorted(known, reverse=True)
    assert shown[-1] is None
    assert lines.doing() == "verdict: setting up 60 trainings, 0:40 so far"
    lines.retrained("verdict", 0.4, 60)
    assert lines.doing() == "verdict: under 1% of 60 trainings"


def test_the_time_left_does_not_rise_while_an_epoch_lasts():
    wave = Wave()
    lines = Lines([].append, wave.clock)
    wave.begin(lines)
    lines.retrained("verdict", 0, 60)
    for done in (20, 40):
        wave.clock.now += 4.0
        lines.retrained("verdict", done, 60)
        lines.epoch(20, 1)
    shown = []
    for _ in range(6):
        wave.clock.now += 1.0
        shown.append(lines.pace.left())
    assert shown == [3.0, 2.0, 1.0, None, None, None]


def test_parts_of_a_verdict_that_have_no_training_are_not_waited_for():
    wave = Wave()
    lines = Lines([].append, wave.clock)
    wave.begin(lines)
    wave.train(lines, 1.0)
    wave.train(lines, 1.0)
    lines.searched()
    lines.expect(Ahead(verdict=(50, 0, 60)))
    for task, total in (("the search again", 50), ("winner and baseline", 60)):
        lines.retrained(task, 0, total)
        lines.retrained(task, total / 2 - 1, total)
        lines.epoch(4, 1)
        wave.clock.now += 1.0
        lines.retrained(task, total / 2, total)
    assert lines.pace.left() == pytest.approx(30 + WRITING)


def test_without_a_search_no_time_left_is_told_before_the_first_epoch_of_what_follows_it():
    wave = Wave()
    lines = Lines([].append, wave.clock)
    lines.retrained("verdict", 0, 60)
    wave.clock.now += 10.0
    lines.retrained("verdict", 6, 60)
    assert lines.pace.left() is None
    lines.epoch(60, 1)
    wave.clock.now += 1.0
    lines.retrained("verdict", 12, 60)
    assert lines.pace.left() == pytest.approx(8.0)


def test_work_after_the_search_has_a_first_line_and_one_every_few_seconds_and_none_is_there_twice():
    written, wave = [], Wave()
    lines = Lines(written.append, wave.clock)
    lines.phase("loading data")
    for _ in range(6):
        wave.clock.now += 1.0
        lines.meanwhile()
    lines.retrained("confirming", 0, 40)
    for step in range(40):
        wave.clock.now += 0.25
        lines.retrained("confirming", step + 1, 40)
    lines.meanwhile()
    lines.close()
    wave.clock.now += 60.0
    lines.meanwhile()
    heads = [line.partition(",")[0] for line in written]
    assert heads[:2] == ["loading data", "loading data"]
    assert written[1] == "loading data, 0:05 so far"
    assert heads[2:] == [f"confirming: {share} 40 trainings" for share in ("setting up", "50% of", "100% of")]


def test_lines_come_by_themselves_while_nothing_is_told_of_the_study():
    came = threading.Event()
    ticks = itertools.count(0.0, 10.0).__next__  # the time of each look
    lines = Lines(lambda text: "so far" in text and came.set(), ticks, ticker=Ticker(0.001))
    lines.phase("loading data")
    try:
        assert came.wait(60)
    finally:
        lines.close()


def test_what_another_process_does_is_shown_with_the_speed_and_the_time_left_that_it_says():
    written, wave = [], Wave()
    lines, now = Lines(written.append, wave.clock), time.time()
    lines.follow(Activity("study toy: loading data", since=now - 30, at=now))
    wave.begin(lines)
    lines.follow(Activity("", at=now, speed="7.0 trials/s", left=95.0))
    wave.train(lines, 6.0)
    assert written[-1].startswith("0/8 trials, 4 in epoch 2 of 30, 7.0 trials/s, 1:3")
    assert ", 7.0 trials/s, 1:3" in written[-1]
    lines.follow(Activity("verdict", 3.5, 60, now, now, "7.0 trials/s", 20.0))
    assert written[-1].startswith("verdict: 5% of 60 trainings, 0:")
    assert not lines.training
    lines.follow(Activity("verdict", 6.0, 60, now, time.time()))
    wave.clock.now += 10.0
    assert lines.doing() == "verdict: 10% of 60 trainings"
    lines.follow(Activity("verdict", 9.0, 60, now, time.time(), "", 90.0))
    assert lines.doing() in ("verdict: 15% of 60 trainings, 1:30 left", "verdict: 15% of 60 trainings, 1:29 left")


def test_the_display_shows_trainings_after_the_search_beside_a_bar():
    wave = Wave()
    shown, console = display(wave)
    wave.begin(shown)
    shown.searched()
    # of ten trainings side by side, a tenth each
    shown.retrained("verdict: winner and baseline", 5 + sum([0.1] * 10), 60)
    console.print(shown.render())
    shown.close()
    assert "verdict: winner and baseline: 10% of 60 trainings" in " ".join(console.file.getvalue().split())


@pytest.mark.parametrize("epochs", [30, 0])
def test_the_score_of_a_trial_in_training_which_may_fall_is_not_the_highest(epochs):
    written, study = [], sample.study(12)
    lines = Lines(written.append)
    better = study.best.score + study.sign * 0.001
    lines.look(study, lambda: [Running("huber", 3, epochs, better)])
    lines.begin(16, 12, list(study.losses), 4)
    assert f"{study.extreme} {study.metric} {values.number(study.best.score)} ({study.best.candidate}" in lines.doing()


@pytest.mark.parametrize(("width", "beside"), [(80, False), (120, True)])
def test_a_text_that_has_no_room_beside_the_bar_stands_below_it(width, beside):
    wave = Wave()
    shown, console = display(wave, width)
    wave.begin(shown)
    wave.train(shown, 1.0)
    wave.train(shown, 1.0)
    shown.close()
    with console.capture() as capture:
        console.print(shown.render())
    [line] = [line for line in capture.get().splitlines() if "0/8 trials" in line]
    assert line.rstrip().endswith("0/8 trials, 7.5 s per trial, 0:58 left, 4 running, in epoch 3 of 30")
    assert ("━" in line) is beside


@pytest.mark.parametrize(
    ("epochs", "text"),
    [
        ([(3, 30)], "in epoch 4 of 30"),
        ([(3, 30), (9, 30), (1, 1)], "in epochs 4 to 10 of 30"),
        ([(0, 0)], ""),
        ([(30, 30)], ""),
        ([], ""),
    ],
)
def test_where_trials_are(epochs, text):
    assert where([Running("focal", epoch, of, None) for epoch, of in epochs]) == text


class Pressed:
    """Keys that a test presses."""

    def __init__(self):
        self.are_read, self.text = False, ""

    def start(self):
        self.are_read = True

    def stop(self):
        self.are_read = False

    def pressed(self):
        text, self.text = self.text, ""
        return text


def display(wave, width=110, **options):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    return Display(console, wave.clock, **options), console


def test_the_display_shows_what_each_loss_has_had_before_any_trial_has_ended():
    wave = Wave()
    shown, console = display(wave)
    wave.begin(shown)
    wave.train(shown, 1.0)
    wave.train(shown, 1.0)
    console.print(shown.render())
    shown.close()
    lines = console.file.getvalue().splitlines()
    assert [line.split() for line in lines if line.split()[:1] == ["focal"]][-1][-3:] == ["0", "4", "100%"]
    assert "0/8 trials, 7.5 s per trial, 0:58 left, 4 running, in epoch 3 of 30" in " ".join("\n".join(lines).split())


@pytest.mark.parametrize(("width", "most_lines"), [(40, 3), (20, 5)])
def test_a_narrow_display_has_whole_names_and_scores_and_no_bar(width, most_lines):
    wave = Wave()
    wave.study = sample.study(12)
    shown, console = display(wave, width)
    wave.begin(shown)
    wave.train(shown, 1.0)
    shown.close()
    with console.capture() as capture:
        console.print(shown.render())
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    board = "".join(word for word in " ".join(lines).split() if not word[0].isdigit())
    assert all(name in board for name in wave.study.losses)
    numbers = {values.number(row.best.score) for row in wave.study.ranking()}
    assert numbers <= set(" ".join(lines).split())
    assert "━" not in "".join(lines)
    work = next(place for place, line in enumerate(lines) if line.startswith("0/8 trials"))
    assert len(lines) - work <= most_lines


def test_q_ends_the_study_after_the_epoch_and_other_keys_do_not():
    wave, pressed = Wave(), Pressed()
    shown, console = display(wave, keys=pressed)
    pressed.text = "q"
    assert not shown.stopping(), "nothing is trained yet"
    pressed.text = ""
    wave.begin(shown)
    assert pressed.are_read
    pressed.text = "x\x1b[A"
    assert not shown.stopping()
    console.print(shown.render())
    pressed.text = "Q"
    assert shown.stopping()
    console.print(shown.render())
    shown.close()
    assert not pressed.are_read
    text = console.file.getvalue()
    assert text.index("q ends after this epoch") < text.index("q: finishing the epoch; Ctrl-C ends at once")


def test_q_leaves_at_any_time_a_study_that_another_process_runs():
    wave, pressed = Wave(), Pressed()
    shown, _ = display(wave, keys=pressed)
    shown.is_onlooker = True
    wave.begin(shown)
    shown.searched()
    shown.phase("8 trials done; the study is being finished")
    assert pressed.are_read
    assert not shown.stopping()
    pressed.text = "q"
    assert shown.stopping()
    shown.close()
    assert not pressed.are_read
