"""The plugin host: what is refused, with which words, and that nothing else suffers."""

import signal
import sys
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from lossreg import InputError, Limit, LossSpec, __version__, hookimpl, loss
from lossreg.registry import discovery, registry
from lossreg.registry.discovery import Source, collect
from lossreg.terminal import caller

HEAD = """
from lossreg import LossSpec, hookimpl

def spec(name, **more):
    return LossSpec(name=name, function="math:fabs", tasks=("regression",), summary="s", reference="r", **more)
"""
GOOD = HEAD + "\n@hookimpl\ndef lossreg_losses():\n    yield spec('{0}')\n"


def spec(name, *aliases, **more):
    return LossSpec(name=name, aliases=aliases, function=abs, tasks=("regression",), summary="s", reference="r", **more)


def offering(*specs):
    return SimpleNamespace(lossreg_losses=hookimpl(lambda: iter(specs)))


def source(name, *specs, builtin=False):
    return Source(name, f"dist-{name}", "1.0", lambda: offering(*specs), builtin=builtin)


BUILTIN = source("builtin", spec("huber", "smooth"), spec("mse"), builtin=True)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed distributions: `site(name, code)` adds one, with its entry point."""

    modules = []

    def install(name, code, value=None, version="1.0"):
        modules.append(name.replace("-", "_") + "_module")
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "entry_points.txt").write_text(f"[lossreg]\n{name} = {value or modules[-1]}\n")
        (tmp_path / f"{modules[-1]}.py").write_text(code)

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    for module in (*modules, "heavy_backend"):
        sys.modules.pop(module, None)


def discovered(*names):
    """Entries by loss name and reports by plugin name, of the named installed plugins alone."""
    sources = [one for one in discovery.installed() if one.name in names]
    entries, reports = collect([BUILTIN, *sources])
    return {entry.spec.name: entry for entry in entries}, {report.name: report for report in reports}


HALF = HEAD + "\n@hookimpl\ndef lossreg_losses():\n    yield spec('first')\n    {0}\n"
FAILURES = {
    "import": ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    "syntax": ("def broken(:", "SyntaxError: "),
    "exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "half-interrupt": (HALF.format("raise KeyboardInterrupt"), "KeyboardInterrupt"),
    "base": ("class Odd(BaseException):\n    pass\nraise Odd", "Odd"),
    "unreadable": (
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\nraise Odd",
        "Odd: its message cannot be read",
    ),
    "two-lines": ("raise ImportError('one\\n   two')", "ImportError: one two"),
    "empty": ("", "offers no losses: module empty_module has no lossreg_losses"),
    "unmarked": ("def lossreg_losses():\n    yield 1", "lossreg_losses is not marked with @hookimpl"),
    "misspelt": (GOOD.format("x").replace("lossreg_losses", "lossreg_loss"), "unknown hook 'lossreg_loss'"),
    "extra": (GOOD.format("x").replace("lossreg_losses()", "lossreg_losses(task)"), "'task'"),
    "raising": (HALF.format("raise RuntimeError('half-way')"), "RuntimeError: half-way"),
    "half-exit": (HALF.format("raise SystemExit"), "SystemExit"),
    "not-a-spec": (HALF.format("yield 5"), "lossreg_losses must yield LossSpecs, not an int"),
    "bare-function": (HALF.format("yield lambda: 0"), "not a function; declare a function with a decorator, such as"),
    "one-spec": (GOOD.format("x").replace("yield", "return"), "must yield LossSpecs; it returns a LossSpec"),
    "nothing": (HEAD + "@hookimpl\ndef lossreg_losses():\n    pass", "offers no losses: lossreg_losses yields none"),
    "no-text": (HALF.format("yield spec('x', formula=5)"), "loss 'x': formula must be text, not 5"),
    "no-name": (HALF.format("yield spec(None)"), "loss None: name must be text, not None"),
    "no-activation": (
        HALF.format("yield spec('x', activation=abs)"),
        "loss 'x': activation must be a name or an Activation, not <built-in",
    ),
    "bad-spec": (HALF.format("yield spec('x', target='onhot')"), "loss 'x': unknown target 'onhot'"),
    "twice": (HALF.format("yield spec('other', aliases=('FIRST',))"), "two of its losses claim the name"),
}


def test_a_plugin_may_offer_functions_that_are_declared():
    @loss(tasks=("regression",), summary="s", reference="r")
    def mine(y, z):
        return z

    entries, [report] = collect([source("one", mine, spec("other"))])
    assert ([entry.spec for entry in entries], report.error) == ([mine.spec, spec("other")], "")


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_plugin_is_refused_whole_and_alone(site, name):
    code, error = FAILURES[name]
    site(name, code, version="2.5")
    site("healthy", GOOD.format("healthy_loss"))
    losses, reports = discovered(name, "healthy")
    assert set(losses) == {"huber", "mse", "healthy_loss"}
    report = reports[name]
    assert error in report.error
    assert "\n" not in report.error
    assert (report.distribution, report.version, report.losses) == (name, "2.5", ())
    assert reports["healthy"].error == ""
    assert report.lines[0].startswith(f"plugin {name} ({name} 2.5) is refused: ")


@pytest.mark.parametrize(
    ("thing", "error"),
    [
        ("5", "an int has no lossreg_losses; the entry point must name the module"),
        ("None", "a NoneType has no"),
        ("[]", "a list has no"),
        ("lossreg_losses", "a function has no"),
        ("spec('mine')", "a LossSpec has no"),
    ],
)
def test_an_entry_point_of_the_wrong_type(site, thing, error):
    site("wrong", GOOD.format("mine") + f"thing = {thing}\n", value="wrong_module:thing")
    losses, reports = discovered("wrong")
    assert "mine" not in losses
    assert reports["wrong"].error.startswith("offers no losses: ")
    assert error in reports["wrong"].error


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("wrong_module:missing", "AttributeError: module 'wrong_module' has no attribute 'missing'"),
        ("no.such.module", "ModuleNotFoundError: No module named 'no'"),
        ("not a module!", "its entry point names 'not a module!', which is neither a module nor module:attribute"),
        ("wrong_module:", "its entry point names 'wrong_module:', which is neither"),
        ("wrong-module", "its entry point names 'wrong-module', which is neither"),
        ('"wrong_module"', "its entry point names '\"wrong_module\"', which is neither"),
    ],
)
def test_an_entry_point_that_leads_nowhere(site, value, error):
    site("wrong", "", value=value)
    assert error in discovered("wrong")[1]["wrong"].error


@pytest.mark.parametrize("value", ["right_module", "right_module : plugin", "right_module:plugin.part [extra]"])
def test_entry_points_may_name_modules_attributes_and_extras(site, value):
    more = "class plugin:\n    lossreg_losses = staticmethod(lossreg_losses)\nplugin.part = plugin\n"
    site("right", GOOD.format("mine") + more, value=value)
    assert "mine" in discovered("right")[0]


def test_entry_points_that_cannot_be_parsed_hide_no_others(site, tmp_path):
    site("healthy", GOOD.format("healthy_loss"))
    for name, text in (("broken", "[lossreg]\nno equals sign\n"), ("foreign", "[console_scripts]\nno equals sign\n")):
        folder = tmp_path / f"{name}-1.5.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        (folder / "entry_points.txt").write_text(text)
    losses, reports = discovered("healthy", "broken", "foreign")
    assert "healthy_loss" in losses
    assert reports["broken"].refusal.startswith(
        "plugin broken (broken 1.5) is refused: its entry_points.txt cannot be read"
    )
    assert set(reports) == {"builtin", "healthy", "broken"}


def test_a_distribution_without_metadata_is_still_heard(site, tmp_path):
    site("bare", GOOD.format("mine"))
    (tmp_path / "bare-1.0.dist-info" / "METADATA").unlink()
    losses, reports = discovered("bare")
    assert "mine" in losses
    assert reports["bare"].display_name == "plugin bare"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"twin_of": "hubber"}, "is declared the same as hubber, and there is no such loss. Did you mean huber?"),
        ({"limits": (Limit({}, "zzz"),)}, "declares a limit that equals zzz, and there is no such loss."),
        ({"twin_of": "innocent", "limits": (Limit({}, "SMOOTH"), Limit({}, "other"))}, ""),
    ],
)
def test_a_loss_that_refers_to_none_is_taken_with_a_warning(field, message):
    sources = [BUILTIN, source("one", spec("mine", **field), spec("innocent")), source("two", spec("other"))]
    entries, reports = collect(sources)
    assert "mine" in [entry.spec.name for entry in entries]
    assert reports[1].warnings == ((f"the loss mine {message}",) if message else ())
    assert reports[0].warnings == ()


def test_what_a_refused_plugin_offers_is_no_loss_to_refer_to():
    _, reports = collect(
        [BUILTIN, source("one", spec("mine", twin_of="other")), source("two", spec("other"), spec("mse"))]
    )
    assert "the same as other" in reports[1].warnings[0]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (["one", "Dist_One"], []),
        (
            ["zzz"],
            ["zzz is blocked, by the study or by LOSSREG_BLOCK, and is no plugin or distribution that is installed."],
        ),
        (["oone", "one"], ["oone is blocked, by the study or by LOSSREG_BLOCK, and is no plugin"]),
        (["dist-onee"], ["Did you mean dist-one?"]),
    ],
)
def test_a_blocked_name_that_is_nowhere_is_told(block, message):
    lines = discovery.unmatched([BUILTIN, source("one", spec("a"))], block)
    assert len(lines) == len(message)
    assert all(part in line for part, line in zip(message, lines, strict=True))


def test_the_registry_passes_on_what_is_wrong_with_blocking(monkeypatch):
    monkeypatch.setenv("LOSSREG_BLOCK", "no-such-plugin,")
    notes = registry.default(["neither"]).notes
    assert [note.partition(" is blocked")[0] for note in notes] == ["neither", "no-such-plugin"]
    assert registry.default(["neither"]).add(spec("mine")).notes == notes


def test_an_interrupt_is_the_users_and_passes():
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        collect([Source("slow", "slow", "1", lambda: signal.raise_signal(signal.SIGINT))])
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_plugin_that_ignores_interrupts_is_alone_in_that(site):
    handler = signal.getsignal(signal.SIGINT)
    site("deaf", "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + GOOD.format("mine"))
    assert "mine" in discovered("deaf")[0]
    assert signal.getsignal(signal.SIGINT) is handler


# of Python's streams, and of descriptors, which only a command guards
HARM = {
    "stdout": ("sys.stdout.close()", nullcontext, ""),
    "stderr": ("sys.stderr.close()", nullcontext, ""),
    "detached": ("sys.stdout.detach().write(b'')", nullcontext, ""),
    "replaced": ("sys.stdout = sys.stderr = None", nullcontext, ""),
    "descriptor": ("os.write(1, b'RAW\\n')", caller.shell, "RAW\n"),
    "process": ("subprocess.run(['echo', 'RAW'], check=True)", caller.shell, "RAW\n"),
    "library": ("ctypes.CDLL(None).puts(b'RAW')", caller.shell, "RAW\n"),
    "closed": ("os.write(1, b'RAW\\n'); os.close(1); os.close(2)", caller.shell, "RAW\n"),
}


@pytest.mark.parametrize("name", HARM)
def test_streams_stay_open_and_standard_output_clean_whatever_a_plugin_does_to_them(site, capfd, name):
    code, guard, heard = HARM[name]
    site(name, f"import ctypes, os, subprocess, sys\n{code}\n" + GOOD.format("mine"))
    with guard():
        assert "mine" in discovered(name)[0]
    sys.stdout.write("out\n")
    sys.stderr.write("err\n")
    assert capfd.readouterr() == ("out\n", f"{heard}err\n")


def test_objects_lists_and_generators_are_accepted(site):
    body = "class Plugin:\n    @hookimpl\n    def lossreg_losses(self):\n        return [spec('a'), spec('b')]\n"
    site("thing", HEAD + body + "plugin = Plugin()\n", value="thing_module:plugin")
    losses, reports = discovered("thing")
    assert reports["thing"].losses == ("a", "b")
    assert {"a", "b"} <= set(losses)


def test_a_loss_knows_its_plugin_distribution_and_version(site):
    site("prov", GOOD.format("mine"), version="3.1.4")
    entry = discovered("prov")[0]["mine"]
    assert (entry.plugin, entry.distribution, entry.version) == ("prov", "prov", "3.1.4")


def test_what_a_plugin_prints_stays_off_standard_output(site, capsys):
    site("chatty", "print('hello')\n" + GOOD.format("mine") + "    print('bye')\n")
    assert "mine" in discovered("chatty")[0]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "hello\nbye\n"


@pytest.mark.parametrize("claim", [spec("Huber".lower()), spec("mine", "HUBER"), spec("mine", "SmOoth"), spec("m_s_e")])
@pytest.mark.parametrize("first", [True, False])
def test_a_built_in_name_stays_built_in(claim, first):
    thief = source("thief", spec("innocent"), claim)
    entries, reports = collect([thief, BUILTIN] if first else [BUILTIN, thief])
    assert [entry.spec.name for entry in entries] == ["huber", "mse"]
    report = next(report for report in reports if report.name == "thief")
    assert report.error.endswith("which lossreg itself has")
    assert report.losses == ()
    assert "innocent" in report.withheld


def test_a_name_of_two_third_parties_is_neithers_and_both_are_named():
    one, two = source("one", spec("shared"), spec("a")), source("two", spec("b", "SHARED"))
    entries, reports = collect([BUILTIN, one, two, source("three", spec("c"))])
    assert [entry.spec.name for entry in entries] == ["huber", "mse", "c"]
    for report in reports[1:3]:
        assert "plugin one (dist-one 1.0) and plugin two (dist-two 1.0)" in report.error
    assert reports[3].error == ""


def test_a_plugin_refused_for_a_built_in_name_takes_no_other_name_with_it():
    thief = source("thief", spec("huber"), spec("shared"))
    entries, _ = collect([BUILTIN, thief, source("two", spec("shared"))])
    assert {entry.plugin for entry in entries if entry.spec.name == "shared"} == {"two"}


@pytest.mark.parametrize("block", ["one", "ONE", "dist-one", "Dist_One"])
def test_a_blocked_plugin_is_not_loaded(block):
    loaded = []
    one = Source("one", "dist-one", "1.0", lambda: loaded.append(1))
    _, reports = collect([BUILTIN, one], [block])
    assert loaded == []
    assert reports[1].error.startswith("blocked")
    assert reports[1].refusal == "plugin one (dist-one 1.0) is refused: blocked, by the study or by LOSSREG_BLOCK"
    assert reports[1].lines == ()


@pytest.mark.parametrize("allowed", [[], ["another"], ["builtin"]])
def test_a_plugin_that_is_not_allowed_is_not_loaded(allowed):
    one = Source("one", "dist-one", "1.0", lambda: pytest.fail("it was loaded"))
    entries, reports = collect([BUILTIN, one], allowed=allowed)
    assert {entry.plugin for entry in entries} == {"builtin"}
    assert reports[1].error == 'safe mode runs no plugin that is not allowed, as by allow_plugins=["one"]'
    # a line on every command would be of no use
    assert reports[1].lines == ()
    with caller.shell():
        assert collect([BUILTIN, one], allowed=allowed)[1][1].error.endswith("as by --allow-plugin one")


@pytest.mark.parametrize("allowed", ["one", "ONE", "dist-one", "Dist_One"])
def test_a_plugin_that_is_allowed_is_loaded_unless_it_is_blocked(allowed):
    sources = [BUILTIN, source("one", spec("a")), source("two", spec("b"))]
    entries, _ = collect(sources, allowed=[allowed])
    assert [entry.spec.name for entry in entries] == ["huber", "mse", "a"]
    entries, reports = collect(sources, ["one"], allowed=[allowed])
    assert [entry.spec.name for entry in entries] == ["huber", "mse"]
    assert reports[1].error.startswith("blocked")


def test_blocking_settles_a_collision():
    entries, reports = collect([BUILTIN, source("one", spec("shared")), source("two", spec("shared"))], ["dist-two"])
    assert [entry.plugin for entry in entries if entry.spec.name == "shared"] == ["one"]
    assert [report.error for report in reports[:2]] == ["", ""]


@pytest.mark.parametrize("block", ["builtin", "lossreg"])
def test_the_built_ins_cannot_be_blocked(block):
    with pytest.raises(InputError, match="cannot be blocked"):
        collect([BUILTIN], [block])


def test_a_slow_import_is_warned_of_by_name(site, tmp_path, monkeypatch):
    monkeypatch.setattr(discovery, "SLOW", ("heavy_backend", "other_backend"))
    (tmp_path / "heavy_backend.py").touch()
    site("slow", "import heavy_backend\n" + GOOD.format("slow_loss"))
    site("swift", GOOD.format("swift_loss"))
    losses, reports = discovered("slow", "swift")
    assert {"slow_loss", "swift_loss"} <= set(losses)
    assert reports["swift"].warnings == ()
    (warning,) = reports["slow"].warnings
    assert "imports heavy_backend," in warning
    assert reports["slow"].lines == (f"plugin slow (slow 1.0): {warning}",)


def test_the_built_ins_are_there_once_whatever_is_installed(monkeypatch):
    ours = [one for one in discovery.installed() if one.builtin]
    monkeypatch.setattr(discovery, "entry_points", lambda group: ())
    alone = discovery.installed()
    assert len(ours) == len(alone) == 1
    assert (alone[0].name, alone[0].distribution, alone[0].version) == ("builtin", "lossreg", __version__)
    entries, (report,) = collect(alone)
    assert report.error == ""
    assert entries


@pytest.mark.parametrize("name", ["builtin", "Built-In", "lossreg", "study"])
def test_a_plugin_under_a_name_of_lossreg_s_own_is_refused(name):
    entries, reports = collect([BUILTIN, source(name, spec("mine")), source("other", spec("theirs"))])
    assert [entry.spec.name for entry in entries] == ["huber", "mse", "theirs"]
    assert f"the name {name} stands for losses of lossreg itself; it must be renamed" in reports[1].refusal


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("where", ["import", "hook"])
def test_a_plugin_whose_import_does_not_end_is_named(monkeypatch, where, is_terminal):
    heard = threading.Event()
    written = []

    class Listens:
        def write(self, text):
            written.append(text)
            heard.set()

        def flush(self):
            pass

        def isatty(self):
            return is_terminal

    def blocks():
        assert heard.wait(60)

    def load():
        if where == "import":
            blocks()
        return SimpleNamespace(lossreg_losses=hookimpl(lambda: blocks() or iter([spec("late")])))

    monkeypatch.setattr(discovery, "PATIENCE", 0.01)
    monkeypatch.setattr(sys, "stderr", Listens())
    monkeypatch.setenv("TERM", "xterm")
    entries, _ = collect([Source("stuck", "dist-\x1b[2Jstuck", "1.2", load)])
    message = (
        r"Warning: plugin stuck (dist-\x1b[2Jstuck 1.2) is still being imported after 0.01 s; "
        "LOSSREG_BLOCK=stuck leaves it out"
    )
    # the line that stands there is taken back
    assert written == [f"\r\x1b[2K{message}\n" if is_terminal else f"{message}\n"]
    assert [entry.spec.name for entry in entries] == ["late"]
