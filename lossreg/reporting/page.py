"""A study as one HTML page that stands alone: what to train with, how sure that is, and all pictures.

The page has plotly.js in it, compressed, and asks for nothing outside of itself, which its content security policy
enforces.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lossreg.reporting import facts, instructions, last_runs, leaderboard, report, state, toml_text, usage
from lossreg.reporting import verdict as verdict_words
from lossreg.reporting.pictures import figure, pictures
from lossreg.reporting.pictures.differences import differences
from lossreg.storage.study_result import StudyResult
from lossreg.terminal.masking import masked_values
from lossreg.terminal.plain_text import printable, printable_line
from lossreg.version import __version__

TEMPLATES = Path(__file__).with_name("templates")
CODE = re.compile(r"`([^`]+)`")
ERROR = re.compile(r"(\+- \S+)$")


def html(result: StudyResult, study: str = "", folder: str = "") -> str:
    """Return the page of a study; study: the study file as commands name it; folder: that of its trials instead."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters.update(line=printable_line, whole=printable, words=_with_code, names=_breakable, score=_score)
    return environment.get_template("page.html").render(
        **_facts(result, study, folder),
        style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "page.js").read_text(encoding="utf-8"),
        plotly=plotly_js(),
        ink=figure.INK,
        grid=figure.GRID,
    )


def _facts(result: StudyResult, study: str, folder: str) -> dict[str, Any]:
    """Return what the page shows, by the name that its template has for it."""
    best = [row.best for row in result.ranking() if row.best]
    of_verdict, step = differences(result), instructions.next_step(result, study, folder)
    return {
        "result": result,
        "version": __version__,
        "decision": _decision(result),
        "state": _state(result),
        "going_on": step.command if result.reached and not result.reached.is_over else "",
        "evidence": _evidence(result),
        "recipe": instructions.recipe(result.recommended) if result.recommended else "",
        "recipe_heading": report.recipe_heading(result),
        "trained_with": usage.to_set(result, result.recommended) if result.recommended else "",
        "recipe_notes": [*usage.notes(result.recommended), usage.labels(result)] if result.recommended else [],
        "interval": _embedded(of_verdict) if of_verdict else "",
        "question": facts.question(result),
        "facts": facts.facts(result),
        "headings": leaderboard.headings(result),
        "board": leaderboard.cells(result),
        "remarks": leaderboard.remarks(result) if best else [],
        "recipes": [(trial, ", ".join(usage.besides(trial)), instructions.recipe(trial)) for trial in best],
        "loading": [] if result.is_running else instructions.loading(result, study, folder),
        "rows": instructions.about_rows(result),
        "paths": instructions.start_of_paths(study, folder),
        "step": step,
        "study_file": toml_text.of_study(last_runs.spec(result), result.study),
        "warnings": [*report.notes(result), *report.failures(result)],
        "pictures": [(one, list(map(_embedded, one.figures))) for one in pictures(result)],
    }


def _decision(result: StudyResult) -> str:
    """Return the sentence at the top: the verdict's, else the best trial."""
    if result.verdict:
        return verdict_words.decision(result, result.verdict)
    if result.best is None:
        return report.without_score(result)
    so_far = " so far" * bool(result.reached and not result.reached.is_over)
    return f"{report.none_kept(result)}{report.heading(result)}{so_far}: {result.best.candidate}."


def _state(result: StudyResult) -> str:
    """Return how far the study is where it has not ended, with the time of the page, or why it has no verdict."""
    written = f" This page was written at {time.strftime('%H:%M:%S on %Y-%m-%d')}."
    return f"{words}{written * result.is_running}" if (words := state.sentence(result)) else ""


def _evidence(result: StudyResult) -> list[str]:
    if result.verdict:
        return verdict_words.evidence(result, result.verdict)
    return list(filter(None, [result.failure, leaderboard.ties(result), leaderboard.close(result)]))


def _with_code(text: str) -> Any:
    """Return a sentence as HTML, what stands between backticks as code."""
    from markupsafe import Markup, escape

    return Markup(CODE.sub(_code, str(escape(printable_line(text)))))


def _code(match: re.Match[str]) -> str:
    """Return code as an element, each of its words as one that is broken only where it is longer than a line."""
    words = " ".join(f"<span>{word}</span>" for word in match[1].split(" "))
    return f"<code>{words}</code>"


def _breakable(text: str) -> Any:
    """Return text as HTML in which names may be broken after an underscore."""
    from markupsafe import Markup, escape

    return Markup(str(escape(printable_line(text))).replace("_", "_<wbr>"))


def _score(text: str) -> Any:
    """Return a cell as HTML, broken before `+-` alone where it has no room in a line."""
    from markupsafe import Markup, escape

    return Markup(ERROR.sub(r"<span>\1</span>", str(escape(printable_line(text)))))


# ------------------------------------------------------------------------------ what the page has in it


def _embedded(spec: Mapping[str, Any]) -> Any:
    """Return a figure as JSON inside a script element, which no text of it can end."""
    from markupsafe import Markup

    text = json.dumps(masked_values(spec), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


@cache
def plotly_js() -> Any:
    """Return plotly.js, compressed, as text."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    return Markup(base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode())
