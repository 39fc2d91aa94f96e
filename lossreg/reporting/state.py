"""The progress of a study, and the reason why it has no verdict, in words."""

from __future__ import annotations

from lossreg.reporting import last_runs
from lossreg.storage.reached import Reached
from lossreg.storage.study_result import StudyResult

NO_TEST_ROWS = "the study has no test rows"
NOT_ASKED_FOR = "the study asks for none"
NOTHING_TO_COMPARE = "it compares the baseline with another loss, and not both have a score"
NOT_REACHED = "not reached yet"
OUTDATED = (
    "The former verdict is outdated, since trials were added; the next one is exploratory, since the test rows were "
    "looked at before."
)


def sentence(result: StudyResult) -> str:
    """Return that a study still runs, that it was interrupted, or why it has no verdict; empty where it has one."""
    reached, lacking = result.reached, without_verdict(result)
    if reached and reached.is_running:
        now = f" Now: {reached.work}." * bool(reached.work)
        return f"This study still runs: {_counted(reached)}.{now}{_spaced(awaited(result))}"
    if reached and reached.is_interrupted:
        return f"This study was interrupted: {_counted(reached)}.{_spaced(awaited(result))}"
    if result.failure:
        return ""
    return OUTDATED if _is_outdated(result) else f"There is no verdict{_because(lacking)}." if lacking else ""


def in_brief(result: StudyResult) -> str:
    """Return the same as a table's cell: `none yet: still runs, 12 of 64 trials have ended`."""
    reached, lacking = result.reached, without_verdict(result)
    if reached and lacking and not reached.is_over:
        return f"none yet: {progress(result)}" if lacking == NOT_REACHED else f"none: {lacking} ({progress(result)})"
    return "none yet" if lacking == NOT_REACHED else f"none: {lacking}" * bool(lacking)


def progress(result: StudyResult) -> str:
    """Return `still runs, 12 of 64 trials have ended` or `interrupted, ...`; empty of a study that is over."""
    if result.reached is None or result.reached.is_over:
        return ""
    return f"{'still runs' if result.reached.is_running else 'interrupted'}, {_counted(result.reached)}"


def awaited(result: StudyResult) -> str:
    """Return whether a verdict is still to come; empty where there is one, or the study is not known to go on."""
    lacking = without_verdict(result)
    if not lacking or result.reached is None or result.reached.is_over:
        return ""
    if _is_outdated(result):
        return OUTDATED
    return "The verdict is not reached yet." if lacking == NOT_REACHED else f"There will be no verdict: {lacking}."


def without_verdict(result: StudyResult) -> str:
    """Return why a study has no verdict; empty where it has one."""
    if result.verdict:
        return ""
    if result.data.get("rows", {}).get("test") == 0 and not result.spec.get("verdict", {}).get("outer"):
        return NO_TEST_ROWS
    if not last_runs.asks_for_verdict(result):
        return NOT_ASKED_FOR
    is_over = result.reached is None or result.reached.is_over
    is_comparable = len({row.is_baseline for row in result.ranking() if row.best}) == 2
    return NOT_REACHED if is_comparable or not is_over else NOTHING_TO_COMPARE


def _counted(reached: Reached) -> str:
    """Return `12 of 64 trials have ended`, or `all 64 trials have ended`."""
    if reached.ended >= reached.trials:
        return f"all {reached.ended:,} trials have ended"
    return f"{reached.ended:,} of {reached.trials:,} trials have ended"


def _is_outdated(result: StudyResult) -> bool:
    return result.is_outdated and without_verdict(result) == NOT_REACHED


def _spaced(sentence: str) -> str:
    return f" {sentence}".rstrip()


def _because(lacking: str) -> str:
    return " yet" if lacking == NOT_REACHED else f": {lacking}"
