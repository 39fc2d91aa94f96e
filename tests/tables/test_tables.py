"""Tables as people have them: `init` reads each right, and `tune` on its file comes near scikit-learn, run outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compare import compared, first_study
from inputs import INPUTS, Input

from lossreg.config import study as studies
from lossreg.search import study_data


def marked(given: Input):
    """The input, in long tests alone if its table is in a package of the extra `tables`, or takes seconds to make."""
    is_long = given.package not in ("", "sklearn")
    return pytest.param(given, id=given.name, marks=[pytest.mark.long] if is_long else [])


def of(given: Input) -> Input:
    assert given.there, f"{given.package} is not installed"
    return given


def read(path: Path):
    spec = studies.load(path)
    return spec, study_data.load_data(spec)[0]


@pytest.mark.parametrize("given", [marked(one) for one in INPUTS if one.name != "large"])
def test_init_recommends_what_fits_and_every_value_is_read_as_it_was_meant(given: Input, tmp_path: Path) -> None:
    frame = of(given).frame()
    spec, data = read(first_study(given, frame, tmp_path))
    assert (data.task, spec.search.metric) == (given.task, given.aim)
    assert given.task != "binary" or data.classes[1] == given.positive
    assert sum(map(len, (data.train, data.validation, data.test))) == len(frame)
    labels = data.rows.labels
    if given.task == "multilabel":
        assert labels.y.sum(axis=0).tolist() == frame[given.targets].sum().tolist()
    elif given.of_classes:
        rows = dict(zip(labels.classes, np.bincount(labels.y), strict=True))
        assert rows == frame[given.target].astype(str).value_counts().to_dict()
    else:
        assert labels.y.ravel() == pytest.approx(frame[given.target].to_numpy(np.float64))
    readings = data.rows.readings.get("", {})
    meant = {name: given.kind(frame, name) for name in readings}
    assert {name: reading.kind for name, reading in readings.items()} == meant


def test_rows_of_one_patient_are_on_one_side_of_every_cut_and_the_newest_weeks_are_tested(tmp_path: Path) -> None:
    by_name = {given.name: given for given in INPUTS}
    for name, column in (("visits", "patient"), ("weeks", "week")):
        frame = by_name[name].frame()
        folder = tmp_path / name
        folder.mkdir()
        rows = read(first_study(by_name[name], frame, folder))[1].rows
        tested, others = frame[column].iloc[rows.test], frame[column].iloc[rows.development]
        assert not set(tested) & set(others)
        assert name == "visits" or tested.min() > others.max()


def test_the_table_of_inputs_has_thirty_and_says_which_are_real() -> None:
    text = (Path(__file__).parents[2] / "studies/tables/README.md").read_text().partition("\n## ")[0]
    table = [row.split("|") for row in text.splitlines() if row.startswith("| ")]
    of_rows = {cells[1].strip(): cells[2].strip() for cells in table}
    assert len(INPUTS) >= 30
    assert {given.name: of_rows.get(given.name) for given in INPUTS} == {
        given.name: given.package or "made up" for given in INPUTS
    }


@pytest.mark.long
@pytest.mark.parametrize("given", INPUTS, ids=lambda given: given.name)
def test_a_short_study_comes_near_a_linear_model(given: Input, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = compared(of(given), tmp_path, boosting=False)
    assert found.task == given.task
    assert found.ours >= found.linear - given.within
