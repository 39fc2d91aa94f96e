"""Tables as people have them: a study reads each right, and comes near scikit-learn, which is computed outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from compare import compared
from inputs import INPUTS, Input

from lossreg.data import loading


def marked(given: Input):
    """The input, in long tests alone if its table is in a package of the extra `tables`."""
    return pytest.param(given, id=given.name, marks=[pytest.mark.long] if given.package else [])


def of(given: Input) -> Input:
    assert given.there, f"{given.package} is not installed"
    return given


@pytest.mark.parametrize("given", [marked(one) for one in INPUTS if one.name != "large"])
def test_every_row_and_the_task_are_read_as_they_were_meant(given: Input, tmp_path: Path) -> None:
    frame = of(given).frame()
    data = loading.load(base=tmp_path, **given.study(given.source(frame, tmp_path), len(frame))["data"])
    assert data.task == given.task
    assert sum(map(len, (data.train, data.validation, data.test))) == len(frame)
    read = data.rows.readings.get("", {})
    meant = {name: given.kind(frame, name) for name in read}
    assert {name: reading.kind for name, reading in read.items()} == meant


@pytest.mark.long
@pytest.mark.parametrize("given", INPUTS, ids=lambda given: given.name)
def test_a_short_study_comes_near_a_linear_model(given: Input, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = compared(of(given), tmp_path)
    assert found.task == given.task
    assert found.ours >= found.linear - given.within
