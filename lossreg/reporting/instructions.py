"""What to type next: how to load the model of a study, and how to repeat the study."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossreg.contract.data_options import GIVEN
from lossreg.contract.recipes import WIDTH, wrapped
from lossreg.reporting import last_runs
from lossreg.reporting.last_runs import key_of
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.terminal.masking import MASK
from lossreg.terminal.plain_text import printable_line

STUDY = "STUDY"  # stands for the study file where its name is not known
MLFLOW = "From MLflow"
NO_FILE = (
    "`STUDY` stands for the study file. From Python it is the same call of `lossreg.tune`; the page report.html has "
    "the study as a file."
)
REPEAT, GO_ON, AGAIN = "Repeat the study", "Go on with the study", "-again"
FLAT = "`rows` are raw rows as the study read them, such as a pandas DataFrame with the columns of the training data."
ARRAYS = (
    "`rows` are raw rows as the study read them: an array, a dictionary of inputs, an .npz file of these, or a folder "
    "of images."
)
FILES = (
    "`model.keras` is written into the folder in which the command runs. It takes preprocessed rows, which "
    "`model.preprocessor.json`, written beside it, makes of raw ones."
)
FROM_HERE = "Relative paths on this page start in the folder in which `lossreg report` ran."
FROM_STUDY = "Relative paths on this page start in the folder of the study file."
REPEATING = (
    "It runs the study once more under another name, beside this one, which stays as it is. The seed and the splits "
    "are the same: it shows whether the numbers repeat, and is no new evidence."
)
SHOWN = "`lossreg results` shows it by its folder, `.lossreg/{}` beside the study file."
SHOWN_SHARED = "Commands show it by a copy of the study file that has this name."
OTHER_SEED = "For other test rows and other splits: `{}`."
ROWS_GIVEN = (
    "The rows of this study were given from Python, so no file and no command can repeat it: make the same call of "
    "`lossreg.tune` with another `name`."
)
ROWS_GIVEN_UNFINISHED = (
    "The rows of this study were given from Python, so no command can go on with it: make the same call of "
    "`lossreg.tune` again, with the same `name` if it had one."
)
NAMED_STORE = "  # MLFLOW_TRACKING_URI must name the store, with its password"
MASKED = "Put the password in where the command has `***`."


def recipe(trial: TrialRecord) -> str:
    """Return the recipe of a trial as code to paste, with its import, on several lines where it is long."""
    line = printable_line(trial.recipe)
    return f"import lossreg\n\n{line if len(line) <= WIDTH else wrapped(line)}"


def loading(result: StudyResult, study: str = "", folder: str = "") -> list[tuple[str, str]]:
    """Return ways to load the recommended trial's model, each with its code; none without a trial that completed.

    study: the study file as commands name it; folder: that of its trials instead. `lossreg model` takes a file alone,
    which has another study where this one was renamed.
    """
    if result.recommended is None:
        return []
    is_renamed, folder = not study and bool(renaming(result)), _folder(result, study, folder)
    study = _named(result, study)
    model = f"lossreg model {shlex.quote(study)} -o model.keras"
    ways = [] if is_renamed else [("As a Keras model, in a file", model)]
    load = f"predictor = lossreg.load_predictor({json.dumps(folder or study)})"
    ways.insert(0, ("From raw rows to predictions", f"import lossreg\n{load}\npredictor.predict(rows)"))
    files = f"{_rows(result)} -o {predicted(result)}"
    ways.insert(0, ("Predictions for new rows", f"lossreg predict {shlex.quote(folder or study)} {files}"))
    if code := from_mlflow(result):
        ways.append((MLFLOW, code))
    return ways


def predicted(result: StudyResult) -> str:
    """Return a name for the file of predictions, of a kind that can hold them."""
    return "predicted.npz" if result.task == "segmentation" else "predicted.csv"


def _rows(result: StudyResult) -> str:
    """Return a name for new rows, of a kind that the study's model takes."""
    source = str(result.spec.get("data", {}).get("source", ""))
    is_folder = ":" not in source and source != GIVEN and not Path(source).suffix
    return "rows.csv" if _is_flat(result) else "folder_of_images" if is_folder else "rows.npz"


def about_rows(result: StudyResult) -> str:
    """Return what raw rows are, and what the files of the model are for."""
    return f"{FLAT if _is_flat(result) else ARRAYS} {FILES}"


def _is_flat(result: StudyResult) -> bool:
    """Tell whether a row is a row of a table, and not an image, a sequence or several inputs."""
    shape = result.data.get("input_shape", ())
    return not isinstance(shape, Mapping) and len(shape) <= 1


def start_of_paths(study: str = "", folder: str = "") -> str:
    """Return the folder in which the paths of a page start, in words; study, folder: as in `loading`."""
    return FROM_HERE if study or folder else FROM_STUDY


def from_mlflow(result: StudyResult) -> str:
    """Return two lines that load the recommended trial's model from MLflow; empty where MLflow has none."""
    address, uri = address_of_model(result), str(result.tracking.get("uri", MASK))
    if not address:
        return ""
    trial = f"  # trial {result.tracking['model_trial']}"
    store = f"; mlflow.set_tracking_uri({json.dumps(uri)})" if MASK not in uri else NAMED_STORE
    return f"import mlflow{store}\nmodel = mlflow.pyfunc.load_model({json.dumps(address)}){trial}"


def address_of_model(result: StudyResult) -> str:
    """Return the address of the recommended trial's model in MLflow; empty where MLflow has none, or another's."""
    tracked, trial = result.tracking, result.recommended
    is_recommended = trial is not None and tracked.get("model_trial") == trial.number
    return str(tracked.get("model") or "") if is_recommended else ""


def other_model(result: StudyResult) -> str:
    """Return of which trial the model in MLflow is, where that is not the recommended one; else empty."""
    number, trial = result.tracking.get("model_trial"), result.recommended
    if number is None or trial is None or trial.number == number:
        return ""
    return f"The model in MLflow is still that of trial {number}, and the artifact report.html has the study of then."


@dataclass(frozen=True, slots=True)
class NextStep:
    """A command that does something with a whole study, empty where none can; its title, and sentences on it."""

    title: str
    command: str
    sentences: tuple[str, ...] = ()


def next_step(result: StudyResult, study: str = "", folder: str = "") -> NextStep:
    """Return how to watch a study that runs, to go on with one that was interrupted, else to repeat it.

    study, folder: as in `loading`.
    """
    if result.is_running:
        named = _named(result, study or _folder(result, study, folder))
        return NextStep("Watch the study", shlex.join(["lossreg", "watch", named]))
    is_interrupted = bool(result.reached and result.reached.is_interrupted)
    if _has_rows_given(result):
        return NextStep(GO_ON, "", (ROWS_GIVEN_UNFINISHED,)) if is_interrupted else NextStep(REPEAT, "", (ROWS_GIVEN,))
    if is_interrupted:
        return NextStep(GO_ON, going_on(result, study), _unfinished(result))
    again, overrides = f"name={result.study}{AGAIN}", [*result.overrides, *last_runs.overrides(result)]
    shown = SHOWN_SHARED if result.is_shared else SHOWN.format(printable_line(f"{result.study}{AGAIN}"))
    sentences = (REPEATING, shown, *_other_seed(result, study, overrides), *_unfinished(result))
    return NextStep(REPEAT, _command(result, study, overrides, again), sentences)


def going_on(result: StudyResult, study: str, verb: str = "") -> str:
    """Return the command that goes on with a study as it was run; verb: another command than that for its trials."""
    # it keeps the number of trials that `--more` set
    kept = [one for one in result.overrides if not result.extended_to or key_of(one) != last_runs.TRIALS]
    return _command(result, study, kept, verb=verb)


def _other_seed(result: StudyResult, study: str, overrides: Sequence[str]) -> tuple[str, ...]:
    """Return how to split the rows in another way; nothing where the seed does not choose the test rows."""
    seed = result.spec.get("search", {}).get("seed", 0) + 1
    command = _command(result, study, overrides, f"name={result.study}-seed-{seed}", f"search.seed={seed}")
    return (OTHER_SEED.format(command),) if _is_tested_at_random(result) else ()


def _is_tested_at_random(result: StudyResult) -> bool:
    data = result.spec.get("data", {})
    is_given = isinstance(data.get("test"), str) or bool(result.data.get("has_given_test"))
    has_folds = bool(last_runs.spec(result).get("verdict", {}).get("outer"))
    has_test = has_folds or result.data.get("rows", {}).get("test") != 0
    return has_test and not is_given and data.get("time") is None and data.get("split") is None


def _command(result: StudyResult, study: str, overrides: Sequence[str], *further: str, verb: str = "") -> str:
    """Return the command that runs a study with these overrides; of one key the last is taken."""
    last = {key_of(one): one for one in (*overrides, *further)}
    verb = verb or ("worker" if result.is_shared else "tune")
    given = [part for override in last.values() for part in ("--set", override)]
    return printable_line(shlex.join(["lossreg", verb, _named(result, study), *given]))


def renaming(result: StudyResult) -> list[str]:
    """Return the override that gives a study another name than its file."""
    return [override for override in result.overrides if key_of(override) == "name"][-1:]


def _folder(result: StudyResult, study: str, folder: str) -> str:
    """Return the folder that is named, or else that of a study which was renamed, where no file is named."""
    return folder or (result.folder if renaming(result) and not study else "")


def _unfinished(result: StudyResult) -> tuple[str, ...]:
    """Return what has to be put into the command."""
    is_masked = any(MASK in override for override in result.overrides)
    holds = {MASKED: is_masked, NO_FILE: not result.file}
    return tuple(sentence for sentence, is_so in holds.items() if is_so)


def _has_rows_given(result: StudyResult) -> bool:
    return bool(result.spec.get("data", {}).get("source") == GIVEN)


def _named(result: StudyResult, study: str) -> str:
    return printable_line(study or result.file or STUDY)
