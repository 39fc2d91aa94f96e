"""Commands that run a study and show its results."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossreg.cli import conclusion, waiting
from lossreg.cli.shell import (
    Json,
    Overrides,
    Study,
    app,
    display,
    guarded,
    import_keras,
    load,
    only_json,
    print_json,
    say,
)
from lossreg.errors import InputError, brief, on_disk
from lossreg.runtime import backend, devices
from lossreg.storage import activity
from lossreg.storage.address import EXAMPLES
from lossreg.storage.journal_keys import is_study_folder
from lossreg.storage.replaced_file import folder_beside, replaced

if TYPE_CHECKING:
    from lossreg.cli.ray_cluster import Cluster
    from lossreg.config.study import StudySpec
    from lossreg.reporting.watcher import Watcher
    from lossreg.search.restore import Trained
    from lossreg.search.run import Switches
    from lossreg.storage.observer import Observer
    from lossreg.storage.study_folder import StudyFolder
    from lossreg.storage.study_result import StudyResult


Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="cpu, gpu or gpu:N; one worker for each GPU.")]
RayAddress = Annotated[
    str,
    typer.Option(
        "--ray", metavar="ADDRESS", help="Have a Ray cluster run workers: auto, HOST:6379, ray://HOST:10001, local."
    ),
]
WorkerCount = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, max=10_000, help="How many with --ray; by default one for each GPU or machine."
    ),
]
StudyOrFolder = Annotated[
    Path, typer.Argument(metavar="STUDY", help="The study file (TOML), or the study's folder.", show_default=False)
]


@app.command()
@guarded
def tune(
    study: Study,
    *,
    overrides: Overrides = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over; the former run is moved aside.")] = False,
    allow_changed: Annotated[
        bool,
        typer.Option(
            "--allow-changed",
            help="Go on with a changed study; trials that later ones cannot be compared with are kept apart.",
        ),
    ] = False,
    more: Annotated[
        int | None,
        typer.Option("--more", metavar="N", min=1, max=1_000_000, help="Add N trials to a study that was begun."),
    ] = None,
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

    A study file is code: the functions that it names are run, with --dry-run too; with --safe none is.
    """
    with only_json(as_json) as out, ExitStack() as stack:
        spec = _to_run(study, overrides)
        if not dry_run and spec.storage.url is None:
            # before slow imports
            stack.enter_context(activity.announced(spec.folder))
        from lossreg.search.run import Switches

        switches = Switches(fresh, allow_changed, require_tracking, more)
        if dry_run:
            _dry_run(spec, switches, as_json, out)
            return
        from lossreg.cli import interrupts
        from lossreg.reporting.progress import progress

        watcher = progress()
        watcher.is_concluded = not as_json
        spec, total = _with_more(spec, switches)
        resume, adding = interrupts.resuming_more(study, overrides or (), total)
        result = _run(spec, resume, watcher, switches, adding=adding)
        conclusion.conclude(result, study, as_json, out, shown=watcher.messages if conclusion.is_one_stream() else ())


@app.command()
@guarded
def worker(
    study: Study,
    *,
    device: Device = "",
    ray: RayAddress = "",
    workers: WorkerCount = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Join the workers of a study with a shared storage.

    The first one begins the study. Workers may join and leave at any time; the trials of
    one that dies run again. Of those that are there at the end the first one finishes the study.
    """
    with only_json(as_json) as out:
        spec = _to_run(study, overrides)
        _require_shared(spec)
        cluster = _cluster(ray, workers, device)
        from lossreg.reporting.progress import progress

        watcher = progress()
        watcher.is_concluded = not as_json
        work = partial(_on_ray, cluster) if cluster else partial(_here, device)
        result = work(spec, study, overrides or (), watcher)
        conclusion.conclude(result, study, as_json, out, shown=watcher.messages if conclusion.is_one_stream() else ())


def _cluster(ray: str, workers: int | None, device: str) -> Cluster | None:
    """Return the Ray cluster at an address, None without one."""
    if ray:
        from lossreg.cli.ray_cluster import Cluster

        return Cluster(ray, workers, device)
    if workers is not None:
        raise InputError("belongs to --ray", where="--workers", hint="Or call this command once for each worker.")
    return None


def _here(device: str, spec: StudySpec, study: Path, overrides: Sequence[str], watcher: Watcher) -> StudyResult:
    """Be a worker."""
    if device:
        devices.choose(device)
    from lossreg.cli import interrupts
    from lossreg.search.run import Switches

    again = interrupts.resuming("worker", study, overrides, ["--device", device] if device else ())
    return _run(spec, again, watcher, Switches(), device)


def _on_ray(cluster: Cluster, spec: StudySpec, study: Path, overrides: Sequence[str], watcher: Watcher) -> StudyResult:
    """Have a cluster run workers, and return what they reached."""
    from lossreg.cli import interrupts, ray_cluster
    from lossreg.search import history

    def work() -> StudyResult:
        watcher.training = True
        cluster.run(ray_cluster.arguments(study, overrides), watcher)
        result = history.results(spec)
        watcher.trained(result)
        return result

    if watcher.is_concluded:
        watcher.on_trained = conclusion.show_leaderboard
    return interrupts.interruptible(work, interrupts.resuming("worker", study, overrides, cluster.options), watcher)


def _require_shared(spec: StudySpec) -> None:
    """Raise `InputError` for a study whose trials are in a file, which has one writer."""
    if spec.storage.url is None:
        raise InputError(
            "is not set, and the study's own file is for one process", where=spec.place("storage.url"),
            hint=f"Name a storage for several, {EXAMPLES}; `lossreg tune` runs a study in one process.",
        )  # fmt: skip


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

    No trial is added. Runs the functions that the study names. The exit code is 1 where no verdict is reached.
    """
    with only_json(as_json) as out:
        spec = _to_run(study, overrides)
        from lossreg.cli import interrupts
        from lossreg.reporting.progress import progress
        from lossreg.search import completion, run

        if result := run.reached_verdict(spec, repeats):
            conclusion.conclude(result, study, as_json, out)
            return
        import_keras()
        watcher = progress()
        watcher.is_concluded = not as_json
        options = ["--repeats", str(repeats)] if repeats else []
        again = interrupts.resuming("verdict", study, overrides or (), options)
        result = interrupts.interruptible(lambda: run.verdict(spec, repeats, progress=watcher), again, watcher)
        conclusion.conclude(result, study, as_json, out, shown=watcher.messages if conclusion.is_one_stream() else ())
        if completion.lacks_verdict(result):
            raise typer.Exit(1)


@app.command()
@guarded
def results(study: StudyOrFolder, as_json: Json = False) -> None:
    """Show the leaderboard of a study, finished or not."""
    with only_json(as_json) as out:
        spec, result = read(study)
        if as_json:
            print_json(result.to_json(), out)
        else:
            conclusion.show_results(study, spec, result)


def read(study: Path) -> tuple[StudySpec | None, StudyResult]:
    """Return a study and what it has reached; of its folder, where it is named by that, the latter alone."""
    spec = None if is_study_folder(study) else load(study)
    from lossreg.search import history

    return spec, history.results(spec or study)


def opened(study: Path) -> tuple[StudySpec | None, StudyFolder]:
    """Return the study of a file, if it is one, and the folder that has its trials."""
    if is_study_folder(study):
        from lossreg.storage.study_folder import StudyFolder

        return None, StudyFolder.at(study)
    spec = load(study)
    from lossreg.storage import shared_study

    return spec, shared_study.of(spec)


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
        str | None,
        typer.Option("--loss", metavar="CANDIDATE", help="Its recommended trial, else that with the top score."),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train the trial again if its weights are not here.")] = False,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where the model goes, a .keras file.")
    ] = Path("model.keras"),
) -> None:
    """Write what a trial trained as a Keras model.

    Its preprocessing goes beside it. Runs the functions that the study names.
    """
    with on_disk(f"--output {brief(output)}"):
        _check_output(output)
    spec = load(study, is_run=True)
    from lossreg.search import restore

    kept = restore.look_up(spec, trial, loss, train=train)
    import_keras()
    trains = kept.weights is None
    doing = f"trial {kept.record.number} is trained again" if trains else "building the model and its preprocessing"
    with waiting.busy(doing, line=trains):
        restored = restore.restore(spec, kept)
    beside = _write_model(restored, output)
    what = f"trial {kept.record.number}, from preprocessed rows to {_predicted(restored)}"
    say(f"{output}: {what}; {beside}: from raw rows to preprocessed ones")


# ------------------------------------------------------------------------------ the work


def _to_run(study: Path, overrides: Sequence[str] | None) -> StudySpec:
    """Return the study of a file that is to be run; a line says so before anything slow is imported."""
    spec = load(study, overrides or (), is_run=True)
    waiting.step(f"study {spec.name}: starting")
    return spec


def _write_model(restored: Trained, output: Path) -> Path:
    """Write a model and the file of its preprocessing beside it, each all or nothing; return the latter."""
    from lossreg.data import preprocessor_file

    whole, beside = output.resolve(), output.with_suffix(".preprocessor.json")
    with on_disk(f"--output {brief(output)}"), folder_beside(whole) as aside:
        file = aside / "model.keras"
        with backend.without_tensorflow():
            restored.model.save(file)
        with replaced(aside / beside.name, beside) as part:
            part.write(preprocessor_file.dumps(restored.preprocessor).encode())
        file.replace(whole)
    return beside


def _predicted(restored: Trained) -> str:
    """Return what the numbers of a model mean: `the probability of yes`."""
    (what, of, _), classes = restored.model.name.partition("_of_"), restored.preprocessor.classes
    return f"the {what} of {classes[1]}" if of and len(classes) == 2 else "predictions"


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


def _run(
    spec: StudySpec, resume: str, watcher: Watcher, switches: Switches, device: str = "", *, adding: str = ""
) -> StudyResult:
    """Run a study; unless `--json` is set its leaderboard is printed as soon as the last trial ends."""
    from lossreg.cli import interrupts

    if watcher.is_concluded:
        watcher.on_trained = lambda result: conclusion.show_leaderboard(result) if result.best else None
    return interrupts.interruptible(lambda: _tune(spec, watcher, switches, device), resume, watcher, adding)


def _with_more(spec: StudySpec, switches: Switches) -> tuple[StudySpec, list[str]]:
    """Return a study with the trials that `--more` adds, and an override that asks for the same number."""
    if not switches.more:
        return spec, []
    from lossreg.storage import shared_study

    folder = shared_study.of(spec)
    switches.check(folder)
    extended = switches.extended(spec, folder)
    return extended, [f"search.trials={extended.search.trials}"]


def _tune(spec: StudySpec, progress: Observer, switches: Switches, device: str) -> StudyResult:
    from lossreg.storage import shared_study

    # before Keras, whose import takes most of the wait
    folder = shared_study.of(spec)
    switches.check(folder)
    folder.require_free()
    folder.require_writable()
    from lossreg.search import more, run, study_metrics

    if not switches.fresh:
        spec = more.extended(spec, folder)
    if not switches.fresh and (result := run.finished(spec, folder, progress)):
        return result
    with folder.announced():
        _require_sampler(spec)
        study_metrics.require_known(spec)
        _import_keras(spec)
        devices.require(device)
        return run.go_on(spec, folder, progress, switches)


def _dry_run(spec: StudySpec, switches: Switches, as_json: bool, out: Any) -> None:
    from dataclasses import asdict

    from lossreg.search.outline import plan
    from lossreg.storage import shared_study

    switches.check(shared_study.of(spec))
    _require_sampler(spec)
    _import_keras(spec)
    with waiting.busy("reading data and losses"):
        planned = plan(spec, allow_changed=switches.allow_changed, more=switches.more)
    if as_json:
        print_json(asdict(planned), out)
        return
    from lossreg.cli import outline

    display(outline.page(planned))


def _require_sampler(spec: StudySpec) -> None:
    """Raise `InputError` for a sampler that cannot be had here."""
    from lossreg.search import optuna_samplers

    optuna_samplers.maker(spec.search.sampler, spec.place(optuna_samplers.KEY))


def _import_keras(spec: StudySpec) -> None:
    """Import Keras; raises `InputError` before that if the study's tracking address is wrong."""
    from lossreg.search import tracked

    tracked.uri(spec)
    import_keras()
