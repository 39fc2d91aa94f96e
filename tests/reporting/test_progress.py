"""What is shown while trials run: lines and the live display, of the first epoch of the first trials on."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import replace

import pytest
import sample_study as sample
from rich.console import Console

from lossreg.reporting.pace import Pace
from lossreg.reporting.progress import Display, Lines
from lossreg.reporting.watcher import so_far, where
from lossreg.storage.constraints import Constraint
from lossreg.storage.observer import Running


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
    assert written[1].startswith("0/8 trials, 4 in epoch 4 of 30, highest accuracy so far 0.533 (focal), ")
    assert written[1].endswith("15.0 s per trial, 1:54 left")  # 57 epochs of 2 s
    assert not [letter for line in written for letter in line if not letter.isprintable()]


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


def test_a_score_in_training_is_shown_only_where_none_that_stands_is_as_good():
    study = sample.study(12)
    top = study.best.score
    assert so_far(study, [Running("huber", 3, 30, top)]).startswith(f"{study.extreme} {study.metric} {top:.5g}"[:20])
    assert "so far" not in so_far(study, [Running("huber", 3, 30, top), Running("huber", 1, 30, None)])
    better = top + study.sign * 0.001
    assert so_far(study, [Running("huber", 3, 30, better)]).endswith("(huber)")
    # whether it will keep a constraint is not known
    bound = dataclasses.replace(study, constraints=(Constraint("recall", 0.9, "maximize"),))
    assert "huber" not in so_far(bound, [Running("huber", 3, 30, better)])


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


def display(wave, **options):
    console = Console(file=io.StringIO(), force_terminal=True, width=110, color_system=None)
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
    assert "0/8 trials 7.5 s per trial, 0:58 left, 4 running, in epoch 3 of 30" in " ".join("\n".join(lines).split())


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
