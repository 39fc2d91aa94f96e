"""Commands that show studies that have run: one as a page, several side by side."""

from __future__ import annotations

import itertools
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossreg.cli import waiting
from lossreg.cli.shell import Json, app, display, guarded, only_json, print_json, say
from lossreg.cli.studies import StudyOrFolder, read
from lossreg.errors import InputError, brief, on_disk
from lossreg.storage.journal_keys import is_study_folder
from lossreg.storage.replaced_file import part_of, replaced
from lossreg.storage.study_result import StudyResult

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec

GENERATOR = '<meta name="generator" content="lossreg '  # of each page
HEAD = 4_000  # characters of a page that have it
PRINTED = "-"  # stands for standard output
PageFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where the page goes: a file, a folder, or - for standard output; by default named after STUDY, .html.",
    ),
]


@app.command()
@guarded
def report(study: StudyOrFolder, *, output: PageFile = None) -> None:
    """Write a study, finished or not, as one HTML page.

    The page stands alone: it has all pictures in it, and asks nothing of any server. No code of a study is run.
    """
    is_printed = output is not None and str(output) == PRINTED
    file = _file(output, _page_of(study))
    if is_printed:
        _require_redirected()
    else:
        _check(file, is_named=output == file)
    _, result = _read(study)
    from lossreg.reporting import page

    text = page.html(result, folder=str(study)) if is_study_folder(study) else page.html(result, str(study))
    if is_printed:
        waiting.wipe()
        sys.stdout.buffer.write(text.encode())
        return
    former = ", in place of the former file" * file.exists()
    _write(file, text)
    say(f"{file}: {len(text) / 1e6:.1f} MB{former}; open it in a browser", whole=True)


def _write(file: Path, text: str) -> None:
    """Write a page all or nothing: a full disk or a kill leaves the former one."""
    with on_disk(f"--output {brief(file)}"):
        whole = file.resolve()
        whole.parent.mkdir(parents=True, exist_ok=True)
        with replaced(part_of(whole), whole) as part:
            part.write(text.encode())


def _file(output: Path | None, usual: Path) -> Path:
    """Return the file of a page: in a folder, and without any output, it has its usual name."""
    if output is None:
        return usual
    with on_disk(f"--output {brief(output)}"):
        return output / usual if output.is_dir() else output


def _check(file: Path, *, is_named: bool) -> None:
    """Raise `InputError` where a page cannot have this name, or would take the place of a file that is not `is_named`.

    A former page of lossreg has no need to be named.
    """
    with on_disk(f"--output {brief(file)}"):
        _check_page(file)
        if not is_named:
            _check_own(file)


def _require_redirected() -> None:
    """Raise `InputError` where standard output is a terminal."""
    if sys.stdout.isatty():
        hint = "Use -o study.html, or redirect: -o - > study.html."
        raise InputError("a terminal cannot show a page", where=f"--output {PRINTED}", hint=hint)


def _read(study: Path) -> tuple[StudySpec | None, StudyResult]:
    waiting.announce(f"reading {study}")
    return read(study)


def _place(spec: StudySpec | None, result: StudyResult) -> tuple[str, str]:
    """Return where a study is, however it was spelled: its shared storage and its name there, or its folder."""
    if spec is not None and spec.storage.url is not None:
        return spec.storage.url, spec.name
    folder = spec.folder if spec else Path(result.folder)
    return "", str(folder.resolve())


def _page_of(study: Path) -> Path:
    """Return the name of a study's page: that of its file without the ending, or that of its folder as it is."""
    path = study.absolute()
    return Path(f"{path.name if is_study_folder(study) else path.stem}.html")


def _check_own(file: Path) -> None:
    """Raise `InputError` where something else than a page of lossreg has this name."""
    if not file.exists():
        return
    with file.open(encoding="utf-8", errors="replace") as text:
        is_own = GENERATOR in text.read(HEAD)
    if not is_own:
        hint = f"-o {shlex.quote(str(file))} writes over it, and -o study.html beside it."
        raise InputError("exists, and lossreg did not write it", where=brief(file), hint=hint)


def _check_page(file: Path) -> None:
    """Raise `InputError` unless a page can have this name."""
    where = f"--output {brief(file)}"
    if file.suffix.lower() not in (".html", ".htm"):
        raise InputError("must end in .html", where=where, hint=f"Such as {brief(file.with_suffix('.html'))}.")
    if file.is_dir():
        raise InputError("is a folder", where=where, hint="Give a file, such as study.html.")
    if file.exists() and not file.is_file():
        raise InputError("is a device or a pipe", where=where, hint="Give a file, such as study.html.")
    above = next(folder for folder in file.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{brief(above)} is no folder", where=where)


@app.command()
@guarded
def compare(
    studies: Annotated[
        list[Path], typer.Argument(metavar="STUDY...", help="Study files, or folders of studies.", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show several studies side by side, finished or not.

    Says where their scores cannot be compared. No code of a study is run.
    """
    with only_json(as_json) as out:
        if len(studies) < 2:
            raise InputError(
                "compare needs two studies or more",
                where=brief(studies[0]),
                hint="Name another one; `lossreg results` shows one.",
            )
        from lossreg.reporting import side_by_side

        read_studies = list(map(_read, studies))
        if len(set(itertools.starmap(_place, read_studies))) < len(studies):
            raise InputError("the same study is named twice", where=", ".join(map(brief, studies)))
        named = side_by_side.named([result for _, result in read_studies], list(map(str, studies)))
        if as_json:
            print_json(side_by_side.to_json(named), out)
            return
        from lossreg.reporting.tables import table

        rows = side_by_side.cells(named)
        display(table("", {"": "left", **dict.fromkeys(named, "left")}, rows))
        for recipe in side_by_side.recipes(named):
            say(recipe, whole=True)
        for remark in side_by_side.remarks(named):
            say(remark)
