"""The tables of docs/benchmark.md and the sentence in README.md, from the lines of results.jsonl.

`python studies/benchmark/table.py` writes them anew.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "measuring"))

import measurements
from declared import DATA_SETS, DataSet

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.jsonl")
DIGITS = 3
BEGIN, END = "<!-- from studies/benchmark/results.jsonl -->\n", "<!-- end -->"
Lines = dict[str, dict[str, Any]]


def results(path: Path = RESULTS) -> measurements.Results:
    return measurements.Results(path, lambda line: line["name"])


def stored(path: Path = RESULTS) -> Lines:
    """Return the last line of each data set."""
    return {line["name"]: line for line in results(path).lines()}


def current(path: Path = RESULTS) -> Lines:
    """Return the lines of data sets that are declared as they were when measured, in the order of the declarations."""
    lines = stored(path)
    return {given.name: lines[given.name] for given in DATA_SETS if is_of(given, lines.get(given.name))}


def is_of(given: DataSet, line: dict[str, Any] | None) -> bool:
    return line is not None and line.get("digest") == given.digest


# ------------------------------------------------------------------ tables


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


BY_DEFAULT = "better with default decisions only"


def summary(lines: Lines) -> str:
    """Return what the tables count up to."""
    missing = [given.name for given in DATA_SETS if given.name not in lines]
    return "\n".join([
        answers(lines),
        *boosted(lines),
        origin(lines),
        *([f"Not measured, or declared otherwise since: {', '.join(missing)}."] if missing else []),
    ])  # fmt: skip


def answers(lines: Lines) -> str:
    """Return how often there is each answer."""
    counts = Counter(line["answer"] for line in lines.values())
    answers = ", ".join(f"*{answer}* on {count}" for answer, count in counts.most_common())
    by_loss = [name for name, line in lines.items() if line["cause"] == "loss"]
    of = f" ({', '.join(by_loss)})" if by_loss else ""
    also = by_default([name for name, line in lines.items() if is_explained(line)])
    return f"Of {len(lines)} data sets: {answers}. Better *because of the loss* on {len(by_loss)}{of}.{also}"


def by_default(names: Sequence[str]) -> str:
    """Return on which data sets no difference is shown once decisions are tuned; nothing where there are none."""
    if not names:
        return ""
    sets = f"data set{'s' * (len(names) > 1)} {', '.join(f'`{name}`' for name in names)}"
    return f" On {len(names)} of those without a difference ({sets}) a loss is {BY_DEFAULT}."


def boosted(lines: Lines) -> list[str]:
    """Return how often gradient boosting is better."""
    gains = [line["gains"]["boosting"] for line in lines.values() if line["gains"]["boosting"]]
    above, below = sum(low > 0 for _, low, _ in gains), sum(high < 0 for _, _, high in gains)
    said = f"Gradient boosting is shown to be better than the network's best loss on {below}, and worse on {above}."
    return [said] if gains else []


def origin(lines: Lines) -> str:
    """Return what the lines were measured with, and how long that took."""
    spent = sum(parts["processor"] for line in lines.values() for parts in times(line))
    versions, backends = (", ".join(sorted({line[key] for line in lines.values()})) for key in ("version", "backend"))
    return f"Measured with lossreg {versions} on {backends}, in {spent / 60:.0f} minutes of processor time."


def times(line: Mapping[str, Any]) -> list[dict[str, float]]:
    """Return the seconds of each part of a measurement."""
    tuned = line["with_tuned_decisions"]
    return [line["seconds"], line["boosting_seconds"], *([tuned["seconds"]] if tuned else [])]


def markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


# ------------------------------------------------------------------ cells


def metric(line: dict[str, Any]) -> str:
    return line["metric"].replace("_", " ")


def verdict(line: dict[str, Any], *, named: bool = True) -> str:
    """Return the answer in a few words; named: with the winner of a comparison that shows something."""
    words, start = line["answer"], f"{winners(line)} is " if named else ""
    if is_explained(line):
        return f"{words}; {start}{BY_DEFAULT}"
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
    digits = measurements.decimals(compared[1:], DIGITS)
    difference, low, high = (number(value, digits) for value in compared)
    return f"{'+' if float(difference) > 0 else ''}{difference} ({low} to {high})"


def number(value: float | None, digits: int = DIGITS) -> str:
    """Return a number with so many decimals, from 10 on with one."""
    if value is None:
        return ""
    text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def seconds(line: dict[str, Any], of: str = "seconds") -> str:
    return f"{line[of]['processor']:.0f}"


# ------------------------------------------------------------------ pages


def pages(lines: Lines) -> dict[Path, list[str]]:
    """Return the parts of each page that stand between the marks."""
    return {
        ROOT / "README.md": [answers(lines)],
        ROOT / "docs" / "benchmark.md": [summary(lines), gains(lines), scores(lines), questions()],
    }


def filled(text: str, parts: Sequence[str]) -> str:
    """Return a page with these parts between its marks."""
    first, *others = text.split(BEGIN)
    if len(others) != len(parts):
        raise ValueError(f"the page has {len(others)} marks, and {len(parts)} parts are to be written")
    rests = [other.partition(END)[2] for other in others]
    return first + "".join(f"{BEGIN}{part}\n{END}{rest}" for part, rest in zip(parts, rests, strict=True))


def write(path: Path = RESULTS) -> None:
    """Write the tables of what is current, and name what is not."""
    lines = current(path)
    for name in stored(path).keys() - lines:
        print(f"{name}: left out, as its declaration has changed since it was measured", file=sys.stderr)
    for page, parts in pages(lines).items():
        measurements.write(page, filled(page.read_text(), parts))


if __name__ == "__main__":
    results().report_broken()
    write()
