"""The parts that all commands share: the application, errors as one line, output, options."""

from __future__ import annotations

import atexit
import gc
import inspect
import json
import os
import re
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO, TypeVar, cast

import typer
from typer.core import TyperGroup

from lossreg import __version__
from lossreg.cli import waiting
from lossreg.errors import InputError, LossregError, brief, one_line, refusal
from lossreg.runtime import safety
from lossreg.storage.trial_record import finite
from lossreg.terminal import caller, signals, streams, width
from lossreg.terminal.masking import masked, masked_values
from lossreg.terminal.plain_text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lossreg.config.study import StudySpec
    from lossreg.registry.registry import Registry

WIDTH_OF_A_PIPE = 140


Study = Annotated[Path, typer.Argument(metavar="STUDY", help="The study file (TOML).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study: --set search.trials=100."),
]
Safe = Annotated[
    bool, typer.Option("--safe", help="Run no code that a study names and no plugin: for studies of strangers.")
]
AllowedPlugins = Annotated[
    list[str] | None,
    typer.Option("--allow-plugin", metavar="NAME", help="A plugin that --safe runs; may be given several times."),
]
Task = Annotated[str, typer.Option("--task", metavar="TASK", help="Only what serves this task.", show_default=False)]


Work = TypeVar("Work", bound=Callable[..., None])


def guarded(work: Work) -> Work:
    """Return `work` with the options of safe mode, errors as one line, and exit codes.

    These are 1 for a failure, 2 for wrong input, 130 on Ctrl-C.
    """

    @wraps(work)
    def run(*args: Any, safe: bool = False, allow_plugin: Sequence[str] | None = None, **kwargs: Any) -> None:
        try:
            with signals.raising(), caller.shell(), _as_safe(safe, allow_plugin or ()):
                work(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            complain("Interrupted.", 130)
        except LossregError as error:
            complain(f"Error: {error}", error.exit_code)
        except OSError as error:
            where = f"{brief(error.filename)}: " if error.filename else ""
            complain(f"Error: {where}{refusal(error)}", 1)
        except (Exception, SystemExit, GeneratorExit) as error:
            complain(f"Error: {one_line(error)} (unexpected; LOSSREG_DEBUG=1 shows where)", 1)

    return cast(Work, _with_options_of(work, run))


def _with_options_of(work: Callable[..., None], run: Callable[..., None]) -> Callable[..., None]:
    """Return `run` with the parameters of `work`, and those of safe mode, as typer reads them."""
    own = [
        inspect.Parameter("safe", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Safe),
        inspect.Parameter("allow_plugin", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=AllowedPlugins),
    ]
    signature = inspect.signature(work, eval_str=True)
    every = [*signature.parameters.values(), *own]
    run.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    return run


@contextmanager
def _as_safe(safe: bool, allowed: Sequence[str]) -> Iterator[None]:
    """Have safe mode on during the block if the options ask for it."""
    if allowed and not safe and not safety.is_on():
        raise InputError("belongs to --safe", where="--allow-plugin", hint="Add --safe, or leave it out.")
    with safety.safe_mode(allowed) if safe or allowed else nullcontext():
        yield


def complain(message: str, code: int) -> NoReturn:
    """Print what is wrong on standard error and exit; with the traceback if `LOSSREG_DEBUG` is set."""
    if os.environ.get("LOSSREG_DEBUG", "0") not in ("", "0"):
        tell(masked(traceback.format_exc()))
    tell(message)
    raise typer.Exit(code)


class Commands(TyperGroup):
    """The commands, with secrets masked in the parser's errors, which repeat the arguments."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments before a command."""
        with _masked_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Parse the arguments of a command and run it."""
        with _masked_errors():
            return super().invoke(ctx)


@contextmanager
def _masked_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = printable(masked(_plainly(message) + _whose_option(error)))  # type: ignore[attr-defined]
        raise


def _plainly(message: str) -> str:
    """Return a message of the parser without its words for types: `'1.5' is not a whole number`."""
    return re.sub(r"is not a valid int(eger)?( range)?\b", "is not a whole number", message)


def _whose_option(error: Any) -> str:
    """Return `. `lossreg init` has it` where other commands have an option that this one lacks; else nothing."""
    group = getattr(getattr(getattr(error, "ctx", None), "parent", None), "command", None)
    name, commands = getattr(error, "option_name", None), getattr(group, "commands", {})
    having = [command for command, one in commands.items() if any(name in param.opts for param in one.params)]
    if not name or len(having) != 1:
        return ""
    error.possibilities = []
    return f". `lossreg {having[0]}` has it."


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def main() -> None:
    """Run the command that the arguments name."""
    streams.guard()
    # at exit the garbage collector would go through all of TensorFlow once more, which takes a second or two
    atexit.register(gc.freeze)
    try:
        app(prog_name="lossreg")
    finally:
        # the last one to be registered runs first: others, as JAX's, take a while
        atexit.register(signals.leave_quietly)
        waiting.wipe()
        _check_output()


def _check_output() -> None:
    """Exit with 1 if standard output could not be written; a reader that left early is no failure."""
    sys.stdout.flush()
    if reason := streams.lost():
        tell(f"Error: {reason}")
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"lossreg {__version__}")
        raise typer.Exit


@app.callback()
def lossreg(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Which loss should I train with, and with which parameters?

    `lossreg tune STUDY` answers with an experiment; `lossreg losses` lists what there is.
    """


def load(study: Path, overrides: Sequence[str] | None = None, *, is_run: bool = False) -> StudySpec:
    """Return the study of a file, and name the file in the commands of messages.

    overrides: None of a command that takes none.
    Raises `InputError` in safe mode, before anything slow, where the study `is_run` and names code.
    """
    waiting.announce(f"reading {study}")
    from lossreg.config import study as studies

    caller.name_study(str(study), overrides)
    spec = studies.load(study, tuple(overrides or ()))
    if is_run:
        studies.require_trusted(spec)
    return spec


def loaded_registry() -> Registry:
    """Return the registry of all installed losses; warn of what is wrong with plugins."""
    from lossreg.registry import registry

    loaded = registry.default()
    for line in [*loaded.notes, *(line for plugin in loaded.plugins for line in plugin.lines)]:
        warn(line)
    return loaded


def check_task(task: str) -> None:
    """Raise `UnknownError` for an unknown task."""
    from lossreg.contract.targets import TASKS
    from lossreg.errors import UnknownError, did_you_mean

    if task and task not in TASKS:
        raise UnknownError(f"unknown task {task!r}; known: {', '.join(TASKS)}", hint=did_you_mean(task, TASKS))


def import_keras() -> None:
    """Import Keras without the start-up notes of its backend, which no option silences, and show that it takes time."""
    from lossreg.runtime import backend

    waiting.wipe()
    backend.check()
    if "keras" in sys.modules:
        return
    with waiting.busy(backend.importing(), line=True), _uncollected():
        backend.load()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the objects that the block creates out of garbage collection, a fourth of the time of a large import."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def say(text: str, *, whole: bool = False) -> None:
    """Print text on standard output; on a terminal long lines are broken between words, unless `whole` is set."""
    _write(sys.stdout, text, whole)


def tell(text: str) -> None:
    """Print text on standard error; on a terminal long lines are broken between words."""
    _write(sys.stderr, text, whole=False)


def _write(stream: TextIO, text: str, whole: bool) -> None:
    # typer's echo would write UTF-8 to a terminal that is set to ASCII
    waiting.wipe()
    clean = printable(text)
    stream.write(f"{clean if whole or not stream.isatty() else _broken(clean, width.of(stream))}\n")
    stream.flush()


def _broken(text: str, width: int) -> str:
    """Break `text` into lines of at most `width` characters; paths and other long words stay as they are."""
    return "\n".join(line for long in text.split("\n") for line in _lines(long, width))


def _lines(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [line]


def warn(text: str) -> None:
    """Print a warning on standard error."""
    tell(f"Warning: {text}")


def display(page: RenderableType, *, whole: bool = False) -> None:
    """Print a table or a page on standard output; with `whole`, lines are broken on a terminal alone."""
    from lossreg.reporting.tables import Printable

    waiting.wipe()
    console().print(Printable(page), soft_wrap=whole and not sys.stdout.isatty())


def console() -> Console:
    """Return standard output as a console, wider than 80 columns where its width is unknown."""
    from rich.console import Console

    columns = width.for_rich(sys.stdout) if sys.stdout.isatty() else width.given() or WIDTH_OF_A_PIPE
    return Console(width=columns, highlight=False)


def print_json(document: Any, out: Any = None) -> None:
    """Print a document as JSON, numbers that are not finite as null."""
    waiting.wipe()
    text = json.dumps(masked_values(finite(document)), indent=2, allow_nan=False, default=str)
    (out or sys.stdout).write(f"{text}\n")


@contextmanager
def only_json(wanted: bool) -> Iterator[Any]:
    """Yield standard output; if `wanted`, all other output of the block goes to standard error."""
    out = sys.stdout
    with redirect_stdout(sys.stderr) if wanted else nullcontext():
        yield out
