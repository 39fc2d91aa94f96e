"""A study as Markdown: the description that MLflow shows of its parent run, and the file report.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from lossreg.reporting import facts, instructions, leaderboard, pareto, report, state, usage
from lossreg.reporting import verdict as verdict_words
from lossreg.reporting.values import brief, compared, loss_params
from lossreg.storage.study_result import StudyResult
from lossreg.terminal import plain_text
from lossreg.terminal.plain_text import printable, printable_line

SHORTENED = "The recipes below have all numbers in full."
# MLflow may break a line before any other space
SPACE = "&nbsp;&nbsp;"
RECIPES = "## Recipes"
BREAK = "  \n"  # of a line; MLflow breaks long lines of code at blanks, unless they are in a block of code
WIDTH = 70  # of code: longer lines push MLflow's column of tags off a screen of 1,280 pixels
ROW = re.compile(r"\| (?!:?--)")  # of a table, but not the one below its head


def markdown(result: StudyResult, limit: int = 60_000, *, title: bool = True) -> str:
    """Return the study as a Markdown page of at most `limit` characters; parts that do not fit are left out.

    Without a title it is for MLflow, which sets tables without any space between their columns.
    """
    parts = [
        f"# {plain_text.markdown(result.study)}" if title else "",
        *_top_markdown(result),
        _question_markdown(result),
        _section("Leaderboard", leaderboard.markdown(result), _below_leaderboard(result)),
        "" if title else _drawn(result),
        pareto.markdown(result),
        report.caveat(result),
        _settings_markdown(result),
        _loading_markdown(result),
        _recipes_markdown(result),
        _folder_markdown(result),
        _repeating_markdown(result),
        _bullets("Notes", [*report.notes(result), *report.failures(result)]),
        _facts(result),
    ]
    return _fitted([part if title else _spaced(part) for part in parts if part], limit, RECIPES)


def _spaced(part: str) -> str:
    """Return a part of a page with a space between the cells of its tables that Markdown does not drop."""
    lines = (
        line.replace(" |", f"{SPACE} |", line.count(" |") - 1) if ROW.match(line) else line for line in part.split("\n")
    )
    return "\n".join(lines)


def _fitted(parts: Sequence[str], limit: int, spare: str) -> str:
    """Return the parts that fit into the limit, in order; the one that begins with `spare` has what others leave."""
    left_out = "(shortened: the artifact report.md has the rest)"
    room, kept = limit - len(left_out) - 3, []
    for part in sorted(parts, key=lambda part: part.startswith(spare)):
        if len(part) + 2 <= room:
            kept.append(part)
            room -= len(part) + 2
    kept.sort(key=parts.index)
    if len(kept) < len(parts):
        kept.append(left_out)
    return "\n\n".join(kept) + "\n"


def _top_markdown(result: StudyResult) -> list[str]:
    """Return the verdict, how to load the model, how sure the verdict is, the setting to train with and the top score.

    MLflow shows the first lines alone until more is asked for.
    """
    load = list(map(plain_text.code, instructions.from_mlflow(result).splitlines()))
    if result.verdict is None:
        first = BREAK.join([_headline(result), *load])
        state_of_verdict = [*filter(None, [state.awaited(result), instructions.other_model(result), result.failure])]
        return [first, *map(plain_text.markdown, state_of_verdict), *_recommended(result)]
    decision = f"**{plain_text.markdown(verdict_words.decision(result, result.verdict))}**"
    evidence = map(plain_text.markdown, verdict_words.evidence(result, result.verdict))
    progress = plain_text.markdown(state.sentence(result))
    return [BREAK.join([decision, *load]), progress, *evidence, *_recommended(result), _headline(result)]


def _recommended(result: StudyResult) -> list[str]:
    """Return what the recommended trial was trained with, and its recipe."""
    if (trial := result.recommended) is None:
        return []
    name = f"Recommended, trial {trial.number}" if result.verdict else f"Trial {trial.number}"
    return [
        plain_text.markdown(f"{name}, trained with {usage.to_set(result, trial)}:"),
        usage.code_block(trial, WIDTH),
    ]


def _headline(result: StudyResult) -> str:
    progress = "" if result.verdict else state.progress(result)
    if result.best is None:
        return " ".join(filter(None, [report.without_score(result), f"{progress}.".capitalize() * bool(progress)]))
    best, score = result.best, compared(result, result.best)
    heading = f"{report.heading(result)}{' so far' * bool(progress)}"
    top = f"{heading} **{score}**: **{plain_text.markdown(best.candidate)}**, trial {best.number}"
    top = "; ".join(filter(None, [top, progress]))
    top = f"{plain_text.markdown(report.none_kept(result))} {top}".lstrip()
    return "\n\n".join(filter(None, [top, leaderboard.ties(result)]))


def _below_leaderboard(result: StudyResult) -> str:
    return " ".join(filter(None, [leaderboard.about_gain(result), leaderboard.noise(result)]))


def _drawn(result: StudyResult) -> str:
    """Return where MLflow has all losses on one axis, once the study has ended."""
    if len(result.ranking()) < 2 or not _has_ended(result):
        return ""
    return "All losses on one axis: Artifacts, `plots/by_loss.png`. Each chart of Model metrics has an axis of its own."


def _question_markdown(result: StudyResult) -> str:
    """Return what the study asks, and of which data."""
    return _section("Question and data", plain_text.markdown(facts.question(result)), _listed(_data_facts(result)))


def _settings_markdown(result: StudyResult) -> str:
    """Return the best setting of each loss as a table, long vectors shortened: recipes have them whole."""
    rows = [row.best for row in result.ranking() if row.best]
    cells = [(t.candidate, loss_params(t, brief), ", ".join(usage.besides(t, brief)), str(t.number)) for t in rows]
    lines = ["| " + " | ".join(map(plain_text.markdown, row)) + " |" for row in cells]
    table = "\n".join(["| loss | parameters | trained with | trial |", "| :-- | :-- | :-- | --: |", *lines])
    title = f"Parameters of each loss's {result.extreme} {report.kind_of_score(result, result.best)} score"
    return _section(title, table, SHORTENED) if rows else ""


def _loading_markdown(result: StudyResult) -> str:
    """Return the ways to load the model of a study that has ended; that from MLflow is at the top."""
    ways = instructions.loading(result, folder=_folder(result)) if _has_ended(result) else []
    blocks = [
        f"{how}:\n\n```{'sh' if code.startswith('lossreg ') else 'python'}\n{printable(code)}\n```"
        for how, code in ways
        if how != instructions.MLFLOW
    ]
    return _section("Load the model from the study", *blocks, instructions.about_rows(result)) if blocks else ""


def _has_ended(result: StudyResult) -> bool:
    return bool(result.seconds.get("total")) and not result.is_running


def _recipes_markdown(result: StudyResult) -> str:
    rows = [row.best for row in result.ranking() if row.best]
    lines = "\n".join(["```python", "import lossreg", "", *(usage.commented(trial, WIDTH) for trial in rows), "```"])
    lines_beside = dict.fromkeys(line for trial in rows for line in usage.notes(trial))
    notes = " ".join([*lines_beside, plain_text.markdown(usage.labels(result))])
    return "\n\n".join([RECIPES, lines, notes]) if rows else ""


def _folder_markdown(result: StudyResult) -> str:
    """Return where the study is, and the command that shows it and how to go on."""
    if not (folder := _folder(result)):
        return ""
    command = plain_text.code(f"lossreg results {shlex.quote(folder)}")
    where = f"The study is in the folder {plain_text.code(folder)} of the machine that ran it."
    return _section("Where the study is", f"{where} {command} shows it, and what to do next.")


def _folder(result: StudyResult) -> str:
    """Return the folder of a study as commands take it; empty where workers share its storage."""
    return printable_line(str(Path(result.folder).absolute())) if result.folder and not result.is_shared else ""


def _repeating_markdown(result: StudyResult) -> str:
    """Return how to run the study once more, or to go on with it."""
    step = instructions.next_step(result)
    block = f"```sh\n{_in_lines(step.command)}\n```" if step.command else ""
    return _section(step.title, block, " ".join(step.sentences))


def _in_lines(command: str) -> str:
    """Return a command with each option in a line of its own where it is long."""
    if len(command) <= WIDTH:
        return command
    parts = (f"\\\n    {part}" if part.startswith("--") else shlex.quote(part) for part in shlex.split(command))
    return " ".join(parts)


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *filter(None, parts)])


def _data_facts(result: StudyResult) -> dict[str, str]:
    """Return the facts on metric and data."""
    names = ("Metric", "Data", "Labels", "Classes", "Label noise")
    return {name: value for name, value in facts.facts(result).items() if name in names}


def _facts(result: StudyResult) -> str:
    data = _data_facts(result)
    return _section("Facts", _listed({name: value for name, value in facts.facts(result).items() if name not in data}))


def _listed(values: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {plain_text.markdown(value)}" for name, value in values.items())


def _bullets(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"- {plain_text.markdown(line)}" for line in lines)]) if lines else ""
