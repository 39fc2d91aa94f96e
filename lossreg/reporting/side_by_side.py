"""Several studies side by side: what each says, and the best score of each loss in each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lossreg.reporting import report, state, usage
from lossreg.reporting import verdict as verdict_words
from lossreg.reporting.arms import tested
from lossreg.reporting.change import Change, known
from lossreg.reporting.facts import rows_of
from lossreg.reporting.values import compared, listed, loss_params, number
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord, finite

Named = Mapping[str, StudyResult]
BETWEEN = " / "  # the names of one loss


def named(results: Sequence[StudyResult], arguments: Sequence[str]) -> dict[str, StudyResult]:
    """Return studies by name; where several have the same one, by how they were asked for."""
    names = Counter(result.study for result in results)
    return {
        result.study if names[result.study] == 1 else argument: result
        for result, argument in zip(results, arguments, strict=True)
    }


def remarks(studies: Named) -> list[str]:
    """Return in what the studies differ so that their scores cannot be compared, and what has two names."""
    ways: dict[str, Callable[[StudyResult], Any]] = {
        "metric": lambda one: one.metric,
        "data": lambda one: one.data.get("digest"),
        "numbers of training, validation and test rows": lambda one: one.data.get("rows"),
        "classes or which of two is positive": lambda one: list(one.data.get("classes") or ()),
        "label noise": lambda one: one.data.get("noise"),
        "folds": lambda one: one.spec.get("data", {}).get("folds"),
        "the seed of the split": lambda one: one.spec.get("search", {}).get("seed"),
    }
    differing = [name for name, of in ways.items() if len({str(of(one)) for one in studies.values()}) > 1]
    differing += _scored(studies)
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, one in studies.items():
        scored_on = report.scored_on(one) if one.best else ""
        alike.setdefault((*(str(of(one)) for of in ways.values()), scored_on), []).append(name)
    groups = [f"between {' and '.join(names)}" for names in alike.values() if len(names) > 1]
    which = f"can only be compared {', '.join(groups)}" if groups else "cannot be compared"
    differ = [f"Scores {which}: the studies differ in {', '.join(differing)}."] if differing else []
    two_names = [f"{name}: one loss under several names." for name in scores(studies) if BETWEEN in name]
    return differ + _unknown_data(studies) + two_names


def _scored(studies: Named) -> list[str]:
    """Return what is scored in which studies, of those that have a score; nothing where it is the same."""
    rows: dict[str, list[str]] = {}
    for name, one in studies.items():
        if one.best:
            rows.setdefault(report.scored_on(one), []).append(name)
    shown = "; ".join(f"{what}: {listed(names, 8)}" for what, names in rows.items())
    return [f"what is scored ({shown})"] if len(rows) > 1 else []


def _unknown_data(studies: Named) -> list[str]:
    """Return that nothing is known of the data of some studies; nothing where all have a digest."""
    names = [name for name, one in studies.items() if not one.data.get("digest")]
    return [f"Nothing says that the data are the same: {listed(names, 8)} noted no digest of them."] if names else []


def facts(studies: Named) -> dict[str, list[str]]:
    """Return what is said of each study, in their order, by what it is; nothing that none of them has."""
    rows: dict[str, Callable[[StudyResult], str]] = {
        "task": lambda one: one.task,
        "data": lambda one: str(one.data.get("name", "")),
        "rows": lambda one: rows_of(one.data).removesuffix(" rows"),
        "metric": lambda one: f"{one.metric}, {report.arrow(one.direction)}",
        "constraints": lambda one: ", ".join(constraint.short for constraint in one.constraints),
        "trials": report.counts,
        "time": lambda one: f"{seconds:.1f} s" if (seconds := report.elapsed(one)) is not None else "",
        "verdict": lambda one: verdict_words.decision(one, one.verdict) if one.verdict else state.in_brief(one),
        "gain": _gain,
        "recommended": lambda one: _setting(one) if one.verdict else "",
        "best so far": lambda one: "" if one.verdict else _setting(one),
    }
    shown = {name: [of(one) for one in studies.values()] for name, of in rows.items()}
    return {name: cells for name, cells in shown.items() if any(cells)}


def _setting(result: StudyResult) -> str:
    """Return a candidate with what has to be set for it; without its parameters where the verdict has them."""
    if (trial := result.recommended) is None:
        return ""
    params = "" if result.verdict else loss_params(trial)
    return ", ".join(filter(None, [trial.candidate, params, *usage.besides(trial)]))


def recipes(studies: Named) -> list[str]:
    """Return a line per study with the recipe to train with, or the best so far: `churn: lossreg.get("focal", ...)`."""
    return [f"{name}: {one.recommended.recipe}" for name, one in studies.items() if one.recommended]


def _gain(result: StudyResult) -> str:
    """Return the winner's gain: `focal over cross_entropy on 500 test rows: +0.012 (95% interval: +0.001 to +0.023)`.

    It is above 0 where the winner is better, also where a lower score is.
    """
    main = known(result.verdict.against_baseline) if result.verdict else None
    if result.verdict is None or main is None:
        return ""
    winner, baseline = result.verdict.sides
    change = Change(main, result.direction == "maximize")
    difference, low, high = map(change.signed, (main.difference, main.low, main.high))
    return f"{winner} over {baseline} on {tested(result.verdict)}: {difference} (95% interval: {low} to {high})"


def scores(studies: Named) -> dict[str, list[TrialRecord | None]]:
    """Return the best trial of each loss in each study, None where it has none; in the order of the first study.

    A loss that no study has more than once has one row, with all of its names; of others, equal names have one.
    """
    counts = [Counter(one.losses.values()) for one in studies.values()]
    rows = [{_key(one, row.candidate, counts): row for row in one.ranking()} for one in studies.values()]
    keys = dict.fromkeys(key for of_study in rows for key in of_study)
    names = {key: BETWEEN.join(dict.fromkeys(one[key].candidate for one in rows if key in one)) for key in keys}
    uses = Counter(names.values())
    return {
        name if uses[name] == 1 else f"{name} ({key[0]})": [one[key].best if key in one else None for one in rows]
        for key, name in names.items()
    }


def _key(result: StudyResult, candidate: str, counts: Sequence[Counter[str]]) -> tuple[str, str]:
    """Return a candidate's loss, with the candidate's name where a study has the loss more than once."""
    loss = result.losses[candidate]
    return loss, candidate if any(of_study[loss] > 1 for of_study in counts) else ""


def cells(studies: Named) -> list[list[str]]:
    """Return the rows of the table: a name, and a cell for each study."""
    about = [[name, *row] for name, row in facts(studies).items()]
    of_losses = [
        [
            name,
            *(
                compared(one, trial) if trial else number(None)
                for one, trial in zip(studies.values(), row, strict=True)
            ),
        ]
        for name, row in scores(studies).items()
    ]
    return [*about, *of_losses]


def to_json(studies: Named) -> dict[str, Any]:
    """Return the document that `compare --json` prints."""
    losses = [
        {
            "name": name,
            "scores": {study: _score(studies[study], trial) for study, trial in zip(studies, row, strict=True)},
        }
        for name, row in scores(studies).items()
    ]
    kept = ("study", "metric", "direction", "task", "trials", "best", "verdict", "seconds")
    documents = {name: one.to_json() for name, one in studies.items()}
    about = [
        {"name": name, "data": studies[name].data, **{key: document[key] for key in kept}}
        for name, document in documents.items()
    ]
    document: dict[str, Any] = finite({"studies": about, "losses": losses, "remarks": remarks(studies)})
    return document


def _score(result: StudyResult, trial: TrialRecord | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    confirmed = result.confirmed(trial)
    return {
        "trial": trial.number,
        "score": trial.score,
        "confirmed": confirmed.to_json() if confirmed else None,
        "recipe": trial.recipe,
    }
