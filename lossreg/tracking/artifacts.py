"""Artifacts of a parent run: tables, report, plots and the recommended trial's model. Importing it imports MLflow."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException

from lossreg.errors import LossregError, one_line
from lossreg.reporting import description, leaderboard, trial_table
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import Answer
from lossreg.terminal.plain_text import printable
from lossreg.tracking import entities, model_package
from lossreg.tracking.failures import NotDrawnError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Drawer = Callable[[StudyResult], Figure | None]

TABLES = "mlflow.loggedArtifacts"
REGISTERED = "lossreg.study"  # the tag of models that lossreg has registered
CANDIDATE, CHAMPION = "candidate", "champion"
PLOTS = "plots"
PAGE = "report.html"
VERDICT_PLOT = f"{PLOTS}/verdict.png"


def warm_up() -> None:
    """Import what the end of a study needs, and draw once, which loads the fonts."""
    import mlflow.pyfunc  # noqa: F401
    import optuna.importance  # noqa: F401
    from matplotlib.figure import Figure

    import lossreg.reporting.study_plots  # noqa: F401
    from lossreg.reporting import page

    Figure().savefig(io.BytesIO())
    page.plotly_js()


class Artifacts:
    """The files that one parent run keeps in the artifact store."""

    def __init__(self, client: MlflowClient, experiment_id: str, run_id: str) -> None:
        self.client, self.experiment_id, self.run_id = client, experiment_id, run_id
        self._models: dict[int, str] = {}

    def tabulate(self, result: StudyResult) -> None:
        """Write the tables."""
        self.client.log_text(self.run_id, printable(trial_table.to_csv(trial_table.rows(result))), "trials.csv")
        self._log_table("leaderboard.json", leaderboard.rows(result))

    def describe(self, result: StudyResult) -> None:
        """Write the whole report and the result, which say how to load the model that `tracking` names."""
        self.client.log_text(self.run_id, description.markdown(result), "report.md")
        self.client.log_text(self.run_id, json.dumps(result.to_json(), indent=2), "result.json")

    def _log_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        columns = list(rows[0]) if rows else []
        table = {"columns": columns, "data": [[row[column] for column in columns] for row in rows]}
        self.client.log_dict(self.run_id, table, name)
        self.client.set_tag(self.run_id, TABLES, json.dumps([{"path": name, "type": "table"}]))

    def draw(self, result: StudyResult) -> None:
        """Write the plots."""
        from lossreg.reporting import study_plots

        self._log_drawn(result, {f"{PLOTS}/{name}.png": draw for name, draw in study_plots.drawers(result).items()})

    def draw_verdict(self, result: StudyResult) -> None:
        """Write the plot of the verdict, which comes after the others; without a comparison only in place of one.

        Scores by loss are drawn again, with the verdict's repeats.
        """
        from lossreg.reporting import plot_data, study_plots

        drawers: dict[str, Drawer] = {}
        if plot_data.repeats(result):
            drawers[f"{PLOTS}/by_loss.png"] = study_plots.by_loss
        if plot_data.comparisons(result):
            drawers[VERDICT_PLOT] = study_plots.verdict
        elif VERDICT_PLOT in {file.path for file in self.client.list_artifacts(self.run_id, PLOTS)}:
            drawers[VERDICT_PLOT] = study_plots.no_comparison
        self._log_drawn(result, drawers)

    def _log_drawn(self, result: StudyResult, drawers: Mapping[str, Drawer]) -> None:
        """Draw and write pictures by path; raises `NotDrawnError` in the end for those that cannot be drawn."""
        undrawn = []
        for path, draw in drawers.items():
            try:
                picture = _png(figure) if (figure := draw(result)) else b""
            except Exception as error:
                undrawn.append(f"{path} ({one_line(error)})")
                continue
            if picture:
                self._log_bytes(picture, path)
        if undrawn:
            raise NotDrawnError(", ".join(undrawn))

    def write_page(self, result: StudyResult) -> None:
        """Write the page of the study, which stands alone."""
        from lossreg.reporting import page

        try:
            html = page.html(result)
        except Exception as error:
            raise NotDrawnError(f"{PAGE} ({one_line(error)})") from error
        self.client.log_text(self.run_id, html, PAGE)

    def _log_bytes(self, content: bytes, path: str) -> None:
        folder, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary, name)
            file.write_bytes(content)
            self.client.log_artifact(self.run_id, str(file), folder)

    def log_model(self, result: StudyResult, package: Mapping[str, Any]) -> None:
        """Write the recommended trial's model, described by `model_package.describe`, as an MLflow model of the parent.

        A resumed study whose recommended trial is still the same keeps the model that it has.
        """
        trial = result.recommended
        if trial is None or self._has_model(trial):
            return
        self._models = self._modelled()
        if trial.number not in self._models:
            self._models[trial.number] = self._create_model(trial, f"{result.study}-best", package)
        self.client.set_tag(self.run_id, entities.MODEL, f"models:/{self._models[trial.number]}")
        self.client.set_tag(self.run_id, entities.MODEL_TRIAL, str(trial.number))

    def _has_model(self, trial: TrialRecord) -> bool:
        """Return whether the parent has a trial's model, and its address: up to 0.2.0 it was noted without one."""
        tags = self.client.get_run(self.run_id).data.tags
        return entities.MODEL in tags and bool(tags.get(entities.MODEL_TRIAL) == str(trial.number))

    def register(self, result: StudyResult, name: str) -> None:
        """Register the recommended trial's model under a name, once.

        Its version has the alias `candidate`, and `champion` after a verdict that the winner is better.
        """
        trial = result.recommended
        if trial is None:
            return
        model_id = self._models.get(trial.number) or self._modelled().get(trial.number)
        if model_id is None:
            return
        aliases = [CANDIDATE, *([CHAMPION] if result.verdict and result.verdict.answer == Answer.BETTER else [])]
        version = self._version(name, model_id)
        for alias in aliases:
            self.client.set_registered_model_alias(name, alias, version)
        self.client.set_tag(self.run_id, entities.MODEL, f"models:/{name}/{version}")

    def _version(self, name: str, model_id: str) -> str:
        """Return the version of a registered model that is this model, which is made where there is none."""
        try:
            self.client.create_registered_model(name, {REGISTERED: name})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            if REGISTERED not in self.client.get_registered_model(name).tags:
                raise LossregError(f"the registered model {name!r} is none of lossreg's, and was left alone") from None
        # an address such as models:/ID would be looked up in the default store; databases keep no ID beside another one
        source = self.client.get_logged_model(model_id).artifact_location
        for version in self.client.search_model_versions(f"name = '{name}'"):
            if version.model_id == model_id or version.source == source:
                return str(version.version)
        created = self.client.create_model_version(name, source, self.run_id, model_id=model_id, await_creation_for=0)
        return str(created.version)

    def _modelled(self) -> dict[int, str]:
        """Return the trials of which the parent has a model; models that a kill or a lost answer left are deleted."""
        own = {output.model_id for output in self.client.get_run(self.run_id).outputs.model_outputs}
        models = self.client.search_logged_models([self.experiment_id], f"source_run_id = '{self.run_id}'")
        for model in models:
            if model.model_id not in own:
                self.client.delete_logged_model(model.model_id)
        return {int(model.tags[entities.TRIAL]): model.model_id for model in models if model.model_id in own}

    def _create_model(self, trial: TrialRecord, name: str, package: Mapping[str, Any]) -> str:
        logged = self.client.create_logged_model(
            self.experiment_id,
            re.sub(r"[/:.%\"']", "_", name),
            source_run_id=self.run_id,
            params=entities.trial_params(trial),
            tags={entities.TRIAL: str(trial.number), "lossreg.get": entities.recipe_tag(trial)},
        )
        with tempfile.TemporaryDirectory() as folder:
            model_package.pack(package, Path(folder, "model"), logged, self.run_id)
            self.client.log_model_artifacts(logged.model_id, str(Path(folder, "model")))
        self.client.finalize_logged_model(logged.model_id, "READY")
        self.client.log_outputs(self.run_id, [LoggedModelOutput(logged.model_id, step=0)])
        return str(logged.model_id)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
