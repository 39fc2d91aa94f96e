"""The registry: every loss there is, by name, alias or Keras class name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache

from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import TASKS
from lossreg.errors import InputError, UnknownError, did_you_mean, represented
from lossreg.registry import discovery
from lossreg.registry.discovery import Entry, PluginReport, key
from lossreg.runtime import safety
from lossreg.terminal.caller import words

__all__ = ["Entry", "PluginReport", "Registry", "default", "forget", "losses"]


class Registry:
    """Losses by name, and the result of loading each plugin that offers them.

    Names are compared without regard to case, underscores or hyphens, so that `MSE`,
    `mean-squared-error` and `MeanSquaredError` are the same loss. `notes` are lines for the user.
    """

    def __init__(
        self, entries: Iterable[Entry], reports: Iterable[PluginReport] = (), notes: Iterable[str] = ()
    ) -> None:
        self._entries: list[Entry] = []
        self._by_key: dict[str, Entry] = {}
        self.plugins = list(reports)
        self.notes = list(notes)
        for entry in entries:
            self._claim(entry)

    def specs(self) -> list[Entry]:
        """Every loss, built-ins first."""
        return list(self._entries)

    def look_up(self, name: str) -> Entry | None:
        """The loss of that name, alias or class name; None when there is none."""
        return self._by_key.get(key(name)) if isinstance(name, str) else None

    def find(self, name: str) -> Entry:
        """The same; raises `UnknownError`."""
        if entry := self.look_up(name):
            return entry
        raise UnknownError(f"unknown loss {represented(name)}", hint=self._hint(str(name)))

    def get(self, name: str) -> LossSpec:
        """The spec of `find(name)`."""
        return self.find(name).spec

    def for_task(self, task: str) -> list[Entry]:
        """The losses that serve `task` (of `lossreg.contract.targets.TASKS`); raises `UnknownError`."""
        if not isinstance(task, str) or task not in TASKS:
            what = f"unknown task {represented(task)}; known: {', '.join(TASKS)}"
            raise UnknownError(what, hint=did_you_mean(str(task), TASKS))
        return [entry for entry in self._entries if task in entry.spec.tasks]

    def recommended(self, task: str) -> list[Entry]:
        """The losses of the default search of `task`: of those declared the same as each other, one."""
        chosen: dict[str, Entry] = {}
        for entry in self.for_task(task):
            original = self._original(entry.spec)
            if task in entry.spec.recommended and (original not in chosen or entry.spec.name == original):
                chosen[original] = entry
        return list(chosen.values())

    def add(self, spec: LossSpec, plugin: str = "study", distribution: str = "", version: str = "") -> Registry:
        """A registry that also has `spec`; this one stays as it is. Raises `InputError` on a taken name."""
        return Registry([*self._entries, Entry(spec, plugin, distribution, version)], self.plugins, self.notes)

    def _original(self, spec: LossSpec) -> str:
        """Return the name of the loss that `spec` is declared the same as, or its own."""
        return self._by_key[key(spec.same_as)].spec.name if key(spec.same_as) in self._by_key else spec.name

    def _claim(self, entry: Entry) -> None:
        for name in (entry.spec.name, *entry.spec.aliases):
            owner = self._by_key.setdefault(key(name), entry)
            if owner is not entry:
                problem = f"the name {name} is taken by the loss {owner.spec.name} of plugin {owner.plugin}"
                raise InputError(problem, where=f"loss {entry.spec.name!r}", hint="Choose another name.")
        self._entries.append(entry)

    def _hint(self, name: str) -> str:
        known = {spelt for entry in self._entries for spelt in (entry.spec.name, *entry.spec.aliases)}
        refused = [f"{report.refusal}." for report in self.plugins if _may_offer(report, name)]
        near = did_you_mean(name, sorted(known))
        way = words("lossreg losses", "lossreg.losses()")
        return " ".join(filter(None, (near, *refused))) or f"`{way}` lists the {len(self._entries)} losses."


def _may_offer(report: PluginReport, name: str) -> bool:
    """Return whether a refused plugin offers `name`, as far as that is known."""
    withheld = {key(offered) for offered in report.withheld}
    return bool(report.error) and (not withheld or key(name) in withheld)


def default(block: Sequence[str] = ()) -> Registry:
    """The built-ins and every installed plugin but those in `block` or `LOSSREG_BLOCK`.

    Both name plugins or distributions, the variable with commas between. In safe mode only the plugins that it allows.
    Loaded once for each set of names.
    """
    named = (*block, *os.environ.get("LOSSREG_BLOCK", "").split(","))
    return _load(frozenset(filter(None, (name.strip() for name in named))), safety.allowed())


def forget() -> None:
    """Have plugins read anew when losses are next asked for, as after one was installed into a running notebook.

    A plugin that was read before is imported from the same module: what changed in its code takes a new process.
    """
    _load.cache_clear()


@cache
def _load(block: frozenset[str], allowed: frozenset[str] | None) -> Registry:
    sources, names = discovery.installed(), sorted(block)
    notes = discovery.unmatched(sources, names, discovery.BLOCKED)
    notes += discovery.unmatched(sources, sorted(allowed or ()), discovery.ALLOWED)
    return Registry(*discovery.collect(sources, names, allowed), notes)


def losses(task: str | None = None) -> list[LossSpec]:
    """Every registered loss, or those that serve `task`; raises `UnknownError`."""
    entries = default().specs() if task is None else default().for_task(task)
    return [entry.spec for entry in entries]
