"""What to type next: how to load the model of a study, and how to repeat the study."""

from __future__ import annotations

import json
import shlex

from lossreg.contract.recipes import WIDTH, wrapped
from lossreg.storage.records import StudyResult, TrialRecord
from lossreg.terminal.plain_text import printable_line

STUDY = "STUDY"  # stands for the study file where its name is not known
HIDDEN = "***"
MLFLOW = "From MLflow"


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
    if address := _address(result):
        uri = str(result.tracking["uri"])
        store = "" if HIDDEN in uri else f"mlflow.set_tracking_uri({json.dumps(uri)})\n"
        code = f"import mlflow\n{store}model = mlflow.pyfunc.load_model({json.dumps(address)})"
        ways.append((MLFLOW, code))
    return ways


def repeating(result: StudyResult, study: str = "") -> str:
    """Return the command that runs the study once more, from its beginning; study as in `loading`."""
    return f"lossreg tune {shlex.quote(_named(result, study))} --fresh"


def _named(result: StudyResult, study: str) -> str:
    return printable_line(study or result.file or STUDY)


def _address(result: StudyResult) -> str:
    """Return the address of the model in MLflow: the very one, else the one registered last; empty where none is."""
    known, name = result.tracking.get("model"), _registered(result)
    if known or not name or not result.tracking.get("uri") or result.tracking.get("error"):
        return str(known or "")
    return f"models:/{name}@candidate"


def _registered(result: StudyResult) -> str:
    """Return the name under which MLflow has the model; empty where it is not registered."""
    tracking = result.spec.get("tracking", {})
    register = tracking.get("register", True)
    is_registered = tracking.get("enabled", True) and tracking.get("model", True) and register
    return (result.study if register is True else str(register)) if is_registered else ""
