"""Commands that run a study and show its results."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossreg.cli import waiting
from lossreg.cli.shell import (
    Json,
    Study,
    app,
    complain,
    console,
    display,
    guarded,
    import_keras,
    only_json,
    print_json,
    say,
    tell,
    warn,
)
from lossreg.errors import InputError, brief, on_disk
from lossreg.terminal import caller, streams

if TYPE_CHECKING:
    from lossreg.cli.progress import Watcher
    from lossreg.config.study import StudySpec
    from lossreg.storage.observer import Observer
    from lossreg.storage.records import StudyResult, TrialRecord
    from lossreg.storage.study_folder import StudyFolder
    from lossreg.storage.verdict import Verdict

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study: --set search.trials=100."),
]


@app.command()
@guarded
def tune(
    study: Study,
    *,
    overrides: Overrides = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over; the former run is moved aside.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be done, and stop; runs the functions that the study names."),
    ] = False,
    require_tracking: Annotated[
        bool, typer.Option("--require-tracking", help="Fail if MLflow does not answer, instead of going on without.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a study, or resume it where it stopped.

    A study file is code: the functions that it names are run, with --dry-run too.
    """
    with only_json(as_json) as out:
        spec = _load(study, overrides or ())
        if dry_run:
            _dry_run(spec, as_json, out)
            return
        from lossreg.cli import interrupts
        from lossreg.cli.progress import is_one_stream, progress

        watcher = progress()
        watcher.is_concluded = not as_json
        resume = interrupts.resuming("tune", study, overrides or ())
        result = _run(spec, resume, fresh, require_tracking, watcher)
        _conclude(result, study, as_json, out, shown=watcher.messages if is_one_stream() else ())


@app.command()
@guarded
def verdict(
    study: Study,
    *,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", metavar="N", min=2, max=1000, help="How often each is trained; more are added."),
    ] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Compare winner and baseline on the test rows.

    With more repeats than before, an earlier comparison is deepened.

    No trial is added. Runs the functions that the study names.
    """
    with only_json(as_json) as out:
        spec = _load(study, overrides or ())
        from lossreg.cli import interrupts
        from lossreg.cli.progress import progress
        from lossreg.search import run

        run.require_ended(spec)
        import_keras()
        watcher = progress()
        watcher.is_concluded = not as_json
        options = ["--repeats", str(repeats)] if repeats else []
        again = interrupts.resuming("verdict", study, overrides or (), options)
        result = _interruptible(lambda: run.verdict(spec, repeats, progress=watcher), again, watcher)
        _conclude(result, study, as_json, out)


@app.command()
@guarded
def results(study: Study, as_json: Json = False) -> None:
    """Show the leaderboard of a study, finished or not."""
    with only_json(as_json) as out:
        spec = _load(study)
        from lossreg.search import history

        result = history.results(spec)
        if not as_json:
            _show_leaderboard(result)
            _show_recipes(result)
        _conclude(result, study, as_json, out)


@app.command()
@guarded
def model(
    study: Study,
    *,
    trial: Annotated[
        int | None,
        typer.Option("--trial", metavar="N", min=0, help="The trial; by default the recommended one."),
    ] = None,
    loss: Annotated[
        str | None, typer.Option("--loss", metavar="CANDIDATE", help="The trial of this candidate with the top score.")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where the model goes, a .keras file.")
    ] = Path("model.keras"),
) -> None:
    """Write what a trial trained as a Keras model.

    Its preprocessing goes beside it. Runs the functions that the study names.
    """
    with on_disk(f"--output {brief(output)}"):
        _check_output(output)
    spec = _load(study)
    from lossreg.search import restore

    kept = restore.look_up(spec, trial, loss)
    import_keras()
    import joblib

    with waiting.busy("building the model and its preprocessing"):
        restored = restore.restore(spec, kept)
    beside = output.with_suffix(".preprocessor.joblib")
    output.parent.mkdir(parents=True, exist_ok=True)
    restored.model.save(output)
    joblib.dump(restored.preprocessor, beside)
    say(f"{output}: from preprocessed rows to predictions; {beside}: from raw rows to preprocessed ones")


@app.command()
@guarded
def sync(study: Study, *, overrides: Overrides = None) -> None:
    """Write into MLflow whatever of a study is missing there."""
    spec = _load(study, overrides or ())
    result, where = _synchronised(spec)
    say(f"{len(result.trials)} trials are in the experiment {where['experiment']!r} at {where['uri']}")
    say(f"Look at them: lossreg ui {shlex.quote(str(study))}", whole=True)


@app.command()
@guarded
def repair(study: Study) -> None:
    """Repair the damaged journal of a study, and say what changes."""
    spec = _load(study)
    from lossreg.search import repairs

    for line in repairs.lines_of(repairs.repair(spec), str(study)):
        say(line)


@app.command()
@guarded
def ui(
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY]", help="The study whose store is shown.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="By default the first free one from 5000 on.")
    ] = None,
    *,
    overrides: Overrides = None,
) -> None:
    """Serve MLflow's UI on a study's store, on this machine only."""
    waiting.announce("looking for the store")
    from lossreg import tracking

    where = _tracked_at(study, overrides or ())
    uri = tracking.check(where.get("uri"))
    if tracking.is_server(uri):
        say(f"This store is a server with a UI of its own: {tracking.page(tracking.without_secrets(uri), where)}")
        return
    free = tracking.free_port(port)
    say(f"MLflow on {tracking.without_secrets(uri)} starts, which may take a minute (Ctrl-C ends it); then open")
    say(f"    {tracking.page(f'http://127.0.0.1:{free}', where)}")
    tracking.serve(uri, free, tell)


# ------------------------------------------------------------------------------ the work


def _load(study: Path, overrides: Sequence[str] = ()) -> StudySpec:
    waiting.announce(f"reading {study}")
    from lossreg.config.study import load

    caller.name_study(str(study))
    return load(study, tuple(overrides))


def _check_output(file: Path) -> None:
    """Raise `InputError` or `OSError` unless a Keras model can be written there."""
    where = f"--output {brief(file)}"
    if file.suffix != ".keras":
        raise InputError("must end in .keras", where=where)
    if file.is_dir():
        raise InputError("is a folder", where=where, hint="Give a file, such as model.keras.")
    above = next(folder for folder in file.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{brief(above)} is not a folder", where=where)


def _run(spec: StudySpec, resume: str, fresh: bool, require_tracking: bool, watcher: Watcher) -> StudyResult:
    """Run a study; unless `--json` is set its leaderboard is printed as soon as the last trial ends."""
    if watcher.is_concluded:
        watcher.on_trained = lambda result: _show_leaderboard(result) if result.best else None
    return _interruptible(lambda: _tune(spec, fresh, watcher, require_tracking), resume, watcher)


def _interruptible(work: Callable[[], StudyResult], resume: str, watcher: Watcher) -> StudyResult:
    """Return the result of work that Ctrl-C ends after the epoch; `resume` is the command that goes on with it."""
    from lossreg.cli.interrupts import Interrupts

    with Interrupts(watcher, resume) as interrupts:
        try:
            return work()
        except (KeyboardInterrupt, Exception) as error:
            # an import that was cut off may raise anything
            if not interrupts.cut_off and not isinstance(error, KeyboardInterrupt):
                raise
            watcher.close()
            complain(f"Interrupted. Finished trials are kept; go on with: {resume}", interrupts.code or 130)
        finally:
            watcher.close()


def _tune(spec: StudySpec, fresh: bool, progress: Observer, require_tracking: bool) -> StudyResult:
    from lossreg.storage.study_folder import StudyFolder

    # before Keras, whose import takes most of the wait
    folder = StudyFolder(spec.folder, spec.name)
    folder.require_free()
    folder.require_writable()
    if not fresh:
        folder.require_readable()
    from lossreg.search import run

    if not fresh and (result := run.finished(spec, progress)):
        return result
    _import_keras(spec)
    return run.tune(spec, fresh=fresh, progress=progress, require_tracking=require_tracking)


def _show_leaderboard(result: StudyResult) -> None:
    from lossreg.reporting import tables

    display(tables.leaderboard(result))


def _show_recipes(result: StudyResult) -> None:
    """Print the recipe of every loss's top trial, one line per loss."""
    for row in result.leaderboard():
        if row.best:
            say(f"{row.candidate}: {row.best.recipe}", whole=True)
    say("")


def _dry_run(spec: StudySpec, as_json: bool, out: Any) -> None:
    from dataclasses import asdict

    from lossreg.search.outline import plan

    _import_keras(spec)
    with waiting.busy("reading data and losses"):
        planned = plan(spec)
    if as_json:
        print_json(asdict(planned), out)
        return
    from lossreg.cli import outline

    display(outline.page(planned))


def _import_keras(spec: StudySpec) -> None:
    """Import Keras; raises `InputError` before that if the study's tracking address is wrong."""
    from lossreg.search import tracked

    tracked.uri(spec)
    import_keras()


def _conclude(result: StudyResult, study: Path, as_json: bool, out: Any, shown: Collection[str] = ()) -> None:
    """Print how a study ended, without the notes that were `shown` while it ran."""
    if as_json:
        print_json(result.to_json(), out)
        return
    from lossreg.reporting import report

    trials = ", ".join(filter(None, [report.counts(result), report.epochs(result)]))
    say(f"{trials} in {report.took(result)}")
    if members := report.members(result.spec):
        say(f"each score is the mean of {members}, +- their standard deviation")
    for line in [*(f"note: {note}" for note in report.notes(result) if note not in shown), *report.failures(result)]:
        say(line)
    if result.recommended:
        _show_recommended(result, result.recommended)
    if error := result.tracking.get("error"):
        say(f"MLflow lacks some of it ({error}); write it there: lossreg sync {shlex.quote(str(study))}", whole=True)
    elif result.tracking.get("run_id"):
        say(f"Look closer: lossreg ui {shlex.quote(str(study))}", whole=True)


def _show_recommended(result: StudyResult, trial: TrialRecord) -> None:
    """Print the verdict, and the recipe to train with."""
    from lossreg.reporting import report

    if result.verdict:
        _show_verdict(result, result.verdict)
    say(f"\n{report.caveat(result)}\n")
    if ties := report.ties(result):
        say(ties)
    say(f"{report.recipe_heading(result)}: {trial.recipe}  ({', '.join(report.besides(trial))})", whole=True)
    say(" ".join([*report.usage(trial), report.labels(result)]))


def _show_verdict(result: StudyResult, verdict: Verdict) -> None:
    """Print what to train with, how sure that is, and the interval as a line where it fits."""
    from lossreg.reporting import interval, tables
    from lossreg.reporting import verdict as words

    page = console()
    say("")
    display(tables.cell(words.decision(result, verdict), tables.BEST))
    line = interval.line(verdict, page.width, unicode=page.encoding.lower().startswith("utf"))
    for text in filter(None, [*words.evidence(result, verdict), line]):
        say(text)


def _synchronised(spec: StudySpec) -> tuple[StudyResult, dict[str, Any]]:
    """Write a study into MLflow, and note the place in its journal."""
    from lossreg import tracking
    from lossreg.search import history
    from lossreg.storage.study_folder import StudyFolder
    from lossreg.storage.trials import ATTRIBUTE

    if not spec.tracking.enabled:
        raise InputError("is false, so there is nothing to sync", where=spec.place("tracking.enabled"))
    warnings: list[str] = []
    folder = StudyFolder(spec.folder, spec.name)
    folder.require_begun()
    with folder.lock():
        folder.drop_unfinished_line()
        result, kept = history.results(spec), folder.read()
        about = kept.user_attrs[ATTRIBUTE]
        uri = _named_store(spec, result)
        tracker = tracking.Tracker(uri, spec.tracking.experiment, key=about["id"], warn=warnings.append, required=True)
        model = _recommended_model(folder, result, warnings) if spec.tracking.model else None
        with waiting.busy(f"writing into MLflow at {tracking.without_secrets(uri)}", line=True), streams.silenced():
            where = tracker.sync(result, result.tracking.get("run_id"), model)
        kept.set_user_attr(ATTRIBUTE, {**about, "tracking": where})
    for text in warnings:
        warn(text)
    return result, where


def _named_store(spec: StudySpec, result: StudyResult) -> str:
    """Return the store that the study, the environment or MLflow's default names.

    Raises `InputError` where only the journal, which may come from anywhere, names the store of the study.
    """
    from lossreg import tracking

    named, kept = tracking.check(spec.tracking.uri), result.tracking.get("uri")
    if spec.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or not kept or _absolute(kept) == named:
        return named
    raise InputError(
        f"the study was tracked in {kept}, which neither it nor MLFLOW_TRACKING_URI names, and nothing is written to a "
        "store that only a journal names", where=spec.place("tracking.uri"),
        hint=f"Name it: --set tracking.uri={kept}; or take MLflow's default: --set tracking.uri=sqlite:///mlflow.db.",
    )  # fmt: skip


def _absolute(uri: str) -> str:
    """Return an address as `tracking.check` does; unchanged where that refuses it."""
    from lossreg import tracking

    try:
        return tracking.check(uri)
    except InputError:
        return uri


def _recommended_model(folder: StudyFolder, result: StudyResult, warnings: list[str]) -> Path | None:
    """Return the file of the recommended trial's model; add a warning where an unfinished study does not have it."""
    trial = result.recommended
    if trial is None:
        return None
    model = folder.model_of(trial.number)
    if model is None:
        warnings.append(
            f"the model of the recommended trial ({trial.number}) is not there; finish the study to have it"
        )
    return model


def _kept_uri(result: StudyResult) -> str | None:
    """Return the store where a study was tracked, None if its noted address lacks the password."""
    uri = result.tracking.get("uri")
    return None if uri is None or "***" in uri else str(uri)


def _tracked_at(study: Path | None, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the `tracking` of a study that was run; of another study the store that it names."""
    if study is None and overrides:
        hint = "Give the study too, or name the store in MLFLOW_TRACKING_URI."
        raise InputError("it changes a study, and none is given", where="--set", hint=hint)
    if study is None:
        return {}
    from lossreg import tracking
    from lossreg.search import history
    from lossreg.storage.study_folder import StudyFolder

    spec = _load(study, overrides)
    if not StudyFolder(spec.folder, spec.name).exists:
        warn(f"study {spec.name} has not been run yet, so the store has no runs of it")
        return {"uri": spec.tracking.uri}
    result = history.results(spec)
    kept = _kept_uri(result)
    is_looked_at = kept is not None and kept.startswith(("sqlite:", "http:", "https:"))
    # a journal may name a file or a server to look at, but no database to log in to
    uri = kept if is_looked_at and not overrides else _named_store(spec, result)
    tracked = result.tracking if tracking.without_secrets(str(uri)) == result.tracking.get("uri") else {}
    return {**tracked, "uri": uri}
