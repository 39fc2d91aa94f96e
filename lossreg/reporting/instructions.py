"""What to type next: how to load the model of a study, and how to repeat the study."""

from __future__ import annotations

import json
import shlex

from lossreg.contract.data_options import GIVEN
from lossreg.contract.recipes import WIDTH, wrapped
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.terminal.masking import MASK
from lossreg.terminal.plain_text import printable_line

STUDY = "STUDY"  # stands for the study file where its name is not known
MLFLOW = "From MLflow"
NO_FILE = (
    "`STUDY` stands for the study file. From Python it is the same call of `lossreg.tune` with `fresh=True`; "
    "the page report.html has the study as a file."
)
ROWS_GIVEN = (
    "The rows of this study were given from Python, so no file and no command can repeat it: make the same call of "
    "`lossreg.tune` with `fresh=True`."
)
SHARED = "Workers share the storage of this study, which keeps its trials: the command runs it under another name."
NAMED_STORE = "  # MLFLOW_TRACKING_URI must name the store, with its password"
MASKED = "Put the password in where the command has `***`."


def recipe(trial: TrialRecord) -> str:
    """Return the recipe of a trial as code to paste, on several lines where it is long."""
    line = printable_line(trial.recipe)
    return line if len(line) <= WIDTH else wrapped(line)


def loading(result: StudyResult, study: str = "", folder: str = "") -> list[tuple[str, str]]:
    """Return ways to load the recommended trial's model, each with its code; none without a trial that completed.

    study: the study file as commands name it; folder: that of its trials instead.
    """
    if result.recommended is None:
        return []
    study = _named(result, study)
    ways = [("As a Keras model, in a file", f"lossreg model {shlex.quote(study)} -o model.keras")]
    if result.task != "segmentation":
        load = f"predictor = lossreg.load_predictor({json.dumps(folder or study)})"
        ways.insert(0, ("From raw rows to predictions", f"import lossreg\n{load}\npredictor.predict(rows)"))
    if code := from_mlflow(result):
        ways.append((MLFLOW, code))
    return ways


def from_mlflow(result: StudyResult) -> str:
    """Return two lines that load the recommended trial's model from MLflow; empty where MLflow has none."""
    address, uri = address_of_model(result), str(result.tracking.get("uri", MASK))
    if not address:
        return ""
    store = f"; mlflow.set_tracking_uri({json.dumps(uri)})" if MASK not in uri else NAMED_STORE
    return f"import mlflow{store}\nmodel = mlflow.pyfunc.load_model({json.dumps(address)})"


def address_of_model(result: StudyResult) -> str:
    """Return the address of the recommended trial's model in MLflow; empty where MLflow has none, or another's."""
    tracked, trial = result.tracking, result.recommended
    is_recommended = trial is not None and tracked.get("model_trial") == trial.number
    return str(tracked.get("model") or "") if is_recommended else ""


def repeating(result: StudyResult, study: str = "") -> str:
    """Return the command that runs the study once more, from its beginning; study as in `loading`.

    Empty where no command can: the rows were given from Python.
    """
    if _has_rows_given(result):
        return ""
    command, again = ("worker", ["--set", f"name={result.study}-again"]) if result.is_shared else ("tune", ["--fresh"])
    given = [part for override in result.overrides for part in ("--set", override)]
    return printable_line(shlex.join(["lossreg", command, _named(result, study), *given, *again]))


def about_repeating(result: StudyResult) -> list[str]:
    """Return sentences on the command of `repeating`, or why there is none."""
    if _has_rows_given(result):
        return [ROWS_GIVEN]
    is_masked = any(MASK in override for override in result.overrides)
    said = {SHARED: result.is_shared, MASKED: is_masked, NO_FILE: not result.file}
    return [sentence for sentence, holds in said.items() if holds]


def _has_rows_given(result: StudyResult) -> bool:
    return bool(result.spec.get("data", {}).get("source") == GIVEN)


def _named(result: StudyResult, study: str) -> str:
    return printable_line(study or result.file or STUDY)
