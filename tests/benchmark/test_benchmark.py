"""The benchmark: its declarations hold, its tables are what the stored numbers give, and boosting sees no test row."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import boosting
import measure
import numpy as np
import pandas as pd
import pytest
import table
from declared import DATA_SETS, DataSet
from sklearn import metrics as sk

import lossreg
from lossreg.config import study as studies
from lossreg.metrics import catalogue

ROOT = Path(__file__).parents[2]
LINES = table.current()
NUMBER = re.compile(r"\d+\.\d+")
names = pytest.mark.parametrize("given", DATA_SETS, ids=lambda given: given.name)
measured = pytest.mark.parametrize("line", LINES.values(), ids=list(LINES))


def test_there_are_twelve_and_more_of_every_task_but_the_multilabel():
    assert len({given.name for given in DATA_SETS}) == len(DATA_SETS) >= 12
    assert {given.task for given in DATA_SETS} == {"binary", "multiclass", "regression", "positive", "count"}


@names
def test_a_declaration_is_a_study_with_a_metric_of_its_task(given: DataSet):
    spec = studies.from_dict({**given.study(), "data": {**given.study()["data"], "source": "rows.csv"}})
    assert given.task in catalogue.resolve(spec.search.metric, given.task).tasks
    assert boosting.scorer(given.metric) in sk.get_scorer_names()


def test_what_is_needed_is_in_the_extra_and_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {re.match(r"[\w-]+", one)[0] for one in project["optional-dependencies"]["benchmark"]}
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    packages = {given.package.lower() for given in DATA_SETS} - {"sklearn"}
    assert packages - {"islp"} == extra - {"lossreg"}
    assert packages <= pinned


@names
def test_installed_rows_are_those_that_are_declared(given: DataSet):
    if not given.there:
        pytest.skip(f"{given.package} is not installed")
    rows = given.table()
    assert len(rows) == given.rows
    assert not {*given.drop} & {*rows}
    assert rows[given.target].notna().all()
    assert sorted(rows[given.target].unique()) == list(given.classes) or not given.classes


# ------------------------------------------------------------------ stored numbers


@pytest.mark.parametrize("path", table.pages({}), ids=lambda path: path.name)
def test_the_tables_are_what_the_stored_numbers_give(path: Path):
    assert table.filled(path.read_text(), table.pages(LINES)[path]) == path.read_text()


def cells(path: Path, number: int, column: int) -> dict[str, str]:
    """Return the cells of a column of a page's table, by data set."""
    found = re.findall(r"(?:^\|.*\n)+", path.read_text(), re.MULTILINE)[number]
    rows = [row.strip("| ").split(" | ") for row in found.splitlines()[2:]]
    return {row[0]: row[column].strip() for row in rows}


def rounded(value: float) -> float:
    return round(value, 1 if abs(value) >= 10 else 3)


def test_gains_on_the_pages_are_those_of_the_results():
    lines = [json.loads(line) for line in table.RESULTS.read_text().splitlines()]
    assert sorted(line["name"] for line in lines) == sorted(LINES)
    page = ROOT / "docs" / "benchmark.md"
    for column, other in enumerate(("baseline", "tuned_baseline", "boosting"), 4):
        seen = cells(page, 0, column)
        assert list(seen) == list(LINES)
        for line in lines:
            texts = re.findall(r"-?\d+\.\d+", seen[line["name"]])
            assert all(map(float, texts[1:])), "an end of an interval is rounded to 0"
            places = [len(text.partition(".")[2]) for text in texts]
            gains = line["gains"][other] or ()
            assert [float(one) for one in texts] == [round(*one) for one in zip(gains, places, strict=True)]
    for column, arm in enumerate(("winner", "baseline", "tuned_baseline", "boosting"), 2):
        seen = cells(page, 1, column)
        assert {name: float(one) for name, one in seen.items() if one} == {
            line["name"]: rounded(line["scores"][arm]) for line in lines if arm in line["scores"]
        }


@measured
def test_a_stored_gain_is_the_verdict_s_and_the_difference_of_the_scores(line):
    said = [float(found) for found in re.findall(r"(-?[\d.]+(?:e-\d+)?)", line["text"].split("difference ")[-1])[:3]]
    gain = line["gains"]["baseline"]
    assert gain == pytest.approx(said, rel=0.01)
    sign = 1 if line["direction"] == "maximize" else -1
    assert gain[0] == pytest.approx(sign * (line["scores"]["winner"] - line["scores"]["baseline"]), rel=1e-3, abs=1e-9)
    assert (line["answer"] == "worse") == (gain[2] < 0)
    assert line["answer"] != "better" or gain[1] > 0


def test_a_gain_that_a_tuned_decision_explains_is_called_so():
    line = {"answer": "no difference shown", "cause": None, "folds_won": {}, "winner": "focal"}
    gains = {"baseline": [0.25, 0.16, 0.33]}
    tuned = line | {"gains": gains, "both_tuned": [0.01, -0.02, 0.04]}
    assert table.verdict(tuned) == "no difference shown; `focal` is better with default decisions only"
    assert "*no difference shown* on 1." in table.answers({"rare": tuned})
    by_default = "On 1 of those without a difference (data set `rare`) a loss is better with default decisions only."
    assert table.answers({"rare": tuned}).endswith(by_default)
    assert table.verdict(tuned | {"gains": {"baseline": [0.25, -0.1, 0.6]}}) == "no difference shown"


@pytest.mark.parametrize(
    ("won", "said"),
    [({}, "`focal`"), ({"gce": 3, "focal": 2}, "`gce` (3 of 5 folds)"), ({"gce": 2, "focal": 2, "mae": 1}, "several")],
)
def test_the_winner_of_outer_folds_is_that_of_most_of_them(won, said):
    assert table.winners({"winner": "focal", "folds_won": won}) == said


def test_numbers_have_a_sign_only_if_digits_are_left():
    gains = {"gains": {"boosting": [-0.0004, -0.1, 0.1], "baseline": [0.5, 0.25, 0.75], "near": [0.004, 0.0003, 0.008]}}
    assert table.gain(gains, "near") == "+0.0040 (0.0003 to 0.0080)"
    assert table.gain(gains, "boosting") == "0.000 (-0.100 to 0.100)"
    assert table.gain(gains, "baseline") == "+0.500 (0.250 to 0.750)"
    assert [table.number(value) for value in (-0.0001, -0.25, 12.345, None)] == ["0.000", "-0.250", "12.3", ""]


# ------------------------------------------------------------------ gradient boosting


def parts(rows: int, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    tested = np.array_split(np.random.default_rng(0).permutation(rows), number)
    return [(np.setdiff1d(np.arange(rows), part), np.sort(part)) for part in tested]


def predicted(y: np.ndarray, of_rows: np.ndarray, **kind: str) -> np.ndarray:
    """Predict every row of a table with a column that numbers the rows, and one that tells `of_rows`."""
    frame = pd.DataFrame({"row": np.arange(len(y)), "told": of_rows})
    return boosting.predictions(
        frame, y, parts(len(y), 2), **{"metric": "accuracy", "task": "binary"} | kind, repeats=2
    )


def test_boosting_learns_what_columns_tell_and_no_label_of_a_test_row():
    y = np.random.default_rng(1).integers(0, 2, 200)
    told = np.array(["no", "yes"])[y]
    assert (predicted(y, told, response="label") == y).all()
    untold = predicted(y, np.zeros(200), response="label")
    assert abs((untold == y).mean() - 0.5) < 0.15


def test_boosting_predicts_what_the_metric_takes(monkeypatch):
    monkeypatch.setattr(boosting, "settings", lambda *_: {"max_leaf_nodes": [7]})
    y = np.tile([0, 1], 100)
    assert predicted(y, y, response="score").shape == (2, 200)
    probabilities = predicted(y, y, response="probability", metric="log_loss")
    assert probabilities.shape == (2, 200, 2)
    assert (probabilities.argmax(axis=2) == y).all()
    values = predicted(y * 7.0, y, response="value", metric="mean_absolute_error", task="regression")
    assert np.abs(values - y * 7.0).max() < 0.5


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize(
    ("given", "said"),
    [("wines", "there is no data set 'wines'. Did you mean wine?"), ("x", "There are: caravan, default")],
)
def test_an_unknown_name_is_one_message(given, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure.py", given])
    with pytest.raises(SystemExit) as ended:
        measure.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure.py", "caravan", "wine"])
    monkeypatch.setattr(DataSet, "there", property(lambda given: given.package == "sklearn"))
    with pytest.raises(SystemExit) as ended:
        measure.main()
    assert ended.value.code == 2
    assert "missing: ISLP; `make benchmark` installs" in capsys.readouterr().err


def test_the_page_on_whether_it_matters_counts_what_the_benchmark_shows():
    page = (ROOT / "docs" / "does-the-loss-matter.md").read_text()
    undecided = [name for name, line in LINES.items() if line["answer"] == "no difference shown"]
    assert f"On {len(undecided)} of {len(LINES)} real data sets the answer was: no difference shown" in page
    rows = re.findall(r"^\|.*\| (\d) of (\d) real sets \((.*?)\) \|(.*)\|", page, re.MULTILINE)
    counted = [name for *_, names, _ in rows for name in names.split(", ")]
    assert sorted(counted) == sorted(LINES)
    for shown, of, names, seen in rows:
        sets = names.split(", ")
        assert (int(shown), int(of)) == (len(set(sets) - set(undecided)), len(sets))
        scores = {table.number(score) for name in sets if name in seen for score in LINES[name]["scores"].values()}
        assert set(NUMBER.findall(seen)) <= scores


def test_other_numbers_of_the_page_on_whether_it_matters_are_those_of_benchmark_and_claims():
    page, benchmark, claims = (
        (ROOT / "docs" / f"{name}.md").read_text() for name in ("does-the-loss-matter", "benchmark", "claims")
    )
    assert set(NUMBER.findall(page)) <= {*NUMBER.findall(benchmark), *NUMBER.findall(claims)}
    answers = re.findall(r"wrong labels, last epoch .*\n\|  \|  \| 40% wrong .* \| (.*) \|$", claims, re.MULTILINE)
    assert f"| 40% wrong labels, on purpose | {answers.count('holds')} of {len(answers)} losses |" in page
    answers = re.findall(r"resists outliers .* \| MAE \| 5% outliers .* \| (.*) \|$", claims, re.MULTILINE)
    assert f"| {answers.count('holds')} of {len(answers)} losses | 5% of the targets" in page


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Return a file of results, and what is measured and written."""
    begun = []
    monkeypatch.setattr(measure, "apart", lambda given: begun.append(given.name) or json.dumps(stored(given.name, n=9)))
    monkeypatch.setattr(table, "write", begun.append)
    return tmp_path / "results.jsonl", begun


def stored(name, **change):
    given = next(given for given in DATA_SETS if given.name == name)
    return {"name": name, "digest": given.digest, "version": lossreg.__version__} | change


@pytest.mark.parametrize(
    ("change", "is_shown", "is_measured"),
    [({}, True, False), ({"digest": "of another metric"}, False, True), ({"version": "0.0.1"}, True, True)],
)
def test_what_is_stored_is_measured_again_if_declaration_or_version_differ(results, change, is_shown, is_measured):
    path, begun = results
    lines = {"digits": stored("digits"), "wine": stored("wine", **change)}
    table.results(path).put(*lines.values())
    assert table.current(path).keys() == ({"wine", "digits"} if is_shown else {"digits"})
    assert measure.all_of(["wine", "digits"], path=path) == []
    assert begun == [*["wine"] * is_measured, path]
    assert table.stored(path) == lines | ({"wine": stored("wine", n=9)} if is_measured else {})


def test_anew_measures_what_is_asked_for_again_and_keeps_the_others(results):
    path, begun = results
    table.results(path).put(stored("digits"), stored("wine"))
    measure.all_of(["wine"], anew=True, path=path)
    assert begun == ["wine", path]
    assert table.stored(path) == {"digits": stored("digits"), "wine": stored("wine", n=9)}


def test_what_was_asked_for_anew_stands_until_it_is_measured_and_is_measured_next_time(results, monkeypatch):
    path, begun = results
    table.results(path).put(stored("digits"), stored("wine"))
    with monkeypatch.context() as failing:
        failing.setattr(measure, "apart", lambda given: "")
        assert measure.all_of(["wine"], anew=True, path=path) == ["wine"]
    assert table.current(path).keys() == {"digits", "wine"}
    assert measure.all_of([], path=path) == []
    assert begun[1:] == [*[given.name for given in DATA_SETS if given.name != "digits"], path]
    assert table.stored(path)["wine"] == stored("wine", n=9)


def test_a_data_set_whose_process_fails_is_named_and_has_no_line(results, monkeypatch):
    path, _ = results
    monkeypatch.setattr(measure, "apart", lambda given: "")
    assert measure.all_of(["wine"], path=path) == ["wine"]
    assert table.stored(path) == {}


def test_another_question_has_another_digest():
    wine = next(given for given in DATA_SETS if given.name == "wine")
    others = [dataclasses.replace(wine, **change) for change in
              ({"metric": "log_loss"}, {"most": 100}, {"classes": ("0",)}, {"reading": {"sep": ";"}})]  # fmt: skip
    assert len({given.digest for given in (wine, *others, *DATA_SETS)}) == len(DATA_SETS) + len(others)
    assert dataclasses.replace(wine, why="it is asked for", about="vines").digest == wine.digest


@pytest.mark.long
def test_a_short_study_of_wine_is_measured():
    script = ROOT / "studies" / "benchmark" / "measure.py"
    done = subprocess.run(
        [sys.executable, script, "--trials", "8", "wine"], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    line = json.loads(done.stdout)
    assert (line["name"], line["test_rows"], line["trials"]) == ("wine", 178, 8)
    assert line["scores"]["boosting"] > 0.8
    test_a_stored_gain_is_the_verdict_s_and_the_difference_of_the_scores(line)
