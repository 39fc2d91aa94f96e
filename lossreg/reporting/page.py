"""A study as one HTML page that stands alone: what to train with, how sure that is, and all pictures.

The page has plotly.js in it, compressed, and asks for nothing outside of itself, which its content security policy
enforces.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lossreg.errors import InputError
from lossreg.reporting import instructions, leaderboard, report, usage
from lossreg.reporting import verdict as verdict_words
from lossreg.reporting.pictures import figure, pictures
from lossreg.reporting.pictures.differences import differences
from lossreg.storage.records import StudyResult
from lossreg.terminal.masking import masked_values
from lossreg.terminal.plain_text import printable, printable_line
from lossreg.version import __version__

TEMPLATES = Path(__file__).with_name("templates")
CODE = re.compile(r"`([^`]+)`")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
MISSING = "the pictures of the page take Plotly"


def html(result: StudyResult, study: str = "", folder: str = "") -> str:
    """Return the page of a study; study: the study file as commands name it; folder: that of its trials instead.

    Raises `InputError` where Plotly is not installed.
    """
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
        "question": report.question(result),
        "facts": report.facts(result),
        "headings": ["", "loss", *leaderboard.score_headings(result), "against baseline", "trial", "trials"],
        "board": [leaderboard.cells(result, row) for row in result.ranking()],
        "remarks": [line for line in (leaderboard.noise(result), report.caveat(result)) if line] if best else [],
        "recipes": [(trial, ", ".join(usage.besides(trial)), instructions.recipe(trial)) for trial in best],
        "loading": instructions.loading(result, study, folder),
        "command": instructions.repeating(result, study),
        "study_file": toml(result.spec, result.study),
        "warnings": [*report.notes(result), *report.failures(result)],
        "pictures": [(one, list(map(_embedded, one.figures))) for one in pictures(result)],
    }


def _decision(result: StudyResult) -> str:
    """Return the sentence at the top: the verdict's, else the best trial."""
    if result.verdict:
        return verdict_words.decision(result, result.verdict)
    if result.best is None:
        return f"No trial has completed yet ({report.counts(result)})."
    return f"{report.heading(result)}: {result.best.candidate}, without a verdict."


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


def can_be_made() -> bool:
    """Tell whether what the page takes is installed."""
    return find_spec("plotly") is not None


@cache
def plotly_js() -> Any:
    """Return plotly.js, compressed, as text; raises `InputError` where Plotly is not installed."""
    from markupsafe import Markup

    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise InputError(MISSING, hint='pip install "plotly>=6"') from None
    return Markup(base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode())


# ------------------------------------------------------------------------------ the study file


def toml(spec: Mapping[str, Any], name: str) -> str:
    """Return a study as its file could have it, with every key that has a value; none of an address with a password."""
    plain = [f"name = {_toml(name)}"]
    tables = []
    for key, value in spec.items():
        if isinstance(value, Mapping):
            lines = [f"{_key(name)} = {_toml(one)}" for name, one in value.items() if _is_kept(one)]
            tables.append("\n".join([f"[{_key(key)}]", *lines]))
        elif key != "name" and _is_kept(value):
            plain.append(f"{_key(key)} = {_toml(value)}")
    return "\n\n".join(["\n".join(plain), *tables]) + "\n"


def _is_kept(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and instructions.HIDDEN in value)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(name))} = {_toml(one)}" for name, one in value.items() if _is_kept(one))
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (str, bool)) else repr(value)
