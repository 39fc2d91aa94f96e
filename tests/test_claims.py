"""The studies of known claims are valid, and the page has what their stored scores give."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_poisson_deviance

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
    lines = run.lines_of(run.RESULTS)
    page = table.PAGE.read_text()
    assert table.written(page, lines) == page
    assert "no scores" not in table.table(lines)
    counts = Counter((line["study"], line["setting"]) for line in lines)
    assert counts == {(setting.study, setting.name): run.SEEDS for setting in run.settings()}
    known = {(setting.study, setting.name) for setting in run.settings()}
    assert {(claim.study, setting) for claim in table.claims() for setting in claim.settings} == known


def line(seed: int, first: list[float], second: list[float]) -> dict[str, Any]:
    """Return the line of a study of two losses."""
    scores = {"square_loss": {"accuracy": first}, "cross_entropy": {"accuracy": second}}
    return {"study": "square", "setting": "breast_cancer", "seed": seed, "scores": scores}


def test_gains_and_intervals_are_those_of_scipy(claims: dict[str, Any]) -> None:
    rng, table = np.random.default_rng(0), claims["table"]
    first, second = rng.normal([[[0.9]], [[0.88]]], 0.02, size=(2, 5, 3))
    lines = [line(seed, list(a), list(b)) for seed, (a, b) in enumerate(zip(first, second, strict=True))]
    of = {claim.what: claim for claim in table.claims() if claim.study == "square"}
    found = table.gain(of["is more accurate"], "breast_cancer", lines)
    expected = stats.ttest_1samp(first.mean(axis=1) - second.mean(axis=1), 0).confidence_interval(0.95)
    np.testing.assert_allclose(found[1:3], expected)
    np.testing.assert_allclose(found[3:5], [first.mean(), second.mean()])
    spread = table.gain(of["varies less over seeds"], "breast_cancer", lines)
    pooled = [np.sqrt(arm.var(axis=1, ddof=1).mean()) for arm in (first, second)]
    np.testing.assert_allclose(spread[3:5], pooled)
    # 95% of ratios of equal variances of 10 degrees of freedom lie between these
    assert (spread.low < 0 < spread.high) == (1 / 3.717 < (pooled[0] / pooled[1]) ** 2 < 3.717)


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
    claim = next(claim for claim in table.claims() if claim.what == "is more accurate" and claim.study == "square")
    assert answer in table.cells(claim, lines)[-1]
    opposite = {"holds": "does not hold", "does not hold": "holds"}.get(answer, answer)
    assert opposite in table.cells(claim._replace(worse=True), lines)[-1]


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
