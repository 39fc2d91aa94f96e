"""What is found of a study in a store to which others write meanwhile."""

from types import SimpleNamespace

import pytest
from mlflow.entities import Run, RunData, RunInfo
from mlflow.store.entities.paged_list import PagedList

from lossreg.tracking import lookup
from lossreg.tracking.lookup import Lookup


def run(name):
    return Run(RunInfo(name, "1", "", "RUNNING", 0, None, "active"), RunData())


class Client:
    """Has runs, newest first, which it pages by their position as MLflow does; `writes` adds one before each page."""

    def __init__(self, names, writes):
        self.runs, self.writes = [run(name) for name in names], writes

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id="1", lifecycle_stage="active")

    def search_runs(self, experiments, query, view, most, *order_and_token):
        token = order_and_token[-1]
        start = int(token or 0)
        page = self.runs[start : start + most]
        if self.writes:
            self.runs.insert(0, run(self.writes.pop(0)))
        end = start + most
        return PagedList(page, str(end) if end < len(self.runs) else None)


@pytest.mark.parametrize("writes", [[], ["new"], ["new", "newer"]])
def test_a_run_is_found_once_though_others_come_while_pages_are_read(writes, monkeypatch):
    monkeypatch.setattr(lookup, "PAGE", 3)
    names = [f"run-{number}" for number in range(8)]
    client = Client(names[::-1], list(writes))
    assert [child.info.run_id for child in Lookup(client, "e", None).children("parent")] == names
    assert client.writes == []
