"""Plugins: what every entry point of the group `lossreg` offers, and why one is refused.

A plugin is taken whole or refused whole, with the reason; no plugin can break another. The
built-in losses come through the same hook, first. Of a name claimed twice the built-in loss
keeps it; of two third parties neither does.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from types import ModuleType

import pluggy

from lossreg import hookspecs
from lossreg.contract.declaration import spec_of
from lossreg.contract.spec import LossSpec
from lossreg.errors import InputError, LossregError, contained, did_you_mean, one_line, text_of
from lossreg.terminal import caller, status_line, streams
from lossreg.version import __version__

HOOK = "lossreg_losses"
BUILTIN = "lossreg.zoo"
# What messages and `block` call lossreg's own losses and those of a study's own functions.
RESERVED = ("builtin", "lossreg", "study")
PATIENCE = 10.0  # seconds after which a plugin that is still being imported is named
SLOW = ("tensorflow", "keras", "torch", "jax")
# what becomes of a plugin that is named for it
BLOCKED, ALLOWED = "blocked, by the study or by LOSSREG_BLOCK", "allowed in safe mode"
VALUE = re.compile(r"[\w.]+(\s*:\s*[\w.]+)?(\s*\[.*\])?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered loss and where it comes from."""

    spec: LossSpec
    plugin: str
    distribution: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class PluginReport:
    """The result of loading one plugin.

    name: of its entry point; losses: the names that it registered, none when it is refused;
    error: why it is refused, one line, empty when it is not; warnings: one line each;
    withheld: the names and aliases that a refused plugin offered, as far as they are known;
    blocked: refused because the user asked for it.
    """

    name: str
    distribution: str
    version: str
    losses: tuple[str, ...] = ()
    error: str = ""
    warnings: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    blocked: bool = False

    @property
    def display_name(self) -> str:
        """`plugin arctan (lossreg-arctan 0.1)`, for messages."""
        provenance = f"{self.distribution} {self.version}".strip()
        return f"plugin {self.name} ({provenance})" if provenance else f"plugin {self.name}"

    @property
    def refusal(self) -> str:
        """The error as a line that names the plugin; empty when it is not refused."""
        return f"{self.display_name} is refused: {self.error}" if self.error else ""

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines for the user of any command: the refusal, unless it was asked for, and the warnings."""
        refusal = (self.refusal,) if self.error and not self.blocked else ()
        return (*refusal, *(f"{self.display_name}: {warning}" for warning in self.warnings))


@dataclass(frozen=True, slots=True)
class Source:
    """A plugin that has not been loaded yet; `load` returns its module or object."""

    name: str
    distribution: str
    version: str
    load: Callable[[], object]
    builtin: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """The losses that a plugin yielded, or the reason why none of them is taken."""

    source: Source
    specs: tuple[LossSpec, ...] = ()
    error: str = ""
    warnings: tuple[str, ...] = ()
    blocked: bool = False

    def claims(self) -> dict[str, str]:
        """Every name and alias, by the key under which it is looked up."""
        return {key(name): name for spec in self.specs for name in (spec.name, *spec.aliases)}

    def entries(self) -> list[Entry]:
        """The losses that are taken."""
        source = self.source
        taken = () if self.error else self.specs
        return [Entry(spec, source.name, source.distribution, source.version) for spec in taken]

    def report(self) -> PluginReport:
        """Return the result for the user."""
        return PluginReport(
            name=self.source.name,
            distribution=self.source.distribution,
            version=self.source.version,
            losses=tuple(entry.spec.name for entry in self.entries()),
            error=self.error,
            warnings=self.warnings,
            withheld=tuple(self.claims().values()) if self.error else (),
            blocked=self.blocked,
        )


def key(name: str) -> str:
    """The form in which names are compared: no case, underscores, hyphens or spaces."""
    return re.sub(r"[\s_-]+", "", name).lower()


def installed() -> list[Source]:
    """The built-ins, then every entry point of the group, by distribution and name."""
    builtin = Source("builtin", "lossreg", __version__, lambda: import_module(BUILTIN), builtin=True)
    return [builtin, *sorted(_others(), key=lambda source: (source.distribution.lower(), source.name))]


def collect(
    sources: Sequence[Source], block: Sequence[str] = (), allowed: Collection[str] | None = None
) -> tuple[list[Entry], list[PluginReport]]:
    """Load the plugins and refuse those whose names clash; `block` has plugin or distribution names.

    allowed: the only plugins or distributions that are loaded; None allows all.

    Raises `InputError` when `block` names the built-in losses.
    """
    blocked = {key(name) for name in block}
    if blocked & {key("builtin"), key("lossreg")}:
        raise InputError("the built-in losses cannot be blocked", hint="Block plugins or distributions by name.")
    usable = None if allowed is None else {key(name) for name in allowed}
    loaded = [_blocked(source, blocked) or _not_allowed(source, usable) or load(source) for source in sources]
    offers = _with_lost_references(_without_clashes(loaded))
    entries = [entry for offer in offers for entry in offer.entries()]
    return entries, [offer.report() for offer in offers]


def unmatched(sources: Sequence[Source], names: Sequence[str], treated: str = BLOCKED) -> list[str]:
    """A line for each of the names, which are `treated` so, that is neither a plugin nor a distribution."""
    known = {name for source in sources if not source.builtin for name in (source.name, source.distribution) if name}
    keys = {key(name) for name in known}
    missing = [name for name in names if key(name) not in keys]
    problem = f"is {treated}, and is no plugin or distribution that is installed"
    return [f"{name} {problem}. {did_you_mean(name, sorted(known))}".strip() for name in missing]


def load(source: Source) -> Offer:
    """Load one plugin and consume what its hook yields; whatever fails stays in here."""
    specs: tuple[LossSpec, ...] = ()
    error = ""
    if key(source.name) in RESERVED and not source.builtin:
        return Offer(source, error=f"the name {source.name} stands for losses of lossreg itself; it must be renamed")
    before = {name for name in SLOW if name in sys.modules}
    try:
        with contained(), nullcontext() if source.builtin else _apart(source):
            specs = tuple(_specs(source))
    except Exception as failure:
        error = " ".join(text_of(failure).split()) if isinstance(failure, LossregError) else one_line(failure)
    pulled = " and ".join(name for name in SLOW if name in sys.modules and name not in before)
    slow = f"loading it imports {pulled}, which slows every command; import inside the loss instead"
    return Offer(source, specs, error, (slow,) if pulled else ())


@contextmanager
def _apart(source: Source) -> Iterator[None]:
    """Keep what a plugin prints out of a JSON document, and what it closes open."""
    aside = streams.aside() if caller.is_shell() else nullcontext()
    with aside, redirect_stdout(streams.lent(sys.stderr)), redirect_stderr(sys.stdout), _watched(source):
        yield


@contextmanager
def _watched(source: Source) -> Iterator[None]:
    """Name a plugin that takes longer than `PATIENCE` on standard error; an import cannot be ended from outside."""
    display_name = Offer(source).report().display_name
    slow = f"{display_name} is still being imported after {PATIENCE:g} s; LOSSREG_BLOCK={source.name} leaves it out"
    timer = threading.Timer(PATIENCE, status_line.warn, [slow])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _others() -> list[Source]:
    """Every entry point of the group but the built-ins'."""
    try:
        points = list(entry_points(group=hookspecs.GROUP))
    except Exception:
        # one file of entry points that cannot be parsed, of whatever distribution, hides all others
        return _one_by_one()
    return [_source(point) for point in points if point.value != BUILTIN]


def _one_by_one() -> list[Source]:
    by_distribution: dict[str, list[Source]] = {}
    for distribution in distributions():
        # the first of a name on the path is the one that would be imported
        by_distribution.setdefault(key(_provenance(distribution)[0]), _offered_by(distribution))
    return [source for sources in by_distribution.values() for source in sources]


def _offered_by(distribution: Distribution) -> list[Source]:
    try:
        points = [point for point in distribution.entry_points if point.group == hookspecs.GROUP]
    except Exception as error:
        text = distribution.read_text("entry_points.txt") or ""
        name, version = _provenance(distribution)
        broken = Source(name, name, version, partial(_unreadable, one_line(error)))
        return [broken] if f"[{hookspecs.GROUP}]" in text else []
    return [_source(point) for point in points if point.value != BUILTIN]


def _unreadable(error: str) -> object:
    raise LossregError(f"its entry_points.txt cannot be read: {error}")


def _source(point: EntryPoint) -> Source:
    return Source(point.name, *_provenance(point.dist), partial(_loaded, point))


def _provenance(distribution: Distribution | None) -> tuple[str, str]:
    """Name and version, empty where there is no metadata that can be read."""
    try:
        return (distribution.name or "", distribution.version or "") if distribution else ("", "")
    except Exception:
        return "", ""


def _loaded(point: EntryPoint) -> object:
    if not VALUE.fullmatch(point.value.strip()):
        raise LossregError(f"its entry point names {point.value!r}, which is neither a module nor module:attribute")
    return point.load()


def _blocked(source: Source, blocked: set[str]) -> Offer | None:
    hit = not source.builtin and blocked & {key(source.name), key(source.distribution)}
    return Offer(source, error=BLOCKED, blocked=True) if hit else None


def _not_allowed(source: Source, allowed: set[str] | None) -> Offer | None:
    if source.builtin or allowed is None or allowed & {key(source.name), key(source.distribution)}:
        return None
    way = caller.words(f"--allow-plugin {source.name}", f'allow_plugins=["{source.name}"]')
    return Offer(source, error=f"safe mode runs no plugin that is not allowed, as by {way}", blocked=True)


def _specs(source: Source) -> Iterator[LossSpec]:
    """The specs of a plugin, each checked as it comes; raises what is wrong with the plugin."""
    plugin = source.load()
    claimed: set[str] = set()
    for offered in _call(plugin, source.name):
        for declared in _iterate(offered):
            spec = spec_of(declared)
            if spec is None:
                hint = "; declare a function with a decorator, such as @softmax_loss(...)" if callable(declared) else ""
                raise LossregError(f"{HOOK} must yield LossSpecs, not {_a(declared)}{hint}")
            keys = {key(name) for name in (spec.name, *spec.aliases)}
            if keys & claimed:
                raise LossregError(f"two of its losses claim the name {spec.name} or one of its aliases")
            claimed |= keys
            yield spec
    if not claimed:
        raise LossregError(f"offers no losses: {_why_none(plugin)}")


def _call(plugin: object, name: str) -> list[object]:
    """Return the result of each implementation of the hook in `plugin`.

    A manager for each plugin, so that none can wrap or reorder the hooks of another.
    """
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as pending:
        unknown = str(pending).partition(" in plugin ")[0]
        raise LossregError(f"{unknown}; the hook of a lossreg plugin is {HOOK}") from pending
    returned: list[object] = manager.hook.lossreg_losses()
    return returned


def _iterate(offered: object) -> Iterator[object]:
    try:
        return iter(offered)  # type: ignore[call-overload, no-any-return]
    except TypeError:
        raise LossregError(f"{HOOK} must yield LossSpecs; it returns {_a(offered)}") from None


def _why_none(plugin: object) -> str:
    hook = getattr(plugin, HOOK, None)
    if hook is not None and hasattr(hook, f"{hookspecs.GROUP}_impl"):
        return f"{HOOK} yields none"
    if hook is not None:
        return f"{HOOK} is not marked with @hookimpl"
    where = f"module {plugin.__name__}" if isinstance(plugin, ModuleType) else _a(plugin)
    return f"{where} has no {HOOK}; the entry point must name the module (or object) that has it"


def _without_clashes(offers: list[Offer]) -> list[Offer]:
    """Refuse every plugin that claims a built-in name, then all that claim one name together."""
    builtin = {name for offer in offers if offer.source.builtin for name in offer.claims()}
    offers = [_refuse_builtin_names(offer, builtin) for offer in offers]
    rivals: dict[str, list[Offer]] = defaultdict(list)
    for offer in offers:
        for name in () if offer.error else offer.claims():
            rivals[name].append(offer)
    return [_refuse_shared_names(offer, rivals) for offer in offers]


def _refuse_builtin_names(offer: Offer, builtin: set[str]) -> Offer:
    if offer.source.builtin or offer.error:
        return offer
    taken = [name for key_, name in offer.claims().items() if key_ in builtin]
    return replace(offer, error=f"claims {_names(taken)}, which lossreg itself has") if taken else offer


def _refuse_shared_names(offer: Offer, rivals: dict[str, list[Offer]]) -> Offer:
    shared = [name for key_, name in offer.claims().items() if len(rivals.get(key_, ())) > 1]
    if not shared or offer.error:
        return offer
    parties = dict.fromkeys(rival.report().display_name for name in shared for rival in rivals[key(name)])
    return replace(offer, error=f"{_names(shared)} claimed by {' and '.join(parties)}; all of them are refused")


def _with_lost_references(offers: list[Offer]) -> list[Offer]:
    """The offers, each with a warning for every unknown loss that it names."""
    known = {key_: name for offer in offers if not offer.error for key_, name in offer.claims().items()}
    return [
        replace(offer, warnings=(*offer.warnings, *_lost(offer.specs, known))) if not offer.error else offer
        for offer in offers
    ]


def _lost(specs: Sequence[LossSpec], known: Mapping[str, str]) -> Iterator[str]:
    for spec in specs:
        named = [("is declared the same as", spec.same_as)] if spec.same_as else []
        named += [("declares a limit that equals", limit.equals) for limit in spec.claims.limits]
        for relation, name in dict.fromkeys(named):
            if key(name) not in known:
                hint = did_you_mean(name, known.values())
                yield f"the loss {spec.name} {relation} {name}, and there is no such loss. {hint}".strip()


def _names(names: Sequence[str]) -> str:
    return f"the name{'s' * (len(names) > 1)} {', '.join(names)}"


def _a(thing: object) -> str:
    name = type(thing).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
