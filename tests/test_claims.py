"""The studies of known claims are valid, and the page has what their stored scores give."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_poisson_deviance

import lossreg
from lossreg import data
from lossreg.config import study as studies
from lossreg.config.candidates import candidates_of
from lossreg.metrics import catalogue, functions
from lossreg.registry import registry

FOLDER = Path(__file__).parents[1] / "studies" / "claims"
MODULES = {"run": "run", "table": "claim_table", "measures": "claim_measures", "data": "claim_data"}


@pytest.fixture(scope="module")
def claims() -> Iterator[dict[str, Any]]:
    """The modules beside the studies, by name."""
    sys.path.insert(0, str(FOLDER))
    yield {name: importlib.import_module(module) for name, module in MODULES.items()}
    sys.path.remove(str(FOLDER))
    for module in MODULES.values():
        del sys.modules[module]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_data_losses_and_metric_of_a_study_fit(file: Path) -> None:
    spec = studies.load(file)
    assert spec.name == file.stem
    d, metric = spec.data, spec.search.metric
    dataset = data.load(d.source, task=d.task, test=d.test, noise=d.noise, base=spec.base)
    candidates = candidates_of(spec, registry.default(), dataset.task, dataset.n_classes)
    assert [one.name for one in candidates] == list(spec.losses)
    if ":" in metric:
        response = functions.response(dataset.task, spec.search.predictions)
        how = {"task": dataset.task, "direction": spec.search.direction, "predictions": response}
        assert functions.metric_of(metric, spec.base, **how).response == response
    else:
        assert dataset.task in catalogue.resolve(metric, dataset.task).tasks


def test_settings_are_studies_with_names_of_their_own(claims: dict[str, Any]) -> None:
    made = [claims["run"].study_of(setting) for setting in claims["run"].settings()]
    assert len({studies.of(study, (), None).name for study in made}) == len(made)
    for study in made:
        file, _, function = study["data"]["source"].partition(":")
        assert file == "sklearn" or callable(getattr(claims["data"], function))


def test_the_table_is_what_the_stored_scores_give(claims: dict[str, Any]) -> None:
    run, table = claims["run"], claims["table"]
    lines = run.results_of(run.RESULTS).lines()
    assert run.current(lines) == lines
    page = table.PAGE.read_text()
    assert table.written(page, lines) == page
    assert "no scores" not in table.table(lines)
    counts = Counter((line["study"], line["setting"]) for line in lines)
    assert counts == {(setting.study, setting.name): run.SEEDS for setting in run.settings()}
    known = {(setting.study, setting.name) for setting in run.settings()}
    assert {(claim.study, setting) for claim in table.claims() for setting in claim.settings} == known


def page_rows(table: Any) -> Iterator[tuple[Any, dict[str, list[float]], dict[str, str]]]:
    """Yield each claim of the page with the numbers and the answer of each of its settings."""
    body = table.PAGE.read_text().partition(table.BEGIN)[2]
    cells = iter([row.strip("|\n").split(" | ") for row in re.findall(r"^\|.*", body, re.MULTILINE)[2:]])
    for claim in table.claims():
        seen, answers = {}, {}
        for number, words in enumerate(claim.settings.values()):
            said, _, data, gain, scores, answer = map(str.strip, next(cells))
            assert data == words
            assert claim.first.removesuffix("_tuned") in said if number == 0 else said == ""
            seen[data] = [*map(float, re.findall(r"[-+][\d.]+", gain)), *map(float, scores.split(" -> "))]
            answers[data] = answer
        yield claim, seen, answers
    assert next(cells, None) is None


def recomputed(claim: Any, setting: str, lines: list[dict[str, Any]]) -> list[float]:
    """Return gain, interval and scores (baseline, loss) of a setting, with scipy's intervals."""
    measure = "accuracy" if claim.measure == "spread" else claim.measure
    found = [line["scores"] for line in lines if (line["study"], line["setting"]) == (claim.study, setting)]
    both = [[one[arm][measure] for arm in (claim.first, claim.second)] for one in found
            if all(measure in one.get(arm, {}) for arm in (claim.first, claim.second))]  # fmt: skip
    if claim.measure == "spread":
        return ratio_of_spreads(*zip(*both, strict=True))
    loss, baseline = np.array([[np.mean(arm) for arm in pair] for pair in both]).T
    gains = loss - baseline
    gains *= -1 if measure.startswith(("mean_absolute", "root_mean", "deviance", "calibration")) else 1
    interval = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    return [gains.mean(), *interval, baseline.mean(), loss.mean()]


def ratio_of_spreads(loss: Any, baseline: Any) -> list[float]:
    freedom = [sum(len(repeats) - 1 for repeats in arm) for arm in (loss, baseline)]
    variances = [sum(np.var(repeats) * len(repeats) for repeats in arm) for arm in (loss, baseline)] / np.array(freedom)
    ratio = variances[0] / variances[1]
    ends = ratio / stats.f(*freedom).ppf([0.025, 0.975])
    return [*(1 - np.sqrt([ratio, *ends])), *np.sqrt(variances[::-1])]


def test_rows_of_the_page_are_those_of_numpy_and_scipy(claims: dict[str, Any]) -> None:
    table, lines = claims["table"], [json.loads(one) for one in (FOLDER / "results.jsonl").read_text().splitlines()]
    for claim, seen, said in page_rows(table):
        for setting, words in claim.settings.items():
            expected = recomputed(claim, setting, lines)
            np.testing.assert_allclose(seen[words], expected, atol=0.0051 if max(expected[3:]) >= 10 else 0.00051)
            low, high = np.sort(expected[1:3] if not claim.worse else np.negative(expected[1:3])) + claim.margin
            assert said[words] == ("holds" if low > 0 else "does not hold" if high < 0 else "not shown"), claim


def test_numbers_of_what_was_seen_are_scores_of_the_study(claims: dict[str, Any]) -> None:
    section = claims["table"].PAGE.read_text().partition("## What was seen")[2].partition("\n## ")[0]
    items = section.split("\n- ")[1:]
    scores: dict[str, set[str]] = {}
    for claim, seen, _ in page_rows(claims["table"]):
        of_study = {f"{one:.{digits}f}" for numbers in seen.values() for one in numbers[3:] for digits in (2, 3)}
        scores.setdefault(claim.study, set()).update(of_study)
    assert len(items) == len(scores)
    for item, (study, known) in zip(items, scores.items(), strict=True):
        assert not set(re.findall(r"\d+\.\d+", item)) - known, study


def test_numbers_that_the_table_no_longer_has_are_named(claims: dict[str, Any]) -> None:
    table = claims["table"]
    page = table.PAGE.read_text()
    assert table.outdated(page) == []
    page = page.replace(f"{table.SEEN}\n", f"{table.SEEN}\n\nIt was 9.876 before.\n")
    assert table.outdated(page) == ["9.876"]


def test_losses_that_are_worse_than_a_tuned_decision_are_named(claims: dict[str, Any]) -> None:
    table = claims["table"]
    text = " ".join(table.PAGE.read_text().partition("Shown to be worse")[2].partition("\n- ")[0].split())
    by_default, tuned = text.split("; with a tuned one")
    worse = {
        claim.first
        for claim, _, answers in page_rows(table)
        if claim.second == "cross_entropy_tuned" and "does not hold" in answers.values()
    }
    named = [re.findall(r"`(\w+)`", said) for said in (by_default, tuned)]
    assert worse == {*named[0], *(f"{loss}_tuned" for loss in named[1])}


def test_losses_have_as_many_trials_as_the_page_says(claims: dict[str, Any]) -> None:
    lines = claims["run"].results_of(claims["run"].RESULTS).lines()
    counts = [count for line in lines for count in line["trials"].values()]
    assert f"{min(counts)} to {max(counts)} for each" in " ".join(claims["table"].PAGE.read_text().split())
    assert all(line["trials"][line["baseline"]] == max(line["trials"].values()) for line in lines)


def test_a_result_of_another_study_is_left_out_and_measured_again(claims: dict[str, Any], tmp_path: Path) -> None:
    run = claims["run"]
    results = run.results_of(tmp_path / "results.jsonl")
    wanted = run.cases(2, ["counts", "smoothing"])
    lines = [
        {"study": one.study, "setting": one.name, "seed": seed, "digest": run.digest_of(one, seed), "version": version}
        for (one, seed), version in zip(wanted, [lossreg.__version__] * 3 + ["0.0.1"], strict=True)
    ]
    lines[0]["digest"] = "of other labels"
    assert run.missing(results, wanted) == wanted
    results.put(*lines)
    assert run.current(results.lines()) == lines[1:]
    assert run.missing(results, wanted) == [wanted[0], wanted[3]]
    results.request([run.key_of_case(wanted[2])])
    assert run.missing(results, wanted) == [wanted[0], *wanted[2:]]
    assert len(run.current(results.lines())) == 3
    digests = {run.digest_of(setting, seed) for setting, seed in run.cases(run.SEEDS)}
    assert len(digests) == len(run.cases(run.SEEDS))


def test_lines_are_stored_as_they_come_and_the_study_that_fails_is_named(
    claims: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, written = claims["run"], []
    results, wanted = run.results_of(tmp_path / "results.jsonl"), run.cases(1, ["square"])

    def output(command: list[str]) -> Iterator[str]:
        keys = json.loads(command[-1])
        yield json.dumps(dict(zip(("study", "setting", "seed"), keys[0], strict=True)))
        assert len(results.lines()) == 1
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(run.measurements, "output", output)
    monkeypatch.setattr(run, "write_table", written.extend)
    assert run.run_missing(results, wanted, anew=False) == "square breast_cancer, seed 0"
    assert [run.key_of(one) for one in written] == [("square", "digits", 0)]


def line(seed: int, first: list[float], second: list[float]) -> dict[str, Any]:
    """Return the line of a study of two losses."""
    scores = {"square_loss": {"accuracy": first}, "cross_entropy": {"accuracy": second}}
    return {"study": "square", "setting": "breast_cancer", "seed": seed, "scores": scores}


def of_square(table: Any, start: str) -> Any:
    return next(claim for claim in table.claims() if claim.study == "square" and claim.what.startswith(start))


def test_gains_and_intervals_are_those_of_scipy(claims: dict[str, Any]) -> None:
    rng, table = np.random.default_rng(0), claims["table"]
    first, second = rng.normal([[[0.9]], [[0.88]]], 0.02, size=(2, 5, 3))
    lines = [line(seed, list(a), list(b)) for seed, (a, b) in enumerate(zip(first, second, strict=True))]
    found = table.gain(of_square(table, "is more"), "breast_cancer", lines)
    expected = stats.ttest_1samp(first.mean(axis=1) - second.mean(axis=1), 0).confidence_interval(0.95)
    np.testing.assert_allclose(found[1:3], expected)
    np.testing.assert_allclose(found[3:5], [first.mean(), second.mean()])


def test_the_interval_of_a_ratio_of_spreads_has_the_degrees_of_freedom_of_each_loss(claims: dict[str, Any]) -> None:
    rng, table = np.random.default_rng(0), claims["table"]
    first, second = rng.normal(0.9, 0.02, size=(2, 5, 3))
    # a training of the loss failed in two seeds
    counts = [2, 2, 3, 3, 3]
    lines = [line(seed, list(first[seed][:count]), list(second[seed])) for seed, count in enumerate(counts)]
    spread = table.gain(of_square(table, "varies"), "breast_cancer", lines)
    variance = (sum(a[:2].var() * 2 for a in first[:2]) + sum(a.var() * 3 for a in first[2:])) / 8
    np.testing.assert_allclose(spread[3:5], np.sqrt([variance, second.var(axis=1, ddof=1).mean()]))
    ends = np.sqrt(variance / second.var(axis=1, ddof=1).mean() / stats.f(8, 10).ppf([0.025, 0.975]))
    np.testing.assert_allclose(spread[1:3], 1 - ends)


def answer_of_breast_cancer(table: Any, claim: Any, lines: list[dict[str, Any]]) -> str:
    return next(row[-1] for row in table.rows(claim, lines) if row[2] == "breast cancer")


def test_as_accurate_is_worse_by_less_than_the_margin(claims: dict[str, Any]) -> None:
    table = claims["table"]
    claim = of_square(table, "is as accurate")
    answers = [
        answer_of_breast_cancer(table, claim, [line(seed, [0.9 + loss + seed / 1e5], [0.9]) for seed in range(3)])
        for loss in (-0.005, -0.01, -0.02)
    ]
    assert answers == ["holds", "not shown", "does not hold"]


@pytest.mark.parametrize(
    ("gains", "answer"),
    [
        ([0.02, 0.03, 0.02, 0.03, 0.02], "holds"),
        ([0.02, -0.03, 0.02, -0.01, 0.0], "not shown"),
        ([-0.02, -0.03, -0.02, -0.03, -0.02], "does not hold"),
    ],
)
def test_a_claim_holds_where_its_interval_lies_on_its_side(
    claims: dict[str, Any], gains: list[float], answer: str
) -> None:
    table = claims["table"]
    lines = [line(seed, [0.9 + gain], [0.9]) for seed, gain in enumerate(gains)]
    claim = of_square(table, "is more")
    assert answer_of_breast_cancer(table, claim, lines) == answer
    opposite = {"holds": "does not hold", "does not hold": "holds"}.get(answer, answer)
    assert answer_of_breast_cancer(table, claim._replace(worse=True), lines) == opposite


def test_a_score_that_is_better_when_lower_gains_by_falling(claims: dict[str, Any]) -> None:
    table = claims["table"]
    claim = next(claim for claim in table.claims() if claim.study == "counts")
    setting = next(iter(claim.settings))
    scores = [{claim.first: {"deviance": [1.0 + s / 100]}, claim.second: {"deviance": [2.0]}} for s in range(3)]
    lines = [{"study": "counts", "setting": setting, "seed": s, "scores": one} for s, one in enumerate(scores)]
    assert table.gain(claim, setting, lines).mean == pytest.approx(0.99)


def test_measures_are_those_of_their_definitions(claims: dict[str, Any]) -> None:
    rng, measures = np.random.default_rng(0), claims["measures"]
    counts, means = rng.poisson(2.0, 400), rng.gamma(2.0, 1.0, 400) + 0.1
    assert measures.deviance(counts, means) == pytest.approx(mean_poisson_deviance(counts, means))
    assert measures.deviance(counts, -means) == measures.deviance(counts, np.full(400, measures.SMALLEST))
    scores = rng.normal(size=(4000, 3))
    true = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y = (rng.random((4000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    sharp = true**3 / (true**3).sum(axis=1, keepdims=True)
    confidence, is_right = sharp.max(axis=1), sharp.argmax(axis=1) == y
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    expected = sum((bins == b).mean() * abs((confidence - is_right)[bins == b].mean()) for b in set(bins))
    assert measures.calibration_error(y, sharp) == pytest.approx(expected)
    assert expected > 0.1
    assert measures.calibration_error(y, measures.tempered(y, sharp)) < 0.03
    np.testing.assert_allclose(measures.tempered(y, sharp), true, atol=0.1)
    assert measures.share_right(y, sharp) == measures.share_right(y, true)
