"""The results of a study in words: Markdown for MLflow, CSV, ready-to-paste recipes."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting import instructions, leaderboard, pareto, usage
from lossreg.reporting import verdict as verdict_words
from lossreg.reporting.values import brief, compared, listed, loss_params, number
from lossreg.storage.constraints import NONE_KEPT, in_words
from lossreg.storage.records import StudyResult, TrialRecord, finite
from lossreg.terminal import plain_text
from lossreg.terminal.plain_text import printable, printable_line

LEADERBOARD = (
    "The leaderboard has validation scores of selected trials, each the best of several, and therefore optimistic; "
)
CONFIRMED = (
    "Scores are means over {splits} of the rows without the test rows, +- the standard error of one setting; the first "
    "is a little optimistic, as the best of {settings}, and those in the search much more, as the best of all trials; "
)
NO_TEST_ROW, NO_TEST_ROWS = "no test row was used for them.", "there are no test rows."
OPTIMISM = f"{LEADERBOARD}{NO_TEST_ROW}"
TEST_ROWS = "those of the verdict come from the test rows, which the search did not use."
OUTER_FOLDS = "those of the verdict come from rows that the search of their outer fold did not use."
PRUNED_AWAY = 'no trial was let to its end. Losses that start slowly are pruned unfairly; pruner = "none" waits.'

SHORTENED = "The recipes below have all numbers in full."
SPACE = "&ensp;"
RECIPES = "## Recipes"
ROW = re.compile(r"\| (?!:?--)")  # of a table, but not the one below its head
NO_FILE = (
    "STUDY stands for the study file. From Python it is the same call of `lossreg.tune` with `fresh=True`; "
    "the artifact report.html has the study as a file."
)


def heading(result: StudyResult) -> str:
    """Return the title of the trial at the top: `Highest validation score (f1)`, or `Highest confirmed score (f1)`."""
    return f"{result.extreme.capitalize()} {kind_of_score(result, result.best)} score ({result.metric})"


def none_kept(result: StudyResult) -> str:
    """Return `No trial keeps recall of at least 0.9. ` where that is so; else empty."""
    return f"{NONE_KEPT.capitalize()} {in_words(result.constraints)}. " if result.unkept else ""


def kind_of_score(result: StudyResult, trial: TrialRecord | None) -> str:
    """Return what the score is by which a trial is ranked: `confirmed`, on fresh splits, or `validation`."""
    return "confirmed" if result.confirmed(trial) else "validation"


def scored_on(result: StudyResult) -> str:
    """Return the rows on which the leaderboard's scores were measured."""
    splits = result.confirmation.splits if result.confirmation else 0
    return count_of(splits, "fresh split") if splits else "validation samples"


def caveat(result: StudyResult) -> str:
    """Return a sentence on what the scores of the leaderboard are, and on what happened to the test rows."""
    start = _confirmed(result) or LEADERBOARD
    return f"{start}{_of_test_rows(result)}{_untried(result)}"


def _confirmed(result: StudyResult) -> str:
    """Return what confirmed scores are; empty where there are none."""
    settings = len(result.confirmation.scores) if result.confirmation else 0
    return CONFIRMED.format(splits=scored_on(result), settings=settings) if settings else ""


def _of_test_rows(result: StudyResult) -> str:
    if result.verdict is not None and result.verdict.openings:
        return OUTER_FOLDS if result.verdict.outer else TEST_ROWS
    return NO_TEST_ROWS if result.data.get("rows", {}).get("test") == 0 else NO_TEST_ROW


def _untried(result: StudyResult) -> str:
    """Return a sentence on losses that got no trial; empty where each has one."""
    names = result.untried
    return f" {listed(names, 8)} got no trial, so nothing is known of how they compare." if names else ""


def recipe_heading(result: StudyResult) -> str:
    """Return the title of the recipe to train with: the verdict's, else that of the trial at the top."""
    trial = result.recommended
    return heading(result) if result.verdict is None or trial is None else f"Recommended, trial {trial.number}"


def recommended(result: StudyResult) -> str:
    """Return the recipe to train with, its score and what else its trial used; empty where no trial has a score.

    `Recommended, trial 16: lossreg.get("focal", gamma=2.1)  (validation score 0.953, learning rate 0.0021)`
    """
    if (trial := result.recommended) is None:
        return ""
    used = ", ".join([f"{kind_of_score(result, trial)} score {compared(result, trial)}", *usage.besides(trial)])
    return f"{recipe_heading(result)}: {trial.recipe}  ({used})"


def notes(result: StudyResult) -> list[str]:
    """Return the notes to a study and to its verdict."""
    return [*result.notes, *(result.verdict.notes if result.verdict else ())]


def counts(result: StudyResult) -> str:
    """Return the number of trials by state: `62 trials: 60 complete, 2 diverged`, or `62 trials, all complete`."""
    counts = {state: count for state, count in result.counts.items() if count}
    if not counts:
        return "no trials"
    if len(counts) == 1:
        [(state, total)] = counts.items()
        return f"{count_of(total, 'trial')}, {'all ' * (total > 1)}{state}"
    return f"{count_of(len(result.trials), 'trial')}: {', '.join(f'{n} {state}' for state, n in counts.items())}"


def ended(result: StudyResult, more: str = "") -> str:
    """Return `12 trials, all complete, more in 28.7 s`; no time where another worker still finishes the study."""
    done = ", ".join(filter(None, [counts(result), more]))
    return f"{done} in {took(result)}" if result.seconds else done


def took(result: StudyResult) -> str:
    """Return the time of a study: `28.7 s (training 11.9, search 2.0, confirming 3.0, verdict 6.1, MLflow 20.8)`.

    `partly at the same time` follows where these take longer than the study.
    """
    seconds, total = result.seconds, result.seconds.get("total")
    spent = {"training": seconds.get("training"), "search": seconds.get("search_spent", seconds.get("search")),
             "confirming": seconds.get("confirm"), "verdict": seconds.get("verdict"),
             "MLflow": seconds.get("tracking") or None}  # fmt: skip
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
    return f"{trained:,} of {count_of(planned, 'epoch')} trained" if trained < planned else ""


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
    reasons = [f"{reason} ({count_of(count, 'trial')})" for reason, count in common[:most]]
    return reasons + [f"{candidate}: {PRUNED_AWAY}" for candidate in _pruned_away(result)] + _constant(result)


def _constant(result: StudyResult) -> list[str]:
    """Return a line per candidate whose best trial predicts the same for every validation row."""
    trials = [row.best for row in result.ranking() if row.best and row.best.predicts_only is not None]
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
    rows = [row for row in result.ranking() if row.best is None]
    return [
        row.candidate for row in rows if any(t.state == "pruned" for t in result.trials if t.candidate == row.candidate)
    ]


# ------------------------------------------------------------------------------- Markdown


def markdown(result: StudyResult, limit: int = 60_000, *, title: bool = True) -> str:
    """Return the study as a Markdown page of at most `limit` characters; parts that do not fit are left out.

    Without a title it is for MLflow, which sets tables without any space between their columns.
    """
    parts = [
        f"# {plain_text.markdown(result.study)}" if title else "",
        *_top_markdown(result),
        _question_markdown(result),
        _section("Leaderboard", leaderboard.markdown(result), leaderboard.noise(result)),
        pareto.markdown(result),
        caveat(result),
        _settings_markdown(result),
        _loading_markdown(result),
        _recipes_markdown(result),
        _repeating_markdown(result),
        _bullets("Notes", [*notes(result), *failures(result)]),
        _facts(result),
    ]
    return _fitted([part if title else _spaced(part) for part in parts if part], limit, RECIPES)


def _spaced(part: str) -> str:
    """Return a part of a page with a space between the cells of its tables that Markdown does not drop."""
    lines = (
        line.replace(" |", f" {SPACE}|", line.count(" |") - 1) if ROW.match(line) else line for line in part.split("\n")
    )
    return "\n".join(lines)


def _fitted(parts: Sequence[str], limit: int, spare: str) -> str:
    """Return the parts that fit into the limit, in order; the one that begins with `spare` has what others leave."""
    left_out = "(shortened: the artifact report.md has the rest)"
    room, kept = limit - len(left_out) - 3, []
    for part in sorted(parts, key=lambda part: part.startswith(spare)):
        if len(part) + 2 <= room:
            kept.append(part)
            room -= len(part) + 2
    kept.sort(key=parts.index)
    if len(kept) < len(parts):
        kept.append(left_out)
    return "\n\n".join(kept) + "\n"


def _top_markdown(result: StudyResult) -> list[str]:
    """Return the verdict, how to load the model, how sure the verdict is, the recipe to train with and the top score.

    MLflow shows the first lines alone until more is asked for.
    """
    recipe = usage.code_block(result.recommended) if result.recommended else ""
    if result.verdict is None:
        return [_headline(result), _load_line(result), plain_text.markdown(result.failure), recipe]
    decision = f"**{plain_text.markdown(verdict_words.decision(result, result.verdict))}**"
    evidence = map(plain_text.markdown, verdict_words.evidence(result, result.verdict))
    return [decision, _load_line(result), *evidence, recipe, _headline(result)]


def _load_line(result: StudyResult) -> str:
    """Return how to load the model that MLflow has of the recommended trial; empty where it has none."""
    address = result.tracking.get("model")
    return f"Load it: {plain_text.code(f'mlflow.pyfunc.load_model({json.dumps(address)})')}" if address else ""


def _headline(result: StudyResult) -> str:
    if result.best is None:
        return f"No trial has completed yet ({counts(result)})."
    best, score = result.best, compared(result, result.best)
    top = f"{heading(result)} **{score}**: **{plain_text.markdown(best.candidate)}**, trial {best.number}"
    top = f"{plain_text.markdown(none_kept(result))} {top}".lstrip()
    return "\n\n".join(filter(None, [top, leaderboard.ties(result)]))


def _question_markdown(result: StudyResult) -> str:
    """Return what the study asks, and of which data."""
    return _section("Question and data", plain_text.markdown(question(result)), _listed(_data_facts(result)))


def _settings_markdown(result: StudyResult) -> str:
    """Return the best setting of each loss as a table, long vectors shortened: recipes have them whole."""
    rows = [row.best for row in result.ranking() if row.best]
    cells = [(t.candidate, loss_params(t, brief), ", ".join(usage.besides(t, brief)), str(t.number)) for t in rows]
    lines = ["| " + " | ".join(map(plain_text.markdown, row)) + " |" for row in cells]
    table = "\n".join(["| loss | parameters | trained with | trial |", "| :-- | :-- | :-- | --: |", *lines])
    title = f"Parameters of each loss's {result.extreme} {kind_of_score(result, result.best)} score"
    return _section(title, table, SHORTENED) if rows else ""


def _loading_markdown(result: StudyResult) -> str:
    """Return the ways to load the model of a study that has ended, MLflow's first, if it has the model."""
    ways = instructions.loading(result) if result.seconds.get("total") else []
    blocks = [
        f"{how}:\n\n```{'sh' if code.startswith('lossreg ') else 'python'}\n{printable(code)}\n```"
        for how, code in sorted(ways, key=lambda way: way[0] != instructions.MLFLOW)
    ]
    return _section("Load the model", *blocks) if blocks else ""


def _recipes_markdown(result: StudyResult) -> str:
    rows = [row.best for row in result.ranking() if row.best]
    lines = "\n".join(["```python", *map(usage.commented, rows), "```"])
    lines_beside = dict.fromkeys(line for trial in rows for line in usage.notes(trial))
    notes = " ".join([*lines_beside, plain_text.markdown(usage.labels(result))])
    return "\n\n".join([RECIPES, lines, notes]) if rows else ""


def _repeating_markdown(result: StudyResult) -> str:
    """Return how to run the study once more."""
    command = f"```sh\n{printable_line(instructions.repeating(result))}\n```"
    return _section("Repeat the study", command, "" if result.file else NO_FILE)


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *filter(None, parts)])


def question(result: StudyResult) -> str:
    """Return what the study asks, in a sentence."""
    data, count = result.data.get("name", ""), len(result.losses)
    losses = f"{count} losses" if count > 1 else "1 loss"
    of_data = f" on {data}" if data else ""
    return f"Which of {losses}, with which parameters, gives the {result.extreme} {result.metric}{of_data}?"


def facts(result: StudyResult) -> dict[str, str]:
    """Return what is known of data, search and trainer, by name; nothing of what has no value."""
    data = result.data
    pairs = {
        "Task": result.task,
        "Metric": f"{result.metric}, {arrow(result.direction)}, on {scored_on(result)}",
        "Trials": ", ".join(filter(None, [counts(result), epochs(result)])),
        "Each score in the search": f"the mean of {members(result.spec)}, +- their standard deviation"
        if members(result.spec)
        else "",
        "Data": ", ".join(filter(None, [str(data.get("name", "")), rows_of(data), _features(data)])),
        "Labels" if result.task == "multilabel" else "Classes": _classes(data),
        "Label noise": _noise(data),
        "Digest": str(data.get("digest", "")),
        "Time": took(result) if result.seconds else "",
        "Trainer": _trainer(result),
    }
    return {name: value for name, value in pairs.items() if value}


def _data_facts(result: StudyResult) -> dict[str, str]:
    """Return the facts on metric and data."""
    names = ("Metric", "Data", "Labels", "Classes", "Label noise")
    return {name: value for name, value in facts(result).items() if name in names}


def _facts(result: StudyResult) -> str:
    data = _data_facts(result)
    return _section("Facts", _listed({name: value for name, value in facts(result).items() if name not in data}))


def _listed(values: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {plain_text.markdown(value)}" for name, value in values.items())


def rows_of(data: Mapping[str, Any]) -> str:
    """Return the number of rows by split: `364 train, 91 validation, 114 test rows`."""
    rows = data.get("rows")
    return f"{', '.join(f'{count} {part}' for part, count in rows.items())} rows" if isinstance(rows, Mapping) else ""


def _noise(data: Mapping[str, Any]) -> str:
    noise = data.get("noise")
    if not isinstance(noise, Mapping):
        return ""
    return f"{noise['flipped']} of {noise['rows']} labels of train and validation rows are of another class, at random"


def _features(data: Mapping[str, Any]) -> str:
    features = data.get("features")
    return count_of(features if isinstance(features, int) else len(features), "feature") if features else ""


def _classes(data: Mapping[str, Any]) -> str:
    """Return every class or label with its rows; of masks, the share of the foreground."""
    share = data.get("foreground")
    return f"{number(100 * share)}% of the pixels are foreground" if share is not None else listed(data.get("classes"))


def _trainer(result: StudyResult) -> str:
    numbers = [f"{result.trainer[name]} by {name}" for name in ("population", "fit") if result.trainer.get(name)]
    reasons = [str(reason) for reason in result.trainer.get("reasons") or []]
    return "; ".join(filter(None, [", ".join(numbers), *reasons]))


def _bullets(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"- {plain_text.markdown(line)}" for line in lines)]) if lines else ""


# --------------------------------------------------------------------------------- tables


def trial_rows(result: StudyResult) -> list[dict[str, Any]]:
    """Return one flat row per trial, in order of number."""
    fields = (
        "candidate", "state", "score", "default_score", "spread", "epoch", "epochs", "learning_rate", "recipe",
        "seconds", "trainer", "reason",
    )  # fmt: skip
    ordered = sorted(result.trials, key=lambda trial: trial.number)
    return [
        {
            "trial": trial.number,
            **{name: getattr(trial, name) for name in fields},
            **leaderboard.confirmed(result.confirmed(trial)),
            "decision": usage.decision(trial),
            **leaderboard.further(result, trial if trial.score is not None else None),
        }
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
