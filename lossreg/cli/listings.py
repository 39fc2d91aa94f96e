"""Commands that list losses, plugins and metrics, and show or draw losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossreg.cli import waiting
from lossreg.cli.shell import (
    Json,
    Task,
    app,
    check_task,
    console,
    display,
    guarded,
    import_keras,
    loaded_registry,
    print_json,
    say,
    warn,
)
from lossreg.errors import InputError, on_disk

if TYPE_CHECKING:
    from lossreg.contract.params import Param
    from lossreg.contract.spec import LossSpec
    from lossreg.registry.registry import Entry, PluginReport


@app.command()
@guarded
def losses(task: Task = "", as_json: Json = False) -> None:
    """List the registered losses by task, with their parameters."""
    registry = loaded_registry()
    entries = registry.for_task(task) if task else registry.specs()
    if as_json:
        print_json([loss_document(entry) for entry in entries])
        return
    from lossreg.reporting import tables

    display(tables.losses(entries, console().width))


@app.command()
@guarded
def show(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Name, alias or Keras class name of a loss.", show_default=False),
    ] = None,
    *,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE",
            help="Draw loss and gradient into a .png, .svg or .pdf; of several losses a sheet.", show_default=False,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every loss: --plot names a folder for the pictures and their index.")
    ] = False,
) -> None:  # fmt: skip
    """Show losses: formula, ranges, reference, use; or draw them."""
    entries = _selected(names or (), every, plot)
    if plot is not None:
        _draw([entry.spec for entry in entries], plot, every)
        return
    from lossreg.reporting import tables

    for entry in entries:
        display(tables.page(entry))


def _selected(names: Sequence[str], every: bool, plot: Path | None) -> list[Entry]:
    """Return the losses that `show` is asked for; raises `InputError` for options that do not fit together."""
    if every == bool(names):
        what = "--all shows every loss" if every else "no loss is named"
        hint = "Leave NAME out." if every else "Give a NAME of `lossreg losses`, or --all with --plot."
        raise InputError(what, hint=hint)
    if every and plot is None:
        raise InputError(
            "--all draws pictures", hint="Say where with --plot FOLDER; `lossreg losses` lists the losses."
        )
    if plot is not None:
        waiting.announce("reading the losses")
    registry = loaded_registry()
    return registry.specs() if every else [registry.find(name) for name in names]


def _draw(specs: Sequence[LossSpec], path: Path, every: bool) -> None:
    """Draw one picture, a sheet of several losses, or a folder of all; raises `InputError` before anything slow."""
    from lossreg.reporting import loss_plots

    with on_disk(path):
        folder = every and loss_plots.is_folder(path)
        (loss_plots.make_folder if folder else loss_plots.check_file)(path)
    import_keras()
    if folder:
        loss_plots.write(specs, path, waiting.step, warn)
    else:
        with waiting.busy(f"drawing {path}"):
            loss_plots.save(loss_plots.figure(specs[0]) if len(specs) == 1 else loss_plots.sheet(specs), path)
    say(f"wrote {path / loss_plots.INDEX if folder else path}")


@app.command()
@guarded
def plugins(as_json: Json = False) -> None:
    """List the plugins with their losses, or why one is refused.

    A plugin is code: every command that looks losses up runs it; with --safe none is run.
    """
    reports = loaded_registry().plugins
    if as_json:
        print_json(list(map(plugin_document, reports)))
        return
    from lossreg.reporting import tables

    display(tables.plugins(reports))
    say("Write one of your own: lossreg new-plugin NAME")


@app.command()
@guarded
def metrics(task: Task = "", as_json: Json = False) -> None:
    """List the metrics that a study can optimise, with direction."""
    from lossreg.metrics.catalogue import available

    check_task(task)
    selected = available(task or None)
    if as_json:
        print_json([_fields(metric, "name", "direction", "tasks", "response", "summary") for metric in selected])
        return
    from lossreg.reporting import tables

    display(tables.metrics(selected))


def loss_document(entry: Entry) -> dict[str, Any]:
    """Return one loss of `losses --json`."""
    spec = entry.spec
    return {
        **_fields(spec, "name", "aliases", "tasks"),
        "params": [param_document(param) for param in spec.params],
        **_fields(entry, "plugin", "distribution", "version"),
        **_fields(spec, "reference", "summary", "formula", "target", "outputs", "recommended"),
        "limits": [
            {"at": dict(limit.at), "equals": limit.equals, "of": dict(limit.of), "factor": limit.factor}
            for limit in spec.claims.limits
        ],
    }


def _fields(thing: object, *names: str) -> dict[str, Any]:
    """Return fields of an object by their names, None for those that it lacks."""
    return {name: getattr(thing, name, None) for name in names}


def param_document(param: Param) -> dict[str, Any]:
    """Return one parameter of a loss of `losses --json`."""
    return _fields(param, "name", "kind", "low", "high", "log", "default", "choices", "domain", "optional")


def plugin_document(plugin: PluginReport) -> dict[str, Any]:
    """Return one plugin of `plugins --json`."""
    fields = _fields(plugin, "name", "distribution", "version", "losses", "error", "warnings")
    return fields | {"error": plugin.error or None}
