"""The command `lossreg`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar, cast

import typer

from lossreg import __version__
from lossreg.errors import InputError, LossregError
from lossreg.records import finite

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lossreg.params import Param
    from lossreg.records import StudyResult
    from lossreg.registry import Entry, PluginReport, Registry
    from lossreg.study import StudySpec

# TensorFlow reads it when it is imported
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
WIDTH_OF_A_PIPE = 140

Study = Annotated[Path, typer.Argument(metavar="STUDY", help="The study file (TOML).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]
Task = Annotated[str, typer.Option("--task", metavar="TASK", help="Only what serves this task.", show_default=False)]


Work = TypeVar("Work", bound=Callable[..., None])


def guarded(work: Work) -> Work:
    """`work` with errors as one line: exit 1 when it failed, 2 for wrong input, 130 when interrupted."""

    @wraps(work)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            work(*args, **kwargs)
        except (typer.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            _complain("Interrupted.", 130)
        except LossregError as error:
            _complain(f"Error: {error}", error.exit_code)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            _complain(f"Error: {said} (unexpected; LOSSREG_DEBUG=1 shows where)", 1)

    return cast(Work, run)


def _complain(message: str, code: int) -> NoReturn:
    if os.environ.get("LOSSREG_DEBUG", "0") not in ("", "0"):
        traceback.print_exc()
    typer.echo(message, err=True)
    raise typer.Exit(code)


app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    """The entry point of the console script."""
    app(prog_name="lossreg")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lossreg {__version__}")
        raise typer.Exit


@app.callback()
def lossreg(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Which loss should I train with, and with which parameters?

    `lossreg tune STUDY` answers with an experiment; `lossreg losses` lists what there is.
    """


@app.command()
@guarded
def losses(task: Task = "", as_json: Json = False) -> None:
    """List the registered losses: name, tasks, parameters, plugin."""
    registry = _registry()
    entries = registry.for_task(task) if task else registry.specs()
    if as_json:
        _print_json([loss_document(entry) for entry in entries])
        return
    from lossreg import tables

    _show(tables.losses(entries))


@app.command()
@guarded
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, alias or Keras class name of a loss.")],
) -> None:
    """Show one loss: formula, ranges, link, reference, use."""
    entry = _registry().find(name)
    from lossreg import tables

    _show(tables.page(entry))


@app.command()
@guarded
def plugins(as_json: Json = False) -> None:
    """List the plugins with their losses, or why one is refused."""
    found = _registry().plugins
    if as_json:
        _print_json([plugin_document(one) for one in found])
        return
    from lossreg import tables

    _show(tables.plugins(found))


@app.command()
@guarded
def metrics(task: Task = "", as_json: Json = False) -> None:
    """List the metrics that a study can optimise, with direction."""
    from lossreg import metrics as known

    _check_task(task)
    found = known.available(task or None)
    if as_json:
        fields = ("name", "direction", "tasks", "response", "summary")
        _print_json([{field: getattr(metric, field) for field in fields} for metric in found])
        return
    from lossreg import tables

    _show(tables.metrics(found))


@app.command()
@guarded
def tune(
    study: Study,
    *,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study: --set search.trials=100."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over; the former run is moved aside.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and stop.")] = False,
    require_tracking: Annotated[
        bool, typer.Option("--require-tracking", help="Fail if MLflow does not answer, instead of going on without.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a study, or resume it where it stopped."""
    with _only_json(as_json) as out:
        spec = _load(study, overrides or ())
        if dry_run:
            _dry_run(spec, as_json, out)
            return
        result = _run(spec, study, fresh, require_tracking)
        _conclude(result, study, as_json, out)


@app.command()
@guarded
def results(study: Study, as_json: Json = False) -> None:
    """Show the leaderboard of a study, finished or not."""
    with _only_json(as_json) as out:
        from lossreg import search

        _conclude(search.results(_load(study)), study, as_json, out)


@app.command()
@guarded
def sync(study: Study) -> None:
    """Write into MLflow whatever of a study is missing there."""
    spec = _load(study)
    result, where = _synchronised(spec)
    typer.echo(f"{len(result.trials)} trials are in the experiment {where['experiment']!r} at {where['uri']}")
    typer.echo(f"Look at them: lossreg ui {study}")


@app.command()
@guarded
def ui(
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY]", help="The study whose store is shown.", show_default=False)
    ] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="By default 5000 or a free one.")] = None,
) -> None:
    """Serve MLflow's UI on a study's store, on this machine only."""
    from lossreg import tracking

    where = _tracked_at(study)
    uri = tracking.check(where.get("uri"))
    if tracking.is_server(uri):
        typer.echo(f"This store is a server with a UI of its own: {tracking.page(tracking.shown(uri), where)}")
        return
    free = tracking.free_port(port)
    typer.echo(f"MLflow on {tracking.shown(uri)} (Ctrl-C ends it), in some seconds at")
    typer.echo(f"    {tracking.page(f'http://127.0.0.1:{free}', where)}")
    _serve(tracking.ui_command(uri, free))


# ------------------------------------------------------------------------------ the work


def _load(study: Path, overrides: Sequence[str] = ()) -> StudySpec:
    from lossreg import study as studies

    return studies.load(study, tuple(overrides))


def _run(spec: StudySpec, study: Path, fresh: bool, require_tracking: bool) -> StudyResult:
    from lossreg import search, terminal

    progress = terminal.progress()
    try:
        _import_keras(spec)
        return search.tune(spec, fresh=fresh, progress=progress, require_tracking=require_tracking)
    except KeyboardInterrupt:
        progress.close()
        _complain(f"Interrupted. Finished trials are kept; go on with: lossreg tune {study}", 130)
    finally:
        progress.close()


def _dry_run(spec: StudySpec, as_json: bool, out: Any) -> None:
    from dataclasses import asdict

    from lossreg import search

    _import_keras(spec)
    outline = search.plan(spec)
    if as_json:
        _print_json(asdict(outline), out)
        return
    from lossreg import tables

    _show(tables.plan(outline))


def _import_keras(spec: StudySpec) -> None:
    """Import Keras without its backend's start-up notes, which no setting silences."""
    from lossreg import terminal, tracking

    if spec.tracking.enabled:
        tracking.check(spec.tracking.uri)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with terminal.hushed():
        import keras  # noqa: F401


def _conclude(result: StudyResult, study: Path, as_json: bool, out: Any) -> None:
    if as_json:
        _print_json(result.to_json(), out)
        return
    from lossreg import report, tables

    _show(tables.leaderboard(result))
    typer.echo(f"{report.counts(result)} in {report.took(result)}")
    for line in [*(f"note: {note}" for note in result.notes), *report.failures(result)]:
        typer.echo(line)
    if result.best:
        typer.echo(f"\n{report.OPTIMISM}\n")
        typer.echo(f"Best: {report.recipe(result.best)}  (learning rate {report.number(result.best.learning_rate)})")
    if result.tracking.get("run_id"):
        typer.echo(f"Look closer: lossreg ui {study}")


def _synchronised(spec: StudySpec) -> tuple[StudyResult, dict[str, Any]]:
    """Write a study into MLflow, and note in its storage where that is."""
    from lossreg import search, terminal, tracking
    from lossreg.sampler import ATTRIBUTE
    from lossreg.store import Store

    if not spec.tracking.enabled:
        raise InputError("is false, so there is nothing to sync", where=spec.place("tracking.enabled"))
    said: list[str] = []
    result, store = search.results(spec), Store(spec.folder, spec.name)
    model = Path(result.folder, "best.keras")
    with store.lock():
        kept = store.read()
        about = kept.user_attrs[ATTRIBUTE]
        uri = tracking.check(spec.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or _kept_uri(result))
        tracker = tracking.Tracker(uri, spec.tracking.experiment, key=about["id"], warn=said.append, required=True)
        wanted = model if spec.tracking.model and model.exists() else None
        with terminal.hushed():
            where = tracker.sync(result, result.tracking.get("run_id"), wanted)
        kept.set_user_attr(ATTRIBUTE, {**about, "tracking": where})
    for text in said:
        _warn(text)
    return result, where


def _kept_uri(result: StudyResult) -> str | None:
    """The store where a study was tracked, unless its password was left out of the note."""
    uri = result.tracking.get("uri")
    return None if uri is None or "***" in uri else str(uri)


def _tracked_at(study: Path | None) -> dict[str, Any]:
    """The `tracking` of a study that was run; of another one, the store that it names."""
    if study is None:
        return {}
    from lossreg import search
    from lossreg.store import Store

    spec = _load(study)
    if not Store(spec.folder, spec.name).exists:
        return {"uri": spec.tracking.uri}
    result = search.results(spec)
    return {**result.tracking, "uri": _kept_uri(result) or spec.tracking.uri}


def _serve(command: Sequence[str]) -> None:
    """Run a server until it ends or Ctrl-C ends it."""
    import subprocess

    from lossreg.tracking import UI_SETTINGS

    with subprocess.Popen(command, env={**UI_SETTINGS, **os.environ}) as server:
        try:
            status = server.wait()
        except KeyboardInterrupt:
            server.wait()
            return
    if status:
        raise LossregError(f"the MLflow server ended with exit code {status}")


# ------------------------------------------------------------------------------- listings


def _registry() -> Registry:
    from lossreg import registry

    loaded = registry.default()
    for one in loaded.plugins:
        for line in one.lines:
            _warn(line)
    return loaded


def _check_task(task: str) -> None:
    from lossreg.errors import UnknownError, did_you_mean
    from lossreg.targets import TASKS

    if task and task not in TASKS:
        raise UnknownError(f"unknown task {task!r}; known: {', '.join(TASKS)}", hint=did_you_mean(task, TASKS))


def _warn(text: str) -> None:
    typer.echo(f"Warning: {text}", err=True)


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


# --------------------------------------------------------------------------------- output


def _show(what: RenderableType) -> None:
    _console().print(what)


def _console() -> Console:
    """Standard output, wider than 80 columns where nobody has said how wide it is."""
    from rich.console import Console

    known = sys.stdout.isatty() or os.environ.get("COLUMNS")
    return Console(width=None if known else WIDTH_OF_A_PIPE, highlight=False)


def _print_json(document: Any, out: Any = None) -> None:
    text = json.dumps(finite(document), indent=2, allow_nan=False, default=str)
    (out or sys.stdout).write(f"{text}\n")


@contextmanager
def _only_json(wanted: bool) -> Iterator[Any]:
    """Standard output for the document alone: what others print meanwhile goes to standard error."""
    out = sys.stdout
    with redirect_stdout(sys.stderr) if wanted else nullcontext():
        yield out
