"""The conclusion of a study on the terminal: its leaderboard, verdict and recipe, and the commands that go on."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossreg.cli.shell import console, display, print_json, say
from lossreg.errors import count_of
from lossreg.storage.journal_keys import is_study_folder
from lossreg.terminal import caller

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.storage.study_result import StudyResult
    from lossreg.storage.trial_record import TrialRecord
    from lossreg.storage.verdict import Verdict

MOST_NOTES = 5  # below the leaderboard; `lossreg results` has all


def show_results(study: Path, spec: StudySpec | None, result: StudyResult) -> None:
    """Print the leaderboard, answer, recipes and notes of a study, and what is missing; spec: None of its folder."""
    from lossreg.reporting import report, state

    show_leaderboard(result)
    _show_end(result)
    if result.recommended:
        _show_recommended(result, result.recommended)
        say("")
    _show_recipes(result)
    _show_notes(result, report.notes(result))
    _show_lacking_in_mlflow(result, study)
    if result.is_running:
        say(state.sentence(result))
    elif spec:
        _show_missing(spec, result, str(study))
    _show_steps(result, study)
    if line := _going_on(spec, result, str(study)):
        say(line, whole=True)


def _going_on(spec: StudySpec | None, result: StudyResult, study: str) -> str:
    """Return how a study goes on that nobody runs and of which something is left; empty of others."""
    from lossreg.reporting import instructions

    reached = result.reached
    if not reached or reached.is_running or reached.work or (reached.is_over and reached.ended >= reached.trials):
        return ""
    cut = "" if reached.is_over else "The study was interrupted. "
    done = f"{cut}Nobody runs this study now: {reached.ended:,} of {reached.trials:,} trials are done."
    return f"{done} `{instructions.going_on(result, study)}` goes on with it." if spec else done


def show_leaderboard(result: StudyResult) -> None:
    """Print the leaderboard, and the Pareto front where several metrics are optimised."""
    from lossreg.reporting import tables

    display(tables.leaderboard(result))
    if result.objectives:
        display(tables.pareto_front(result))


def _show_recipes(result: StudyResult) -> None:
    """Print the recipe of every loss's top trial, one line per loss."""
    for row in result.ranking():
        if row.best:
            say(f"{row.candidate}: {row.best.recipe}", whole=True)
    if result.best:
        say("")


def conclude(result: StudyResult, study: Path, as_json: bool, out: Any, shown: Collection[str] = ()) -> None:
    """Print how a study ended, without the notes that were `shown` while it ran; of many the last, the verdict's."""
    if as_json:
        print_json(result.to_json(), out)
        return
    from lossreg.reporting import report

    _show_end(result)
    new, place = [note for note in report.notes(result) if note not in shown], _place(result, study)
    hidden = max(0, len(new) - MOST_NOTES) if place else 0
    _show_notes(result, new[hidden:])
    if hidden:
        say(f"{count_of(hidden, 'more note')}: lossreg results {shlex.quote(place)}", whole=True)
    if result.recommended:
        _show_recommended(result, result.recommended)
    _show_lacking_in_mlflow(result, study)
    _show_steps(result, study)


def _show_end(result: StudyResult) -> None:
    """Print how a study ended, and what each score is the mean of."""
    from lossreg.reporting import report

    say(report.ended(result, report.epochs(result)))
    if members := report.members(result.spec):
        say(f"each score is the mean of {members}, +- their standard deviation")


def _show_notes(result: StudyResult, notes: Sequence[str]) -> None:
    """Print notes, and why trials failed."""
    from lossreg.reporting import report

    for line in [*(f"note: {note}" for note in notes), *report.failures(result)]:
        say(line)


def _show_lacking_in_mlflow(result: StudyResult, study: Path) -> None:
    if error := "" if is_study_folder(study) else result.tracking.get("error"):
        command = caller.command("sync", result.overrides)
        say(f"MLflow lacks some of it ({error}); write it there: {command}", whole=True)


def _show_steps(result: StudyResult, study: Path) -> None:
    """Print commands and code that go on with a study, one per line, below each other."""
    steps = _steps(result, study)
    width = max(map(len, steps), default=0) + 1
    if steps:
        say("")
    for title, text in steps.items():
        say(f"{f'{title}:':{width}} {text}", whole=True)


def _steps(result: StudyResult, study: Path) -> dict[str, str]:
    """Return commands and code by what they are for; of a study that runs none that needs its model."""
    place = _place(result, study)
    name, steps = shlex.quote(place), {}
    if place and result.is_running:
        steps["Watch the study"] = f"lossreg watch {name}"
    elif place and result.recommended:
        from lossreg.reporting import instructions

        steps["Predict new rows"] = f"lossreg predict {name} ROWS -o {instructions.predicted(result)}"
        steps["In Python"] = f"lossreg.load_predictor({json.dumps(place, ensure_ascii=False)})"
    if place:
        steps["One HTML page"] = f"lossreg report {name}"
    # `ui` takes the file of a study alone
    if result.tracking.get("run_id") and not result.tracking.get("error") and not is_study_folder(study):
        steps["Look closer"] = _command("ui", result, study)
    return steps


def _place(result: StudyResult, study: Path) -> str:
    """Return the path for commands that take no `--set`: the folder of a study that was renamed, empty if shared."""
    from lossreg.reporting import instructions

    if not instructions.renaming(result):
        return str(study)
    return result.folder if is_study_folder(result.folder) else ""


def _command(name: str, result: StudyResult, study: Path) -> str:
    """Return a command that takes the file of a study, and the name that it was given instead."""
    from lossreg.cli import interrupts
    from lossreg.reporting import instructions

    return interrupts.resuming(name, study, instructions.renaming(result))


def is_one_stream() -> bool:
    """Tell whether standard output and standard error go to the same place, so that messages need no repetition."""
    try:
        out, err = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino)


def _show_recommended(result: StudyResult, trial: TrialRecord) -> None:
    """Print the verdict, and the recipe to train with."""
    from lossreg.reporting import leaderboard, report, usage

    say(f"\n{report.caveat(result)}")
    ties = "" if result.verdict else leaderboard.ties(result)
    for line in filter(None, [ties, leaderboard.close(result)]):
        say(line)
    if result.verdict:
        _show_verdict(result, result.verdict)
    say("")
    say(report.recommended(result), whole=True)
    say(" ".join([*usage.notes(trial), usage.labels(result)]))


def _show_verdict(result: StudyResult, verdict: Verdict) -> None:
    """Print what to train with, and how sure that is: the interval as a line where it fits, a table, sentences."""
    from lossreg.reporting import interval, tables, verdict_table
    from lossreg.reporting import verdict as words

    page = console()
    say("")
    display(tables.cell(words.decision(result, verdict), tables.BEST), whole=True)
    if line := interval.line(verdict, page.width, unicode=page.encoding.lower().startswith("utf")):
        say(line)
    comparisons = verdict_table.table(result, verdict)
    if comparisons:
        say("")
        display(comparisons)
    for text in words.evidence(result, verdict, has_table=comparisons is not None):
        say(text)


def _show_missing(spec: StudySpec, result: StudyResult, study: str) -> None:
    """Print the commands that do what is missing of a study that nobody runs."""
    for text in filter(None, (_unconfirmed(spec, result, study), _without_verdict(spec, result, study))):
        say(text, whole=True)


def _unconfirmed(spec: StudySpec, result: StudyResult, study: str) -> str:
    """Return which command confirms the best settings; empty where they are, or need not be."""
    from lossreg.reporting import instructions
    from lossreg.search import completion

    if completion.is_confirmed(spec, result):
        return ""
    command = instructions.going_on(result, study)
    return f"These are scores of the search: `{command}` confirms the best settings on fresh splits."


def _without_verdict(spec: StudySpec, result: StudyResult, study: str) -> str:
    """Return the commands that reach a verdict; empty where there is one, or nothing to compare."""
    from lossreg.reporting import instructions
    from lossreg.search import completion

    if result.verdict or not spec.has_verdict or not completion.is_comparable(result):
        return ""
    on_these = f"`{instructions.going_on(result, study, 'verdict')}` reaches one on the trials that there are."
    is_awaited = spec.verdict.enabled and not result.failure
    rest = f"`{instructions.going_on(result, study)}` runs what is missing and reaches one; " if is_awaited else ""
    return f"There is no verdict yet. {rest}{on_these}"
