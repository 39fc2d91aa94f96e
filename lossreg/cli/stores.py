"""Commands on what a study has stored: in MLflow's store and in its journal."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossreg.cli import waiting
from lossreg.cli.shell import Overrides, Study, app, display, guarded, load, say, tell, warn
from lossreg.errors import InputError, count_of
from lossreg.terminal import streams
from lossreg.terminal.masking import MASK

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.search.study_list import Listed
    from lossreg.storage.study_folder import StudyFolder
    from lossreg.storage.study_result import StudyResult


@app.command()
@guarded
def sync(study: Study, *, overrides: Overrides = None) -> None:
    """Write into MLflow whatever of a study is missing there."""
    spec = load(study, overrides or ())
    from lossreg.cli import interrupts

    result, where = _synchronised(spec)
    trials = count_of(len(result.trials), "trial is", "trials are")
    say(f"{trials} in the experiment {where['experiment']!r} at {where['uri']}")
    say(f"Look at them: {interrupts.resuming('ui', study, overrides or ())}", whole=True)


@app.command()
@guarded
def repair(study: Study) -> None:
    """Repair the damaged journal of a study, and say what changes."""
    spec = load(study)
    from lossreg.search import repairs

    for line in repairs.lines_of(repairs.repair(spec), str(study)):
        say(line)


@app.command()
@guarded
def ui(
    study: Annotated[
        Path | None,
        typer.Argument(metavar="[STUDY]", help="The study to show; with --all a folder.", show_default=False),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="By default the first free one from 5000 on.")
    ] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="List the studies in a folder, and show those of one MLflow store.")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page once it is there.")] = True,
    overrides: Overrides = None,
) -> None:
    """Serve MLflow's UI on a study's store, on this machine only.

    Opens the study's page in the browser where there is one.
    """
    waiting.announce("looking for the store")
    from lossreg import tracking

    where = _of_folder(study or Path(), overrides or ()) if every else _tracked_at(study, overrides or ())
    if where is None:
        return
    uri = tracking.check(where.get("uri"))
    if tracking.is_server(uri):
        address = tracking.page(tracking.without_secrets(uri), where)
        # not opened: the address may be a stranger's, whose journal names it
        say(f"This store is a server with a UI of its own: {address}")
        return
    free = tracking.free_port(port)
    address = tracking.page(f"http://127.0.0.1:{free}", where)
    say(f"MLflow on {tracking.without_secrets(uri)} starts, which may take a minute (Ctrl-C ends it); then open")
    say(f"    {address}")
    tracking.serve(uri, free, tell, lambda: tell("MLflow answers." + _show(address, browser=browser)))


def _show(address: str, *, browser: bool) -> str:
    """Open a page in the browser, if that is wanted and there is one; say whether it was."""
    from lossreg.terminal import browser as browsers

    return " The page opens in your browser." if browser and browsers.show(address) else ""


def _of_folder(folder: Path, overrides: Sequence[str]) -> dict[str, Any] | None:
    """List the studies in a folder; return the store that is shown, None where there is none.

    It is that of most studies which MLflow's variable or default names, or which lies in the folder. Others, which only
    journals name, are listed.
    """
    if overrides:
        raise InputError("it changes a study, and --all shows those of a folder", where="--set", hint="Leave it out.")
    from lossreg.reporting.tables import table
    from lossreg.search import study_list

    study_folders = study_list.below(folder)
    studies = _listed(study_folders.studies)
    display(table("", dict.fromkeys(study_list.COLUMNS, "left"), [one.cells for one in studies]))
    if study_folders.others:
        say(f"Without a journal: {', '.join(path.name for path in study_folders.others)}. {study_list.ELSEWHERE}")
    stores, named = study_list.stores(studies), _default_store()
    followed = [store for store in stores if _is_followed(store, folder, named)]
    for other in stores:
        if other not in followed[:1]:
            say(_elsewhere(other), whole=True)
    if not stores:
        say("None of them is in MLflow, so there is nothing to serve; `lossreg results FOLDER` shows one.")
    if not followed:
        return None
    # as it is named, with its password
    return {"uri": named if followed[0] == _masked(named) else followed[0]}


def _listed(folders: Sequence[Path]) -> list[Listed]:
    """Return the studies in these folders, and show how many are read meanwhile."""
    from lossreg.search import study_list

    text = f"reading {count_of(len(folders), 'study', 'studies')}"
    studies: list[Listed] = []
    with waiting.busy(text, line=True) as show:
        for folder in folders:
            show(f"{text}: {len(studies):,} read")
            studies.append(study_list.listed(folder))
    return studies


def _default_store() -> str:
    """Return the store that MLflow's variable or default names; empty where that is none."""
    from lossreg import tracking

    try:
        return tracking.check(environ=os.environ)
    except InputError:
        return ""


def _masked(uri: str) -> str:
    from lossreg import tracking

    return tracking.without_secrets(uri)


def _is_followed(store: str, folder: Path, named: str) -> bool:
    """Return whether a store that journals name is looked at: the named one, or a file in the folder."""
    from lossreg.tracking.uri import sqlite_path

    path = sqlite_path(store) if "?" not in store else None
    is_inside = path is not None and path.is_file() and path.resolve().is_relative_to(folder.resolve())
    return is_inside or store == _masked(named)


def _elsewhere(store: str) -> str:
    """Return how to see the studies in a store that only journals name, which nothing opens by itself."""
    from lossreg.tracking.uri import VARIABLE

    command = f"{VARIABLE}={shlex.quote(store)} lossreg ui"
    if MASK in store:
        return f"Others are in a store with a password. To see them: {command}, with the password in place of {MASK}"
    return f"Others are in another MLflow store. To see them: {command}"


def _synchronised(spec: StudySpec) -> tuple[StudyResult, dict[str, Any]]:
    """Write a study into MLflow, and note the place in its journal."""
    from lossreg import tracking
    from lossreg.config import study as studies
    from lossreg.search import history
    from lossreg.storage import shared_study
    from lossreg.storage.trials import ATTRIBUTE

    if not spec.tracking.enabled:
        raise InputError("is false, so there is nothing to sync", where=spec.place("tracking.enabled"))
    studies.require_trusted(spec, is_run=False)
    folder = shared_study.of(spec)
    folder.require_begun()
    with folder.lock():
        folder.drop_unfinished_line()
        kept = folder.read()
        warnings = folder.note_place(kept)
        result, about = history.results(spec), kept.user_attrs[ATTRIBUTE]
        uri = _named_store(spec, result)
        tracker = tracking.Tracker(
            uri, spec.tracking.experiment, key=about["id"], warn=warnings.append, required=True,
            register=spec.tracking.registered,
        )  # fmt: skip
        model = _recommended_model(folder, result, kept.user_attrs, warnings) if spec.tracking.model else None
        text = f"writing into MLflow at {tracking.without_secrets(uri)}"
        with waiting.busy(text, line=True) as show, streams.silenced():
            tracker.on_left = _estimate(text, len(result.trials), show)
            is_over = result.reached is not None and result.reached.is_over
            where = tracker.sync(result, result.tracking.get("run_id"), model, is_over=is_over)
        # what is there now: others may have written since it was read
        kept.set_user_attr(ATTRIBUTE, {**kept.user_attrs[ATTRIBUTE], "tracking": where})
    for text in warnings:
        warn(text)
    return result, where


def _estimate(text: str, trials: int, show: Callable[[str], None]) -> Callable[[int], None]:
    """Return a function of the number of trials that are still to be written, which shows it and the time they take."""
    from lossreg.reporting.pace import Pace

    pace = Pace()

    def on_left(left: int) -> None:
        if not pace.total:
            pace.begin(trials, trials - left)
        pace.done = trials - left
        done = (
            f"{pace.done:,} of {trials:,} trials"
            if left
            else "all trials are there; tables, plots and the model follow"
        )
        show(f"{text}: {done}, {pace}" if left and pace.rate() else f"{text}: {done}")

    return on_left


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


def _recommended_model(
    folder: StudyFolder, result: StudyResult, noted: Mapping[str, Any], warnings: list[str]
) -> Path | None:
    """Return the file of the recommended trial's model; add a warning that says why it is not there."""
    from lossreg.search import completion

    trial = result.recommended
    if trial is None:
        return None
    model = folder.best.file_of(trial.number)
    if model is None:
        worker = completion.model_holder(folder, result, noted)
        instead = f"worker {worker} has it: sync there" if worker else "finish the study to have it"
        warnings.append(f"the model of the recommended trial ({trial.number}) is not there; {instead}")
    return model


def _kept_uri(result: StudyResult) -> str | None:
    """Return the store where a study was tracked, None if its noted address lacks the password."""
    uri = result.tracking.get("uri")
    return None if uri is None or MASK in uri else str(uri)


def _tracked_at(study: Path | None, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the `tracking` of a study that was run; of another study the store that it names."""
    if study is None and overrides:
        hint = "Give the study too, or name the store in MLFLOW_TRACKING_URI."
        raise InputError("it changes a study, and none is given", where="--set", hint=hint)
    if study is None:
        return {}
    from lossreg import tracking
    from lossreg.search import history, study_list
    from lossreg.storage import shared_study

    spec = load(study, overrides)
    if not shared_study.of(spec).exists:
        warn(f"study {spec.name} has not been run yet, so the store has no runs of it")
        return {"uri": spec.tracking.uri}
    result = history.results(spec)
    kept = _kept_uri(result)
    is_looked_at = kept is not None and kept.startswith(study_list.LOOKED_AT)
    uri = kept if is_looked_at and not overrides else _named_store(spec, result)
    tracked = result.tracking if tracking.without_secrets(str(uri)) == result.tracking.get("uri") else {}
    return {**tracked, "uri": uri}
