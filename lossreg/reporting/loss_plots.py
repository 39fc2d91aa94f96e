"""Pictures of losses: loss and gradient for several values of each parameter, and sheets of many losses.

`figure` draws one loss, `sheet` several as small pictures, `write` a folder of them with an index.
Figures have no window and no global state.
"""

from __future__ import annotations

import io
import math
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossreg.contract.spec import LossSpec
from lossreg.errors import InputError, LossregError, contained, one_line
from lossreg.reporting import loss_curves
from lossreg.reporting.loss_curves import Panel, View
from lossreg.reporting.plot_data import COLOURS, GREY
from lossreg.reporting.study_plots import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
INDEX = "index.md"
HEADING = "# Losses, drawn"
# an axis ends this many ranges of the default's curve beyond that curve; the rest is not shown
REACH, REACH_OF_REFERENCE = 1.5, 0.5
# visible on a curve that equals the reference
DARK, DASHES = "#444444", (0, (3, 3))


def figure(spec: LossSpec) -> Figure:
    """Draw loss (above) and gradient (below), one column per parameter; raises `LossregError` if the loss fails."""
    seen, panels = _computed(spec)
    shown = [_shown(panel, seen) for panel in panels]
    drawn = new_figure(max(3.7 * len(panels), 5.5), 6.6)
    grid = drawn.subplots(2, len(panels), squeeze=False, sharex=True)
    for column, (panel, lowered) in enumerate(shown):
        above, below = grid[0][column], grid[1][column]
        _draw(above, panel, seen, "loss")
        _draw(below, panel, seen, "gradient")
        above.set_title(panel.title, fontsize=10, weight="bold", parse_math=False)
        above.set_ylabel("loss, minus its minimum" if lowered else "loss" if column == 0 else "")
        below.set_xlabel(seen.axis, fontsize=9, parse_math=False)
        _legend(above, columns=2, size=8)
    grid[1][0].set_ylabel(f"gradient by {seen.symbol}")
    title = "\n".join([spec.name, *textwrap.wrap(spec.formula, 42 * len(panels) + 24)])
    drawn.suptitle(title, fontsize=11, parse_math=False)
    drawn.supxlabel(_note(spec, seen, panels), fontsize=8, color=GREY, parse_math=False)
    return drawn


def sheet(specs: Sequence[LossSpec]) -> Figure:
    """Draw a small picture per loss, with values of its first parameter; raises `LossregError` if a loss fails."""
    rows = math.ceil(len(specs) / 4)
    width = math.ceil(len(specs) / rows)
    drawn = new_figure(2.6 * width, 2.8 * rows)
    grid = list(drawn.subplots(rows, width, squeeze=False).flat)
    for axes, spec in zip(grid, specs, strict=False):
        seen, panels = _computed(spec)
        panel = next((one for one in panels if any(curve.default for curve in one.curves)), panels[0])
        _draw(axes, _shown(panel, seen)[0], seen, "loss")
        varied = panel.title.partition(" (")[0]
        title = f"{spec.name}: {varied}" if varied else spec.name
        axes.set_title(title, fontsize=9 if len(title) < 30 else 7.5, parse_math=False)
        axes.set_xlabel(seen.axis, fontsize=6.5, parse_math=False)
        axes.tick_params(labelsize=7)
        _legend(axes, columns=2, size=6, below=-0.24)
    for axes in grid[len(specs) :]:
        axes.set_axis_off()
    return drawn


def _computed(spec: LossSpec) -> tuple[View, list[Panel]]:
    try:
        with contained():
            seen = loss_curves.view(spec)
            return seen, loss_curves.panels(spec, seen)
    except InputError:
        raise
    except Exception as error:
        raise LossregError(f"loss {spec.name!r} cannot be drawn: {one_line(error)}") from error


def _note(spec: LossSpec, seen: View, panels: Sequence[Panel]) -> str:
    shown = sum(any(curve.default for curve in panel.curves) for panel in panels)
    left = f"The first {shown} of {len(spec.params)} parameters. " if shown < len(spec.params) else ""
    thick = "Thick: as published. " if shown else ""
    return f"{left}{thick}{seen.note}"


# --------------------------------------------------------------------------------- drawing


def _draw(axes: Axes, panel: Panel, seen: View, kind: str) -> None:
    """Draw the curves of a panel; `kind` is loss or gradient."""
    plain(axes)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    colours = iter(COLOURS[1:])
    for curve in panel.curves:
        colour, width = (COLOURS[0], 2.8) if curve.default else (next(colours), 1.4)
        (line,) = axes.plot(curve.x, getattr(curve, kind), color=colour, linewidth=width, zorder=3 - curve.default)
        line.set_label(curve.label)
    reference = _reference(panel, seen, kind)
    if reference is not None and seen.reference is not None:
        x, name = panel.curves[0].x, seen.reference[0]
        axes.plot(x, reference, linestyle=DASHES, color=DARK, linewidth=1.2, label=name, zorder=4)
    axes.set_ylim(*_limits(panel, kind, reference))
    axes.set_xlim(seen.low, seen.high)


def _reference(panel: Panel, seen: View, kind: str) -> Any:
    """Return the reference curve, None where there is none or the loss equals it."""
    if seen.reference is None:
        return None
    _, loss, gradient = seen.reference
    x = panel.curves[0].x
    same = any(np.allclose(curve.loss, loss(x), atol=1e-4) for curve in panel.curves if curve.default)
    return None if same else (loss if kind == "loss" else gradient)(x)


def _shown(panel: Panel, seen: View) -> tuple[Panel, bool]:
    """Return a panel and whether each curve's minimum was subtracted, as for curves that would not be visible."""
    low, high = _limits(panel, "loss")
    spans = [_span(curve.loss) for curve in panel.curves]
    if not seen.from_minimum and all(least < high and most > low for least, most in spans):
        return panel, False
    lowered = (replace(curve, loss=curve.loss - _span(curve.loss)[0]) for curve in panel.curves)
    return Panel(panel.title, tuple(lowered)), True


def _limits(panel: Panel, kind: str, reference: Any = None) -> tuple[float, float]:
    """Return the range of all curves, at most `REACH` ranges of the default's curve beyond it."""
    every = [_span(getattr(curve, kind)) for curve in panel.curves]
    main = _hull([_span(getattr(curve, kind)) for curve in panel.curves if curve.default] or every)
    low, high = _clipped(_hull(every), main, REACH)
    if reference is not None:
        low, high = _hull([(low, high), _clipped(_span(reference), main, REACH_OF_REFERENCE)])
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _hull(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in spans), max(high for _, high in spans)


def _clipped(span: tuple[float, float], main: tuple[float, float], reach: float) -> tuple[float, float]:
    beyond = reach * (main[1] - main[0]) or math.inf
    return max(span[0], main[0] - beyond), min(span[1], main[1] + beyond)


def _span(values: Any) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _legend(axes: Axes, columns: int, size: float, below: float = -0.02) -> None:
    if len(axes.get_lines()) > 2:
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, below), ncols=columns, frameon=False, fontsize=size,
            handlelength=1.4, columnspacing=1.0,
        )  # fmt: skip


# ----------------------------------------------------------------------------------- files


def is_folder(path: Path) -> bool:
    """Tell whether a path means a folder: it is one, or has no suffix."""
    return path.is_dir() or not path.suffix


def check_file(path: Path) -> None:
    """Raise `InputError` unless a picture can be written there."""
    if path.is_dir():
        raise InputError("is a folder", where=str(path), hint="Give a file, such as loss.png.")
    if path.suffix.lower() not in SUFFIXES:
        what = f"unknown picture format {path.suffix!r}" if path.suffix else "the name of a picture needs a suffix"
        raise InputError(what, where=str(path), hint="Known are .png, .svg and .pdf.")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}", where=str(path), hint="Create it first.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError("cannot be written (permission denied)", where=str(path))


def save(drawn: Figure, path: Path) -> None:
    """Write a figure in one piece; raises `InputError` where it cannot be written."""
    check_file(path)
    kind = path.suffix.lower().removeprefix(".")
    stamp = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    picture = io.BytesIO()
    drawn.savefig(picture, format=kind, metadata=stamp[kind])
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise _unwritable(path, error) from error


def write(specs: Sequence[LossSpec], folder: Path, say: Callable[[str], Any], warn: Callable[[str], Any]) -> None:
    """Write a PNG per loss and an `index.md` that shows them; a loss that cannot be drawn is a warning.

    say: called before each picture. Raises `InputError` where nothing can be written.
    """
    make_folder(folder)
    page = folder / INDEX
    if page.exists() and not (page.is_file() and page.read_text(encoding="utf-8").startswith(HEADING)):
        raise InputError("is not a page of this gallery", where=str(page), hint="Choose another folder.")
    drawn = []
    for number, spec in enumerate(specs, start=1):
        say(f"{number}/{len(specs)} {spec.name}")
        try:
            save(figure(spec), folder / f"{spec.name}.png")
        except InputError:
            raise
        except LossregError as error:
            warn(str(error))
        else:
            drawn.append(spec)
    page.write_text(index(drawn), encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Create a folder unless it exists; raises `InputError` where that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot be written ({error.strerror or error})", where=str(path))


def index(specs: Sequence[LossSpec]) -> str:
    """Return the gallery's page in Markdown, by tasks."""
    parts = [f"{HEADING}\n"]
    for tasks in dict.fromkeys(spec.tasks for spec in specs):
        parts.append(f"## {', '.join(tasks)}\n")
        group = [spec for spec in specs if spec.tasks == tasks]
        parts += [f"### {spec.name}\n\n{spec.summary}\n\n![{spec.name}]({spec.name}.png)\n" for spec in group]
    return "\n".join(parts)
