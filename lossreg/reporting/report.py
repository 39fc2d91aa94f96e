"""The results of a study in words: Markdown for MLflow, CSV, ready-to-paste recipes."""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lossreg.contract.recipes import WIDTH, literal, wrapped
from lossreg.reporting import verdict as verdict_words
from lossreg.reporting.parameters import short
from lossreg.storage.records import Standing, StudyResult, TrialRecord, exact, finite
from lossreg.storage.verdict import Verdict
from lossreg.terminal import plain_text
from lossreg.terminal.plain_text import code, printable, printable_line

OPTIMISM = (
    "Scores are validation scores of selected trials, each the best of several, and therefore optimistic; "
    "no test row was used for them."
)
RAW = (
    "A recipe is for a model that ends in raw scores, without an activation, as the models of the trials do; drop "
    "`from_logits=True` for one that ends in probabilities or in the target's own units."
)
NOISE = "A rank with ~: its score is within one standard error of the first, so that either may be the better loss."
NOT_SHOWN = (
    "A rank with ~: trained again on fresh splits, the loss is not shown to be worse than the first (corrected paired "
    "t-tests at 5%, adjusted by Holm's method), so that either may be the better one."
)
LEVEL = 0.05
ROWS = "The constants in a recipe are those of the training rows (with folds, of the first fold)."
PROGRESS = "`progress` rises from 0 to 1 during a trial; in a compiled loss it is fixed."
NOT_KEPT = "Constants shown as `...` were not kept by the version of lossreg that ran the study: fill them in."
DECISIONS = {
    "threshold": "`threshold`: class 1 where the log odds (the raw score before a sigmoid) exceed it.",
    "shift": "`shift`: added to the raw scores, or log probabilities, before the largest is taken.",
    "temperature": "`temperature`: divides the raw scores, or log probabilities, before softmax or sigmoid.",
}
FITTED = "It was fitted on the validation rows; the model that is kept has it in it."
PRUNED_AWAY = 'no trial was let to its end. Losses that start slowly are pruned unfairly; pruner = "none" waits.'


def number(value: Any) -> str:
    """Return a value as text: floats to five significant digits, `-` for what is absent or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-" if value is None else str(value)
    return "-" if finite(float(value)) is None else f"{value:.5g}"


def scored(trial: TrialRecord | None) -> str:
    """Return the score of a trial: `0.953`, of several members `0.953 +- 0.012`, `-` where there is none."""
    if trial is None or trial.spread is None:
        return number(trial.score if trial else None)
    return f"{number(trial.score)} +- {trial.spread:.2g}"


def usage(trial: TrialRecord) -> list[str]:
    """Return the notes to a recipe: the model that it is for, and the rows that its numbers come from."""
    sentences = [RAW, ROWS] if trial.constants else [RAW]
    if trial.weights:
        sentences.append(_weighted(trial.weights))
    sentences += [f"{DECISIONS[what]} {FITTED}" for what in trial.decision if what in DECISIONS]
    if "progress" in trial.constants:
        sentences.append(PROGRESS)
    if any(value is None for value in trial.constants.values()):
        sentences.append(NOT_KEPT)
    return sentences


def decision(trial: TrialRecord) -> str:
    """Return the tuned decision of a trial in full, `threshold 0.3125`; empty where none is tuned."""
    return ", ".join(f"{name} {literal(value)}" for name, value in trial.decision.items())


def labels(result: StudyResult, most: int = 12) -> str:
    """Return a sentence on the labels that a recipe expects: `Labels are class indices: no = 0, yes = 1.`"""
    names = list(result.data.get("classes") or ())
    if result.task == "segmentation":
        return "Labels are masks of 0 and 1."
    if result.task == "multilabel":
        return f"Labels are one column of 0 and 1 per label: {_listed(names, most)}."
    if result.task not in ("binary", "multiclass"):
        return "Train on the target in its own units."
    if names == [str(i) for i in range(len(names))]:
        return f"Labels are class indices, 0 to {len(names) - 1}."
    return f"Labels are class indices: {_listed([f'{name} = {i}' for i, name in enumerate(names)], most)}."


def _weighted(weights: Mapping[str, Any]) -> str:
    """Return a sentence on the weights that `model.fit` needs for the same training."""
    column = f"the column `{weights['rows']}`" if weights.get("rows") else "the weights of your rows"
    if "classes" not in weights:
        return f"Training rows were weighted: give `model.fit` {column} as `sample_weight`."
    numbers = weights["classes"]
    if "rows" in weights:
        product = f"`sample_weight=w * numpy.array({literal(numbers)})[y]`"
        return f"Training rows and classes were weighted: give `model.fit` {product}, where w is {column}."
    mapping = ", ".join(f"{index}: {literal(number)}" for index, number in enumerate(numbers))
    return f"Classes were weighted: give `model.fit` `class_weight={{{mapping}}}`."


def besides(trial: TrialRecord) -> list[str]:
    """Return a trial's parameters without those of its loss: `learning rate 0.0021`, `optimizer.momentum 0.9`."""
    others = {
        name: value for name, value in trial.params.items()
        if name not in ("learning_rate", "loss") and not name.startswith(f"{trial.candidate}.")
    }  # fmt: skip
    shown = {"learning rate": trial.learning_rate, **others, **trial.decision}
    return [f"{name} {short(v) if isinstance(v, (list, tuple)) else number(v)}" for name, v in shown.items()]


def has_tuned_decisions(result: StudyResult) -> bool:
    """Return whether scores are those of tuned decisions, so that there are default ones beside them."""
    return any(trial.default_score is not None for trial in result.trials)


def gain(result: StudyResult, row: Standing) -> str:
    """Return the gain of a candidate's best over the baseline's: `+0.0123`, positive when better; `tie` when equal.

    A difference that four decimals would show as zero has two significant digits instead.
    """
    baseline = next((other.best for other in result.leaderboard() if other.is_baseline), None)
    if row.best is None or row.best.score is None or baseline is None or baseline.score is None or row.is_baseline:
        return "baseline" if row.is_baseline else "-"
    if exact(row.best.score) == exact(baseline.score):
        return "tie"
    difference = (row.best.score - baseline.score) * (1 if result.direction == "maximize" else -1)
    return f"{difference:+.4f}" if abs(difference) >= 5e-5 else f"{difference:+.1e}"


def heading(result: StudyResult) -> str:
    """Return the title of the trial at the top, which no test rows have confirmed: `Highest validation score (f1)`."""
    return f"{result.extreme.capitalize()} validation score ({result.metric})"


def rank(result: StudyResult, row: Standing) -> str:
    """Return the rank of a candidate: `2`, or `~2` if it is within the noise of the first, `-` without a score."""
    return f"{'~' * _is_within_noise(result, row)}{number(row.rank)}"


def _is_within_noise(result: StudyResult, row: Standing) -> bool:
    """Tell whether either may be the better loss: by trainings on fresh splits, or by the members of the first trial.

    With a verdict these are its paired tests. Without one, the score is within one standard error of the first.
    """
    if tested := _p_values(result):
        return row.rank not in (None, 1) and tested.get(row.candidate, 0.0) > LEVEL
    first = result.best
    if first is None or first.spread is None or first.score is None or row.best is None or row.best.score is None:
        return False
    return row.rank != 1 and abs(first.score - row.best.score) <= first.spread / math.sqrt(len(first.scores))


def noise(result: StudyResult) -> str:
    """Return a sentence on the ranks that are marked; nothing if none is."""
    is_any = any(_is_within_noise(result, row) for row in result.leaderboard())
    return (NOT_SHOWN if _p_values(result) else NOISE) if is_any else ""


def _p_values(result: StudyResult) -> dict[str, float]:
    """Return what the verdict's fresh splits say of each candidate against the first; empty without such splits."""
    reevaluated = result.verdict.reevaluated if result.verdict else ()
    return {one.candidate: one.p_value for one in reevaluated if one.p_value is not None}


def caveat(result: StudyResult) -> str:
    """Return a sentence on what the scores of the leaderboard are, and on what happened to the test rows."""
    if result.verdict is None or not result.verdict.openings:
        return OPTIMISM
    return verdict_words.IN_OUTER_FOLDS if result.verdict.outer else verdict_words.TWO_KINDS_OF_SCORES


def recipe_heading(result: StudyResult) -> str:
    """Return the title of the recipe to train with: the verdict's, else that of the trial at the top."""
    trial = result.recommended
    return heading(result) if result.verdict is None or trial is None else f"Recommended, trial {trial.number}"


def notes(result: StudyResult) -> list[str]:
    """Return the notes to a study and to its verdict."""
    return [*result.notes, *(result.verdict.notes if result.verdict else ())]


def ties(result: StudyResult, most: int = 8) -> str:
    """Return a line on the candidates that share the top score; nothing if only one has it."""
    tied = result.ties
    if not tied:
        return ""
    names = [f"{candidate} (baseline)" if candidate == result.baseline else candidate for candidate in tied]
    first = "the baseline's trial" if result.baseline in tied else "the earliest trial"
    score = scored(result.best)
    return (
        f"{len(tied)} of {len(result.losses)} candidates tie at {score}: {_listed(names, most)}; {first} stands first"
    )


def counts(result: StudyResult) -> str:
    """Return the number of trials by state: `62 trials: 60 complete, 2 diverged`."""
    parts = [f"{count} {state}" for state, count in result.counts.items() if count]
    total = len(result.trials)
    return f"{total} trial{'s' * (total != 1)}: {', '.join(parts)}" if parts else "no trials"


def took(result: StudyResult) -> str:
    """Return the time of a study: `28.7 s (training 11.9, search 2.0, verdict 6.1, MLflow 20.8)`.

    `partly at the same time` follows where these take longer than the study.
    """
    seconds, total = result.seconds, result.seconds.get("total")
    spent = {"training": seconds.get("training"), "search": seconds.get("search_spent", seconds.get("search")),
             "verdict": seconds.get("verdict"), "MLflow": seconds.get("tracking") or None}  # fmt: skip
    known = {name: value for name, value in spent.items() if value is not None}
    parts = [f"{name} {value:.1f}" for name, value in known.items()]
    if total is not None and sum(known.values()) > total:
        parts.append("partly at the same time")
    shown = f" ({', '.join(parts)})" if parts else ""
    return "no time" if total is None else f"{total:.1f} s{shown}"


def epochs(result: StudyResult) -> str:
    """Return `412 of 640 epochs trained`; nothing if early stopping and pruning saved none."""
    planned = int(result.spec.get("train", {}).get("epochs", 0)) * len(result.trials)
    trained = sum(trial.epochs for trial in result.trials)
    return f"{trained} of {planned} epochs trained" if trained < planned else ""


def members(spec: Mapping[str, Any]) -> str:
    """Return the trainings that a score is the mean of: `5 folds x 3 seeds`; nothing for one training per trial."""
    folds, seeds = spec.get("data", {}).get("folds"), spec.get("search", {}).get("seeds", 1)
    parts = [f"{folds} folds"] if folds else []
    parts += [f"{seeds} seeds"] if seeds > 1 else []
    return " x ".join(parts)


def arrow(direction: str) -> str:
    """Return `higher is better` or `lower is better`."""
    return "higher is better" if direction == "maximize" else "lower is better"


def failures(result: StudyResult, most: int = 3) -> list[str]:
    """Return the commonest reasons of failed and diverged trials, such as `focal: not finite (3 trials)`.

    Further lines name candidates without a completed trial, and models that predict the same for every row.
    """
    seen: dict[str, int] = {}
    for trial in result.trials:
        if trial.state in ("failed", "diverged"):
            reason = f"{trial.candidate} {trial.state}: {trial.reason or 'no reason given'}"
            seen[reason] = seen.get(reason, 0) + 1
    common = sorted(seen.items(), key=lambda item: -item[1])
    reasons = [f"{reason} ({count} trial{'s' * (count > 1)})" for reason, count in common[:most]]
    return reasons + [f"{candidate}: {PRUNED_AWAY}" for candidate in _pruned_away(result)] + _constant(result)


def _constant(result: StudyResult) -> list[str]:
    """Return a line per candidate whose best trial predicts the same for every validation row."""
    trials = [row.best for row in result.leaderboard() if row.best and row.best.predicts_only is not None]
    return [
        f"{t.candidate}: the model of trial {t.number} predicts {_one(result, t)} for every validation row"
        for t in trials
    ]


def _one(result: StudyResult, trial: TrialRecord) -> str:
    names = list(result.data.get("classes") or ())
    if result.task in ("binary", "multiclass") and trial.predicts_only is not None and trial.predicts_only < len(names):
        return f"class {names[trial.predicts_only]!r}"
    return {"multilabel": "the same labels", "segmentation": "one mask of one value"}.get(result.task, "the same value")


def _pruned_away(result: StudyResult) -> list[str]:
    """Return the candidates without a completed trial of which trials were pruned."""
    rows = [row for row in result.leaderboard() if row.best is None]
    return [
        row.candidate for row in rows if any(t.state == "pruned" for t in result.trials if t.candidate == row.candidate)
    ]


# ------------------------------------------------------------------------------- Markdown


def markdown(result: StudyResult, limit: int = 60_000, *, title: bool = True) -> str:
    """Return the study as a Markdown page of at most `limit` characters; parts that do not fit are left out."""
    parts = [
        f"# {plain_text.markdown(result.study)}" if title else "",
        *_top_markdown(result),
        _leaderboard_markdown(result),
        noise(result),
        caveat(result),
        _parameters_markdown(result),
        _facts(result),
        _bullets("Notes", [*notes(result), *failures(result)]),
    ]
    return _fitted([part for part in parts if part], limit)


def _fitted(parts: Sequence[str], limit: int) -> str:
    left_out = "(shortened: the artifact report.md has the rest)"
    room, kept = limit - len(left_out) - 3, []
    for part in parts:
        if len(part) + 2 <= room:
            kept.append(part)
            room -= len(part) + 2
    if len(kept) < len(parts):
        kept.append(left_out)
    return "\n\n".join(kept) + "\n"


def _top_markdown(result: StudyResult) -> list[str]:
    """Return the verdict, the recipe to train with and the highest validation score."""
    recipe = _recipe_markdown(result.recommended) if result.recommended else ""
    if result.verdict is None:
        return [_headline(result), recipe]
    return [_verdict_markdown(result, result.verdict), recipe, _headline(result)]


def _verdict_markdown(result: StudyResult, verdict: Verdict) -> str:
    lines = map(plain_text.markdown, verdict_words.evidence(result, verdict))
    return "\n\n".join([f"**{plain_text.markdown(verdict_words.decision(result, verdict))}**", *lines])


def _headline(result: StudyResult) -> str:
    if result.best is None:
        return f"No trial has completed yet ({counts(result)})."
    best = result.best
    top = f"{heading(result)} **{scored(best)}**: **{plain_text.markdown(best.candidate)}**, trial {best.number}"
    return "\n\n".join(filter(None, [top, ties(result)]))


def _leaderboard_markdown(result: StudyResult) -> str:
    default = ["default decision"] * has_tuned_decisions(result)
    head = ["", "loss", f"{result.extreme} {result.metric}", *default, "against baseline", "top trial", "trials"]
    sides = ["--:", ":--", *["--:"] * (len(head) - 2)]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(sides) + " |"]
    lines += ["| " + " | ".join(map(plain_text.markdown, standing(result, row))) + " |" for row in result.leaderboard()]
    return "\n".join(lines)


def standing(result: StudyResult, row: Standing) -> list[str]:
    """Return the cells of a row of the leaderboard: rank, candidate, score, gain, number of its trial, trials.

    Behind the score is the one of the default decision, where decisions are tuned.
    """
    trial = str(row.best.number) if row.best else "-"
    default = [number(row.best.default_score if row.best else None)] * has_tuned_decisions(result)
    return [rank(result, row), row.candidate, scored(row.best), *default, gain(result, row), trial, str(row.trials)]


def _parameters_markdown(result: StudyResult) -> str:
    rows = [row.best for row in result.leaderboard() if row.best]
    lines = list(map(_commented, rows))
    lines_beside = dict.fromkeys(line for trial in rows for line in usage(trial))
    notes = " ".join([*lines_beside, plain_text.markdown(labels(result))])
    title = f"## Parameters of each loss's {result.extreme} score"
    return "\n".join([title, "", "```python", *lines, "```", "", notes]) if rows else ""


def _recipe_markdown(trial: TrialRecord) -> str:
    """Return a recipe as a code span, or as a block of several lines where it is long."""
    recipe = printable_line(trial.recipe)
    return code(recipe) if len(recipe) <= WIDTH else f"```python\n{wrapped(recipe)}\n```"


def _commented(trial: TrialRecord) -> str:
    """Return a recipe with a comment on its training: behind it, or above it where the line would be long."""
    recipe, comment = printable_line(trial.recipe), printable_line(", ".join([trial.candidate, *besides(trial)]))
    line = f"{recipe}  # {comment}"
    if len(line) <= WIDTH:
        return line
    above = textwrap.fill(comment, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
    return f"{above}\n{wrapped(recipe)}"


def _facts(result: StudyResult) -> str:
    data = result.data
    pairs = {
        "Task": result.task,
        "Metric": f"{result.metric}, {arrow(result.direction)}, on validation samples",
        "Trials": ", ".join(filter(None, [counts(result), epochs(result)])),
        "Each score": f"the mean of {members(result.spec)}, +- their standard deviation"
        if members(result.spec)
        else "",
        "Data": ", ".join(filter(None, [str(data.get("name", "")), rows_of(data), _features(data)])),
        "Labels" if result.task == "multilabel" else "Classes": _classes(data),
        "Digest": str(data.get("digest", "")),
        "Time": took(result) if result.seconds else "",
        "Trainer": _trainer(result),
    }
    return "\n".join(
        ["## Facts", "", *(f"- {name}: {plain_text.markdown(value)}" for name, value in pairs.items() if value)]
    )


def rows_of(data: Mapping[str, Any]) -> str:
    """Return the number of rows by split: `364 train, 91 validation, 114 test rows`."""
    rows = data.get("rows")
    return f"{', '.join(f'{count} {part}' for part, count in rows.items())} rows" if isinstance(rows, Mapping) else ""


def _features(data: Mapping[str, Any]) -> str:
    features = data.get("features")
    return f"{features if isinstance(features, int) else len(features)} features" if features else ""


def _classes(data: Mapping[str, Any]) -> str:
    """Return every class or label with its rows; of masks, the share of the foreground."""
    share = data.get("foreground")
    return f"{number(100 * share)}% of the pixels are foreground" if share is not None else _listed(data.get("classes"))


def _listed(values: Any, most: int = 12) -> str:
    if isinstance(values, Mapping):
        values = [f"{name} {count}" for name, count in values.items()]
    if not values:
        return ""
    shown = ", ".join(map(str, values[:most]))
    return f"{shown}, and {len(values) - most} more" if len(values) > most else shown


def _trainer(result: StudyResult) -> str:
    numbers = [f"{result.trainer[name]} by {name}" for name in ("population", "fit") if result.trainer.get(name)]
    reasons = [str(reason) for reason in result.trainer.get("reasons") or []]
    return "; ".join(filter(None, [", ".join(numbers), *reasons]))


def _bullets(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"- {plain_text.markdown(line)}" for line in lines)]) if lines else ""


# --------------------------------------------------------------------------------- tables


def leaderboard_rows(result: StudyResult) -> list[dict[str, Any]]:
    """Return one flat row per candidate, best first; equal scores have equal ranks."""
    return [
        {
            "rank": row.rank,
            "candidate": row.candidate,
            "loss": row.loss,
            "best_score": row.best.score if row.best else None,
            "default_score": row.best.default_score if row.best else None,
            "spread": row.best.spread if row.best else None,
            "best_trial": row.best.number if row.best else None,
            "trials": row.trials,
            "baseline": row.is_baseline,
            "learning_rate": row.best.learning_rate if row.best else None,
            "recipe": row.best.recipe if row.best else None,
        }
        for row in result.leaderboard()
    ]


def trial_rows(result: StudyResult) -> list[dict[str, Any]]:
    """Return one flat row per trial, in order of number."""
    fields = (
        "candidate", "state", "score", "default_score", "spread", "epoch", "epochs", "learning_rate", "recipe",
        "seconds", "trainer", "reason",
    )  # fmt: skip
    ordered = sorted(result.trials, key=lambda trial: trial.number)
    return [
        {"trial": trial.number, **{name: getattr(trial, name) for name in fields}, "decision": decision(trial)}
        for trial in ordered
    ]


def _cell(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return flat rows with the same keys as CSV with a header; cells are empty for what is absent or not finite.

    Control characters in texts are written out.
    """
    rows = [{name: _cell(value) for name, value in finite(row).items()} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
