"""The command that checks losses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossreg.cli import waiting
from lossreg.cli.shell import Json, app, display, guarded, import_keras, loaded_registry, only_json, print_json, say
from lossreg.errors import count_of

if TYPE_CHECKING:
    from rich.table import Table

    from lossreg.conformance import Result
    from lossreg.registry.registry import Entry

    Checked = tuple[Entry, list[Result]]

# how messages of checks begin that were not run, because the loss cannot be called, or do not apply
NOT_RUN = "not run: "
NOT_APPLICABLE = "does not apply: "

Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="CHECK", help="Only this check; may be given several times.")
]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Losses; all that are installed if none is named.")
]


@app.command()
@guarded
def check(names: Names = None, only: Only = None, as_json: Json = False) -> None:
    """Check whether losses are sound: all, or those that are named."""
    with only_json(as_json) as out:
        waiting.announce("reading the losses")
        registry = loaded_registry()
        entries = [registry.find(name) for name in names] if names else registry.specs()
        entries = list({entry.spec.name: entry for entry in entries}.values())
        _check_names(only or ())
        checked = _checked(entries, only or ())
        if as_json:
            print_json([document(entry, results) for entry, results in checked], out)
        elif len(checked) == 1:
            _show_one(*checked[0])
        else:
            _show_all(checked)
    if not all(result.ok for _, results in checked for result in results):
        raise typer.Exit(1)


def _check_names(only: Iterable[str]) -> None:
    """Raise `UnknownError` for an unknown check before anything heavy is imported."""
    from lossreg.conformance import suite

    suite.known(only)


def _checked(entries: Sequence[Entry], only: Sequence[str]) -> list[Checked]:
    from lossreg import conformance

    import_keras()
    checked: list[Checked] = []
    for number, entry in enumerate(entries, start=1):
        waiting.announce(f"checking {entry.spec.name}, {number} of {len(entries)}")
        results = conformance.check(entry.spec, only)
        if len(entries) > 1:
            waiting.step(f"{number}/{len(entries)} {entry.spec.name} {_passed(results)}")
        checked.append((entry, results))
    return checked


def document(entry: Entry, results: Sequence[Result]) -> dict[str, Any]:
    """Return one loss of `check --json`."""
    fields = ("name", "ok", "message", "seconds")
    return {
        "loss": entry.spec.name,
        "plugin": entry.plugin,
        "passed": all(result.ok for result in results),
        "checks": [{field: getattr(result, field) for field in fields} for result in results],
    }


def _show_one(entry: Entry, results: Sequence[Result]) -> None:
    from lossreg.reporting import tables

    shown = [r for r in results if r.ok or not r.message.startswith(NOT_RUN)]
    rows = [("" if r.ok else "fails", r.name, r.message, f"{r.seconds:.1f} s") for r in shown]
    columns = {"": "left", "check": "left", "found": "left", "seconds": "right"}
    display(tables.table(entry.spec.name, columns, rows, whole=("", "check")))
    say(_totals(results))


def _show_all(checked: Sequence[Checked]) -> None:
    display(_summary(checked))
    for entry, results in checked:
        for result in results:
            if not result.ok and not result.message.startswith(NOT_RUN):
                say(f"{entry.spec.name}: {result.name}: {result.message}")
    bad = sum(not all(result.ok for result in results) for _, results in checked)
    say(f"{len(checked) - bad} of {count_of(len(checked), 'loss passes', 'losses pass')}")


def _summary(checked: Sequence[Checked]) -> Table:
    from lossreg.reporting import tables

    rows = [
        (entry.spec.name, entry.plugin, _passed(results),
         f"{sum(r.seconds for r in results):.1f} s", _failing(results))
        for entry, results in checked
    ]  # fmt: skip
    columns = {"loss": "left", "plugin": "left", "passed": "right", "seconds": "right", "fails": "left"}
    return tables.table("", columns, rows, whole=("loss",))


def _passed(results: Sequence[Result]) -> str:
    return f"{sum(result.ok for result in results)}/{len(results)}"


def _failing(results: Sequence[Result]) -> str:
    """Return the names of the checks that fail, and how many were not run because of it."""
    bad = [result for result in results if not result.ok]
    names = [result.name for result in bad if not result.message.startswith(NOT_RUN)]
    rest = len(bad) - len(names)
    return ", ".join(names) + (f"; {rest} not run" if rest else "")


def _totals(results: Sequence[Result]) -> str:
    failing, idle = _failing(results), sum(result.message.startswith(NOT_APPLICABLE) for result in results)
    applied = count_of(len(results) - idle, "check passes", "checks pass")
    passed = f"{sum(result.ok for result in results) - idle} of {applied}"
    not_applied = f", {idle} {'does' if idle == 1 else 'do'} not apply" if idle else ""
    return passed + not_applied + (f"; fails: {failing}" if failing else "")
