"""Commands that list what there is: losses, plugins, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossreg.cli.shell import Json, Task, app, check_task, display, guarded, loaded_registry, print_json

if TYPE_CHECKING:
    from lossreg.params import Param
    from lossreg.registry import Entry, PluginReport


@app.command()
@guarded
def losses(task: Task = "", as_json: Json = False) -> None:
    """List the registered losses: name, tasks, parameters, plugin."""
    registry = loaded_registry()
    entries = registry.for_task(task) if task else registry.specs()
    if as_json:
        print_json([loss_document(entry) for entry in entries])
        return
    from lossreg import tables

    display(tables.losses(entries))


@app.command()
@guarded
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, alias or Keras class name of a loss.")],
) -> None:
    """Show one loss: formula, ranges, link, reference, use."""
    entry = loaded_registry().find(name)
    from lossreg import tables

    display(tables.page(entry))


@app.command()
@guarded
def plugins(as_json: Json = False) -> None:
    """List the plugins with their losses, or why one is refused."""
    found = loaded_registry().plugins
    if as_json:
        print_json([plugin_document(one) for one in found])
        return
    from lossreg import tables

    display(tables.plugins(found))


@app.command()
@guarded
def metrics(task: Task = "", as_json: Json = False) -> None:
    """List the metrics that a study can optimise, with direction."""
    from lossreg import metrics as known

    check_task(task)
    found = known.available(task or None)
    if as_json:
        fields = ("name", "direction", "tasks", "response", "summary")
        print_json([{field: getattr(metric, field) for field in fields} for metric in found])
        return
    from lossreg import tables

    display(tables.metrics(found))


def loss_document(entry: Entry) -> dict[str, Any]:
    """One loss in `losses --json`."""
    spec = entry.spec
    return {
        "name": spec.name,
        "aliases": list(spec.aliases),
        "tasks": list(spec.tasks),
        "params": [param_document(param) for param in spec.params],
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
        "reference": spec.reference,
        "summary": spec.summary,
        "formula": spec.formula,
        "target": spec.target,
        "outputs": spec.outputs,
        "recommended": list(spec.recommended),
    }


def param_document(param: Param) -> dict[str, Any]:
    """One parameter of a loss in `losses --json`."""
    choices = getattr(param, "choices", None)
    return {
        "name": param.name,
        "kind": param.kind,
        "low": param.low,
        "high": param.high,
        "log": param.log,
        "default": param.default,
        "choices": list(choices) if choices is not None else None,
        "domain": getattr(param, "domain", None),
        "optional": param.optional,
    }


def plugin_document(one: PluginReport) -> dict[str, Any]:
    """One plugin in `plugins --json`."""
    return {
        "name": one.name,
        "distribution": one.distribution,
        "version": one.version,
        "losses": list(one.losses),
        "error": one.error or None,
        "warnings": list(one.warnings),
    }
