"""Parts of a study file that safe mode refuses: functions, which are code, and addresses of stores and servers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from lossreg.config.document import dotted
from lossreg.errors import InputError
from lossreg.runtime.safety import READ_IT
from lossreg.storage import address
from lossreg.terminal import caller

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec

BUNDLED = "sklearn:"
TRACKING, STORAGE = "tracking.uri", "storage.url"
# how to give an address where a command takes no overrides
INSTEAD = {
    TRACKING: "take it out of the study file, and set MLFLOW_TRACKING_URI in your environment",
    STORAGE: f'have it come from your environment, url = "${{{address.PREFIX}STORAGE}}" in the study file',
}


def mistakes(study: StudySpec, overridden: Collection[str], is_run: bool) -> Iterator[InputError]:
    """Yield what safe mode refuses in a study; overridden: the keys whose values are the user's own.

    is_run: without it only what would be written elsewhere is refused.
    """
    yield from _functions(study) if is_run else ()
    yield from of_address(TRACKING, study.tracking.uri, overridden)
    yield from of_address(STORAGE, study.storage.url, overridden)
    yield from _links(study)


def of_address(key: str, value: str | None, overridden: Collection[str]) -> Iterator[InputError]:
    """Yield a mistake for an address that neither an override nor, as a whole, the environment gave."""
    is_own = {key, key.partition(".")[0]} & {*overridden} or (key == STORAGE and address.is_variable(value or ""))
    if value is not None and not is_own:
        what = "is an address that only the study file names, and safe mode connects to none of these"
        yield InputError(what, where=key, hint=f"Give it yourself: {_override(key)}{INSTEAD[key]}.")


def _override(key: str) -> str:
    """Return the start of the hint that names an override, empty in a command that takes none."""
    if not caller.is_shell():
        return f'as an override: "{key}=...", or '
    return f"--set {key}=..., or " if caller.takes_overrides() else ""


def _functions(study: StudySpec) -> Iterator[InputError]:
    source, build = study.data.source, study.model.build if isinstance(study.model.build, str) else ""
    metric, callbacks = study.search.metric, study.train.callbacks
    named = {"data.source": source if not source.startswith(BUNDLED) else "", "model.build": build}
    named["search.metric"] = metric if isinstance(metric, str) else ""
    named["train.callbacks"] = callbacks if isinstance(callbacks, str) else ""
    for candidate, loss in study.losses.items():
        named[dotted(("losses", candidate, "function"))] = loss.function if isinstance(loss.function, str) else ""
    for key, value in named.items():
        if ":" in value:
            yield InputError(f"{value} names code, which safe mode does not run", where=key, hint=READ_IT)


def _links(study: StudySpec) -> Iterator[InputError]:
    """Yield a mistake where files that a study writes would go elsewhere."""
    folder = study.folder
    for path in (folder.parent, folder, *(folder.rglob("*") if folder.is_dir() else ())):
        if path.is_symlink():
            yield InputError("is a link, and safe mode writes through none", where=str(path), hint="Remove it.")
            return
