"""A study as one HTML page that stands alone: what to train with, how sure that is, and all pictures.

The page has plotly.js in it, compressed, and asks for nothing outside of itself, which its content security policy
enforces.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lossreg.reporting import facts, instructions, leaderboard, report, toml_text, usage
from lossreg.reporting import verdict as verdict_words
from lossreg.reporting.pictures import figure, pictures
from lossreg.reporting.pictures.differences import differences
from lossreg.storage.study_result import StudyResult
from lossreg.terminal.masking import masked_values
from lossreg.terminal.plain_text import printable, printable_line
from lossreg.version import __version__

TEMPLATES = Path(__file__).with_name("templates")
CODE = re.compile(r"`([^`]+)`")


def html(result: StudyResult, study: str = "", folder: str = "") -> str:
    """Return the page of a study; study: the study file as commands name it; folder: that of its trials instead."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters.update(line=printable_line, whole=printable, words=_with_code)
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
    of_verdict = differences(result)
    return {
        "result": result,
        "version": __version__,
        "decision": _decision(result),
        "evidence": _evidence(result),
        "recipe": instructions.recipe(result.recommended) if result.recommended else "",
        "recipe_heading": report.recipe_heading(result),
        "recipe_notes": [*usage.notes(result.recommended), usage.labels(result)] if result.recommended else [],
        "interval": _embedded(of_verdict) if of_verdict else "",
        "question": facts.question(result),
        "facts": facts.facts(result),
        "headings": ["", "loss", *leaderboard.score_headings(result), "against baseline", "trial", "trials"],
        "board": [leaderboard.cells(result, row) for row in result.ranking()],
        "remarks": [line for line in (leaderboard.noise(result), report.caveat(result)) if line] if best else [],
        "recipes": [(trial, ", ".join(usage.besides(trial)), instructions.recipe(trial)) for trial in best],
        "loading": instructions.loading(result, study, folder),
        "command": instructions.repeating(result, study),
        "repeats": instructions.about_repeating(result),
        "study_file": toml_text.of_study(result.spec, result.study),
        "warnings": [*report.notes(result), *report.failures(result)],
        "pictures": [(one, list(map(_embedded, one.figures))) for one in pictures(result)],
    }


def _decision(result: StudyResult) -> str:
    """Return the sentence at the top: the verdict's, else the best trial."""
    if result.verdict:
        return verdict_words.decision(result, result.verdict)
    if result.best is None:
        return f"No trial has completed yet ({report.counts(result)})."
    return f"{report.none_kept(result)}{report.heading(result)}: {result.best.candidate}, without a verdict."


def _evidence(result: StudyResult) -> list[str]:
    if result.verdict:
        return verdict_words.evidence(result, result.verdict)
    return list(filter(None, [result.failure, leaderboard.ties(result), leaderboard.close(result)]))


def _with_code(text: str) -> Any:
    """Return a sentence as HTML, what stands between backticks as code."""
    from markupsafe import Markup, escape

    return Markup(CODE.sub(r"<code>\1</code>", str(escape(printable_line(text)))))


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
