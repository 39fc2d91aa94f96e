"""The runs that a study has in an MLflow store already: its experiment, its parent run, children of lost parents."""

from __future__ import annotations

from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from lossreg.errors import LossregError
from lossreg.tracking import entities

PAGE = 1_000
# without it the UI takes an experiment for one about language models, and hides charts and columns
TRAINING = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "lossreg: each run is a study, and begins with its verdict; its trials are nested below it.",
}


class Lookup:
    """Runs of one experiment, which is created if it is missing, with its files at `location`.

    One that was deleted is brought back, with all its runs, only where `restore` is set.
    """

    def __init__(self, client: MlflowClient, experiment: str, location: str | None, *, restore: bool = False) -> None:
        self.client = client
        self.experiment_id = self._experiment(experiment, location, restore)

    def _experiment(self, name: str, location: str | None, restore: bool) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            return _understood(self.client.create_experiment(name, location, TRAINING))
        number = _understood(experiment.experiment_id)
        if experiment.lifecycle_stage != "active":
            if not restore:
                raise LossregError(
                    f"the experiment {name!r} is deleted; bring it back with "
                    f"`mlflow experiments restore --experiment-id {number}` or `lossreg sync STUDY`, or name another"
                )
            self.client.restore_experiment(number)
        return number

    def parent(self, run_id: str, key: str) -> Run | None:
        """Return the parent run of that id, or else the one that carries the study's key; None where there is none.

        A run in another experiment makes that one the experiment.
        """
        run = self._run(run_id)
        if run is not None and run.info.lifecycle_stage == "active" and _belongs_to(run, key):
            self.experiment_id = run.info.experiment_id
            return run
        return next(iter(self._search(entities.KEY, key)), None) if key else None

    def children(self, parent: str) -> list[Run]:
        """Return the child runs of a parent, oldest first."""
        return self._search(entities.PARENT, parent)

    def lost_parents(self, run_id: str, key: str, parent: str) -> list[str]:
        """Return the ids of former parents: those that are deleted, and `run_id` where it is gone for good."""
        ids = [run.info.run_id for run in self._search(entities.KEY, key, ViewType.DELETED_ONLY)] if key else []
        if not run_id or run_id in (parent, *ids):
            return ids
        run = self._run(run_id)
        is_gone = run is None or (run.info.lifecycle_stage != "active" and _belongs_to(run, key))
        return [*ids, run_id] if is_gone else ids

    def doubles(self, key: str, parent: str) -> list[str]:
        """Return the ids of further parents with the key, which a server had created when its answer was lost."""
        return [run.info.run_id for run in self._search(entities.KEY, key) if run.info.run_id != parent] if key else []

    def _run(self, run_id: str) -> Run | None:
        """Return the run of that id, deleted or not; None where there is none."""
        try:
            return self.client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _search(self, tag: str, value: str, view: Any = ViewType.ACTIVE_ONLY) -> list[Run]:
        """Return every run with that tag, oldest first.

        Each is there once: one that another process creates meanwhile moves others into the next page.
        """
        runs: dict[str, Run] = {}
        query, order, token = f"tags.`{tag}` = '{value}'", ["attributes.start_time DESC"], None
        while True:
            page = self.client.search_runs([self.experiment_id], query, view, PAGE, order, token)
            runs.update((run.info.run_id, run) for run in page)
            token = page.token
            if not token:
                return list(runs.values())[::-1]


def _understood(experiment_id: str | None) -> str:
    """Return the id of an experiment; raises `LossregError` where a server answered without one."""
    if not experiment_id:
        raise LossregError(
            "the server's answer was not understood: it names no experiment. Look whether MLflow's server is at this "
            "address, and whether a proxy before it changes its answers"
        )
    return str(experiment_id)


def _belongs_to(run: Run, key: str) -> bool:
    """Return whether a run is the parent of the study of that key: a run id from elsewhere may be anybody's."""
    return not key or run.data.tags.get(entities.KEY) == key
