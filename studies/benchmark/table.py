"""The tables of docs/benchmark.md and README.md, from the lines of results.jsonl.

`python studies/benchmark/table.py` writes them anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from declared import DATA_SETS, DataSet

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.jsonl")
BEGIN, END = "<!-- from studies/benchmark/results.jsonl -->\n", "<!-- end -->"
DEPENDS_ON = ("package", "file", "target", "task", "metric", "positive", "drop", "above", "rows", "outer")
Lines = dict[str, dict[str, Any]]


def declared(given: DataSet) -> dict[str, Any]:
    """Return what a result depends on, as JSON has it."""
    return json.loads(json.dumps({name: getattr(given, name) for name in DEPENDS_ON}))


def current(path: Path = RESULTS) -> Lines:
    """Return the last line of each data set, in their order, that is of the present declaration."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    last = {line["name"]: line for line in lines}
    return {
        given.name: last[given.name]
        for given in DATA_SETS
        if given.name in last and last[given.name]["declared"] == declared(given)
    }


# ------------------------------------------------------------------ tables


def short(lines: Lines) -> str:
    """Return the table of the README."""
    head = ("data", "rows", "metric", "verdict on the best loss", "gain over the tuned baseline (95% interval)", "s")
    rows = [
        (name, line["declared"]["rows"], metric(line), verdict(line), gain(line, "baseline"), seconds(line))
        for name, line in lines.items()
    ]
    return markdown(head, rows)


def gains(lines: Lines) -> str:
    """Return the table of gains."""
    head = ("data", "metric", "verdict", "winner", "over the tuned baseline", "over it with its decision tuned",
            "over gradient boosting", "s", "s of boosting")  # fmt: skip
    rows = [
        (
            name, metric(line), verdict(line, named=False), winners(line), gain(line, "baseline"),
            gain(line, "tuned_baseline"), gain(line, "boosting"), seconds(line), seconds(line, "boosting_seconds"),
        )
        for name, line in lines.items()
    ]  # fmt: skip
    return markdown(head, rows)


def scores(lines: Lines) -> str:
    """Return the table of scores and recipes."""
    head = ("data", "metric", "winner", "baseline", "decision tuned", "boosting", "train with", "learning rate")
    arms = ("winner", "baseline", "tuned_baseline", "boosting")
    rows = [
        (
            name, metric(line), *(number(line["scores"].get(arm)) for arm in arms), f"`{line['recipe']}`",
            f"{line['learning_rate']:.2g}",
        )
        for name, line in lines.items()
    ]  # fmt: skip
    return markdown(head, rows)


def questions() -> str:
    """Return the table of what is declared."""
    head = ("data", "from", "what", "rows used", "of", "test rows", "task", "metric", "because")
    rows = [
        (
            one.name, one.package, one.about, one.rows, one.total, "all, in 5 parts" if one.outer else "a fifth",
            one.task, one.metric.replace("_", " "), one.why,
        )
        for one in DATA_SETS
    ]  # fmt: skip
    return markdown(head, rows)


def summary(lines: Lines) -> str:
    """Return what the tables count up to."""
    answers = Counter(line["answer"] for line in lines.values())
    by_loss = [name for name, line in lines.items() if line["cause"] == "loss"]
    counts = ", ".join(f"*{answer}* on {count}" for answer, count in answers.most_common())
    as_it_is = [name for name, line in lines.items() if is_explained(line)]
    boosting = [line["gains"]["boosting"] for line in lines.values() if line["gains"]["boosting"]]
    above, below = sum(low > 0 for _, low, _ in boosting), sum(high < 0 for _, _, high in boosting)
    spent = sum(parts["processor"] for line in lines.values() for parts in _times(line))
    missing = [given.name for given in DATA_SETS if given.name not in lines]
    return "\n".join([
        f"Of {len(lines)} data sets the verdict is {counts}; *because of the loss* on {len(by_loss)}"
        f"{' (' + ', '.join(by_loss) + ')' if by_loss else ''}.",
        *([f"Better as it is, but not shown to be with tuned decisions: {', '.join(as_it_is)}."] if as_it_is else []),
        f"Gradient boosting is shown to be better than the best loss of this network on {below}, and worse on {above}.",
        f"All of it took {spent / 60:.0f} minutes of processor time.",
        *([f"Not measured: {', '.join(missing)}."] if missing else []),
    ])  # fmt: skip


def _times(line: dict[str, Any]) -> list[dict[str, float]]:
    tuned = line["with_tuned_decisions"]
    return [line["seconds"], line["boosting_seconds"], *([tuned["seconds"]] if tuned else [])]


def markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


# ------------------------------------------------------------------ cells


def metric(line: dict[str, Any]) -> str:
    return line["declared"]["metric"].replace("_", " ")


def verdict(line: dict[str, Any], *, named: bool = True) -> str:
    """Return the answer in a few words; named: with the winner of a comparison that shows something."""
    words, start = line["answer"], f"{winners(line)} is " if named else ""
    if is_explained(line):
        return f"{start}better as it is; with the decision of both tuned {words}"
    cause = {"loss": ", because of the loss", "loss or learning rate": "; the learning rate may have done it"}
    return (start if words in ("better", "worse") else "") + words + cause.get(line["cause"], "")


def is_explained(line: dict[str, Any]) -> bool:
    """Return whether a gain is not shown where both have their decision tuned."""
    gained = line["answer"] == "no difference shown" and line["gains"]["baseline"][1] > 0
    return gained and line["both_tuned"] is not None and line["both_tuned"][1] <= 0


def winners(line: dict[str, Any]) -> str:
    """Return the winner, with outer folds that of most of them, if there is one."""
    if not line["folds_won"]:
        return f"`{line['winner']}`"
    folds = sum(line["folds_won"].values())
    name, count = max(line["folds_won"].items(), key=lambda item: item[1])
    return f"`{name}` ({count} of {folds} folds)" if 2 * count > folds else "several"


def gain(line: dict[str, Any], over: str) -> str:
    """Return a gain with its interval; above 0 the winner is better, also where a lower metric is."""
    compared = line["gains"][over]
    if compared is None:
        return ""
    difference, low, high = map(number, compared)
    return f"{'+' if float(difference) > 0 else ''}{difference} ({low} to {high})"


def number(value: float | None) -> str:
    """Return three decimals, of numbers from 10 on one."""
    if value is None:
        return ""
    text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return text.removeprefix("-") if float(text) == 0 else text


def seconds(line: dict[str, Any], of: str = "seconds") -> str:
    return f"{line[of]['processor']:.0f}"


# ------------------------------------------------------------------ pages


def pages(lines: Lines) -> dict[Path, list[str]]:
    """Return the parts of each page that stand between the marks."""
    return {
        ROOT / "README.md": [short(lines)],
        ROOT / "docs" / "benchmark.md": [summary(lines), gains(lines), scores(lines), questions()],
    }


def filled(text: str, parts: Sequence[str]) -> str:
    """Return a page with these parts between its marks."""
    first, *others = text.split(BEGIN)
    if len(others) != len(parts):
        raise ValueError(f"the page has {len(others)} marks, and {len(parts)} parts are to be written")
    rests = [other.partition(END)[2] for other in others]
    return first + "".join(f"{BEGIN}{part}\n{END}{rest}" for part, rest in zip(parts, rests, strict=True))


def write(lines: Lines) -> None:
    for path, parts in pages(lines).items():
        path.write_text(filled(path.read_text(), parts))


if __name__ == "__main__":
    write(current())
