"""Tables and pages for the terminal, as rich renderables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from lossreg.contract import activations, recipes
from lossreg.contract.claims import reached
from lossreg.contract.params import Choice, Float, Param, PerClass
from lossreg.contract.targets import TARGETS, TASKS
from lossreg.reporting import constraints, pareto, report, usage
from lossreg.reporting.grid import Grid
from lossreg.reporting.leaderboard import cells, has_tuned_decisions, noise
from lossreg.reporting.values import loss_params, number
from lossreg.terminal.plain_text import printable, spelled

if TYPE_CHECKING:
    from lossreg.contract.claims import Limit
    from lossreg.contract.spec import LossSpec
    from lossreg.metrics.catalogue import Metric
    from lossreg.registry.registry import Entry, PluginReport
    from lossreg.storage.study_result import Standing, StudyResult

BEST = "bold green"
DIM = "dim"
# columns of a terminal from which a listing has the summary of each loss
WIDE = 120
MOST_PARAMS = 4


class Printable:
    """A renderable with the control characters of its text written out; its styles stay."""

    def __init__(self, what: RenderableType) -> None:
        self.what = what

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.what, options):
            yield segment if segment.control else Segment(spelled(segment.text), segment.style)


def cell(text: str, style: str = "") -> Text:
    """Return text for a table's cell, without markup and as wide as it is shown."""
    return Text(printable(text), style)


def table(title: str, columns: Mapping[str, str], rows: Iterable[Sequence[str]], whole: Sequence[str] = ()) -> Grid:
    """Return a plain table; cells are not markup.

    columns: `left` or `right` by heading; whole: headings of columns whose cells stay on one line as long as they fit.
    """
    grid = Grid(
        title=cell(title, "bold") if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    for heading, side in columns.items():
        right, unbroken = side == "right", heading in whole
        grid.add_column(cell(heading), justify="right" if right else "left", overflow="fold", no_wrap=right or unbroken)
    for row in rows:
        grid.add_row(*map(cell, row))
    return grid


def pairs(values: Mapping[str, str]) -> Table:
    """Return names beside their values, without those that have none; both are broken where there is no room."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=DIM, overflow="fold")
    grid.add_column(overflow="fold")
    for name, value in values.items():
        if value:
            grid.add_row(name, cell(value))
    return grid


def leaderboard(result: StudyResult) -> Grid:
    """Return the candidates, best first, with the parameters of the best trial of each; equal scores share a rank."""
    names = ["score", "in the\nsearch"] if result.confirmation else ["score"]
    names += ["default\ndecision"] * has_tuned_decisions(result)
    names += [heading.replace(" ", "\n", 1) for heading in constraints.headings(result)]
    columns = {"": "right", "loss": "left", **dict.fromkeys(names, "right"), "gain": "right", "trial": "right",
               "trials": "right", "learning\nrate": "right", "parameters": "left"}  # fmt: skip
    title = f"{result.study}: {result.metric} on {report.scored_on(result)}, {report.arrow(result.direction)}"
    grid = table(title, columns, (), whole=("loss",))
    grid.spare = ("parameters", "learning\nrate", "trials", "trial", "in the\nsearch", "default\ndecision")
    for row, standing in zip(result.ranking(), cells(result), strict=True):
        is_top = row.rank == 1 and not result.untried
        is_first = row.candidate == result.verdict.recommended.candidate if result.verdict else is_top
        grid.add_row(*map(cell, [*standing, *_settings(result, row)]), style=BEST if is_first else None)
    if caption := noise(result):
        grid.caption, grid.caption_justify = cell(caption), "left"
    return grid


def pareto_front(result: StudyResult) -> Table:
    """Return the trials of the Pareto front, the best by the first metric first."""
    trial, loss, *metrics = (heading.replace(" ", "\n", 1) for heading in pareto.headings(result))
    columns = {trial: "right", loss: "left", **dict.fromkeys(metrics, "right")}
    grid = table("", columns, pareto.cells(result), whole=("loss",))
    grid.caption, grid.caption_justify = cell(pareto.caption(result)), "left"
    return grid


def _settings(result: StudyResult, row: Standing) -> list[str]:
    """Return learning rate and parameters of a candidate's best trial."""
    if row.best is None:
        return ["-", f"no trial completed{' yet' * result.is_running}"]
    params = ", ".join(filter(None, [loss_params(row.best), *usage.besides(row.best)[1:]]))
    return [f"{row.best.learning_rate:.3g}", params or "-"]


def losses(entries: Sequence[Entry], width: int) -> Table:
    """Return the losses grouped by tasks; with their summaries where the terminal has at least `WIDE` columns."""
    wide = width >= WIDE
    columns = ("loss", "for", "parameters", "plugin") if wide else ("loss", "parameters", "plugin")
    grid = table("", dict.fromkeys(columns, "left"), (), whole=("loss",))
    for tasks, group in by_tasks(entries).items():
        grid.add_section()
        grid.add_row(", ".join(tasks), style="bold")
        for entry in group:
            cells = [entry.spec.name, entry.spec.summary, _params(entry.spec), _origin(entry.plugin, entry.version)]
            grid.add_row(*map(cell, cells if wide else (cells[0], *cells[2:])))
    return grid


def by_tasks(entries: Sequence[Entry]) -> dict[tuple[str, ...], list[Entry]]:
    """Return the losses grouped by their tasks, in the order of `lossreg.contract.targets.TASKS`."""
    order = sorted({entry.spec.tasks for entry in entries}, key=lambda tasks: [*map(TASKS.index, tasks)])
    return {tasks: [entry for entry in entries if entry.spec.tasks == tasks] for tasks in order}


def _params(spec: LossSpec) -> str:
    names = [param.name for param in spec.params]
    if len(names) > MOST_PARAMS:
        return f"{names[0]} and {len(names) - 1} more"
    return ", ".join(names) or "-"


def _origin(name: str, version: str) -> str:
    return " ".join(filter(None, (name, version)))


def plugins(reports: Sequence[PluginReport]) -> Table:
    """Return all plugins, each with its losses or the reason why it is refused."""
    grid = table("", {"plugin": "left", "distribution": "left", "losses": "left"}, ())
    for plugin in reports:
        error, offered = plugin.error, ", ".join(plugin.losses)
        result = cell(f"refused: {error}", "red") if error else cell(offered)
        grid.add_row(cell(plugin.name), cell(_origin(plugin.distribution, plugin.version)), result)
    return grid


def metrics(known: Sequence[Metric]) -> Table:
    """Return the metrics that a study can optimise."""
    rows = [(m.name, m.direction, ", ".join(m.tasks), m.summary) for m in known]
    columns = {"metric": "left", "direction": "left", "tasks": "left", "": "left"}
    grid = table("", columns, rows, whole=("metric", "direction"))
    grid.spare = ("tasks",)
    return grid


def page(entry: Entry) -> Group:
    """Return the page of one loss: formula, facts, parameters, example."""
    spec = entry.spec
    parts: list[RenderableType] = [cell(spec.name, "bold"), cell(spec.summary), Text()]
    if spec.formula:
        parts += [Padding(cell(spec.formula, "cyan"), (0, 0, 1, 4))]
    parts += [_facts(entry), Text()]
    if spec.params:
        parts += [_param_table(spec.params)]
    parts += [Text("Example", style="bold"), *(Padding(cell(line), (0, 0, 0, 4)) for line in example(spec))]
    return Group(*parts)


def _facts(entry: Entry) -> Table:
    spec = entry.spec
    values = {
        "aliases": ", ".join(spec.aliases),
        "tasks": ", ".join(spec.tasks),
        "target": target(spec),
        "outputs": spec.outputs,
        "activation": f"{activations.get(spec.activation).name} (raw score to prediction)",
        "needs": ", ".join(spec.constants),
        "properties": ", ".join(properties(spec)),
        "searched by default for": ", ".join(spec.recommended),
        "equal at its defaults to": spec.same_as,
        "limits": "\n".join(map(limit, spec.claims.limits)),
        "reference": spec.reference,
        "plugin": f"{entry.plugin} ({_origin(entry.distribution, entry.version) or 'not installed'})",
    }
    return pairs(values)


def target(spec: LossSpec) -> str:
    """Return the kind of labels and their domain: `positive, in (0, inf)`."""
    interval = spec.target_domain or TARGETS[spec.target].domain
    return spec.target if interval == "(-inf, inf)" else f"{spec.target}, in {interval}"


def properties(spec: LossSpec) -> list[str]:
    """Return the properties that a loss declares, in words."""
    declared = {
        "probabilistic": spec.probabilistic,
        "shift-invariant": spec.claims.shift_invariant,
        "symmetric": spec.claims.symmetric,
        "non-differentiable points": spec.claims.non_differentiable_points,
        "stops gradients": spec.claims.stop_gradient,
        "truncated": spec.claims.truncated,
        "batch-level": spec.level == "batch",
        f"minimum {spec.claims.minimum}": spec.claims.minimum is not None,
        f"exact for raw scores in {spec.claims.score_range}": spec.claims.score_range is not None,
        f"elicits {spec.claims.elicits}": bool(spec.claims.elicits),
    }
    return [name for name, holds in declared.items() if holds]


def limit(one: Limit) -> str:
    """Return a limit as `gamma = 0 is cross_entropy`, or `q -> 0 is cross_entropy`."""
    factor = "" if one.factor == 1 else f"{one.factor:g} x "
    of = f" with {_assignments(one.of)}" if one.of else ""
    at = ", ".join(f"{name} {reached(value)}" for name, value in one.at.items())
    return f"{f'{at} is' if at else 'always'} {factor}{one.equals}{of}"


def _assignments(values: Mapping[str, Any]) -> str:
    shown = {name: "absent" if value is None else number(value) for name, value in values.items()}
    return ", ".join(f"{name} = {value}" for name, value in shown.items())


def _param_table(params: Sequence[Param]) -> Table:
    columns = {"parameter": "left", "kind": "left", "default": "right", "search range": "left", "domain": "left"}
    rows = [(p.name, p.kind, default(p), search_range(p), domain(p)) for p in params]
    return table("", columns, rows)


def default(param: Param) -> str:
    """Return the published value of a parameter, or `absent`."""
    return "absent" if param.default is None else number(param.default)


def search_range(param: Param) -> str:
    """Return `0.05 to 5, log`; `not searched` where there is only one value."""
    if _unsearched(param):
        return "not searched"
    if isinstance(param, Choice):
        return ", ".join(map(str, param.choices))
    scale = ", log" if param.log else ""
    many = ", per class" if isinstance(param, PerClass) else ""
    return f"{param.low:g} to {param.high:g}{scale}{many}"


def _unsearched(param: Param) -> bool:
    return param.fixed if isinstance(param, Choice) else param.low == param.high


def domain(param: Param) -> str:
    """Return the domain of a parameter: `(0, inf)`, or `(0, inf), may be absent`."""
    if isinstance(param, Choice):
        return ""
    return f"{param.domain}, may be absent" if isinstance(param, (Float, PerClass)) and param.optional else param.domain


def example(spec: LossSpec) -> list[str]:
    """Return lines to paste: the Keras loss, and the candidate in a study file."""
    shown = [p for p in spec.params if p.default is not None]
    constants = _example_constants(spec)
    given = [f"{p.name}={recipes.literal(p.default)}" for p in shown]
    given += [f"{name}={recipes.literal(value)}" for name, value in constants.items()]
    call = ", ".join([f'"{spec.name}"', *given])
    remark = f"  # {', '.join(constants)}: of your training rows" if constants else ""
    lines = [
        f'model.compile(optimizer="adam", loss=lossreg.get({call})){remark}',
        "",
        f"[losses.{spec.name}]  # in a study file",
    ]
    return lines + [f"{param.name} = {_toml(param)}" for param in spec.params]


def _example_constants(spec: LossSpec) -> dict[str, Any]:
    """Return example values of the constants that a loss needs; class_priors follow from class_counts."""
    counts = [900, 100] if spec.target == "binary" else [600, 300, 100]
    known = {"class_counts": counts, "target_mean": 12.5, "target_scale": 4.0}
    return {name: value for name, value in known.items() if name in spec.constants}


def _toml(param: Param) -> str:
    if isinstance(param, PerClass):
        return '"per_class"'
    if _unsearched(param):
        return json.dumps(param.default)
    if isinstance(param, Choice):
        return f"{{ choices = {json.dumps(list(param.choices))} }}"
    log = ", log = true" if param.log else ""
    return f"{{ low = {param.low:g}, high = {param.high:g}{log} }}"
