"""Commands for the authors of losses."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lossreg.cli.shell import app, guarded, say


@app.command("new-plugin")
@guarded
def new_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the loss or the package: tilted, lossreg-tilted.")],
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where the package's folder goes.")] = Path(),
    task: Annotated[
        str, typer.Option("--task", metavar="TASK", help="Of the example loss: regression or multiclass.")
    ] = "regression",
) -> None:
    """Write the package of a new plugin, with a loss that works."""
    from lossreg.cli import scaffold

    named = scaffold.names(name)
    written = scaffold.write(named, folder, task)
    root = written[0].parent
    # pip takes a bare name for a package of the index
    where = shlex.quote(str(root) if root.is_absolute() else f"./{root}")
    say("\n".join(f"wrote {path}" for path in written))
    say(
        f"\nIt works as it is:\n"
        f"    pip install -e {where} pytest\n"
        f"    lossreg check {named.loss}\n"
        f"    pytest {where}\n"
        f"Then put your own formula and its source into {root / named.module}.py. All that a loss may declare:\n"
        f"    python -c 'import lossreg; help(lossreg.LossSpec)'\n"
        f"A study searches over it with a table [losses.{named.loss}]."
    )
