"""Samplers of Optuna and OptunaHub, by the names that a study file has for them."""

from __future__ import annotations

import textwrap

import optuna
import pytest
from searches import loop, optuna_study

import lossreg
from lossreg.errors import InputError, LossregError
from lossreg.search import history, optuna_samplers
from lossreg.search.outline import plan

MINE = """
import optuna
__all__ = ["Mine"]
class Mine(optuna.samplers.RandomSampler):
    def __init__(self, {arguments}):
        super().__init__({given})
    def sample_independent(self, study, trial, name, distribution):
        {line}
        return super().sample_independent(study, trial, name, distribution)
"""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Write a package where OptunaHub keeps those that it has loaded."""
    pytest.importorskip("optunahub")
    monkeypatch.setenv("OPTUNAHUB_CACHE_HOME", str(tmp_path))

    def written(name, text):
        package = tmp_path / "github.com/optuna/optunahub-registry/main/package/samplers" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(textwrap.dedent(text))
        return f"hub:{name}"

    return written


def drawn(kind, trials=24):
    search = loop(optuna_study(kind=kind), trials)
    search.run()
    return [record.params for record in history.records(search.study)]


def test_a_sampler_of_the_hub_draws_what_comes_after_the_fair_start(hub):
    # with the same seeds it draws the same as its base, and other ones where it gets none
    seeded = hub("seeded", MINE.format(arguments="seed=None", given="seed", line="pass"))
    seedless = hub("seedless", MINE.format(arguments="", given="7", line="pass"))
    at_random = drawn("random")
    assert drawn(seeded) == at_random
    other = drawn(seedless)
    assert other[:12] == at_random[:12]
    assert all(one != of_random for one, of_random in zip(other[12:], at_random[12:], strict=True))


def test_a_sampler_of_the_hub_knows_the_trials_and_hears_how_each_ended(hub):
    kind = hub("hears", """
        import optuna
        __all__ = ["SIZE", "Hears"]
        SIZE = 3
        class Hears(optuna.samplers.RandomSampler):
            def before_trial(self, study, trial):
                self.known = sum(one.state.is_finished() for one in study.trials)
            def sample_independent(self, study, trial, name, distribution):
                if name == "learning_rate":
                    return distribution.high * (1 - 0.001 * self.known)
                return super().sample_independent(study, trial, name, distribution)
            def after_trial(self, study, trial, state, values):
                study.set_user_attr(f"heard {trial.number}", values[0])
    """)  # fmt: skip
    search = loop(optuna_study(kind=kind), 24)
    search.run()
    records = history.records(search.study)
    heard = [search.study.user_attrs[f"heard {record.number}"] for record in records]
    assert heard == [record.score for record in records]
    known = [round((1 - record.learning_rate / 0.01) / 0.001) for record in records[12:]]
    assert known == sorted(known)
    assert known[-1] > known[0] >= 0


def test_a_sampler_of_the_hub_is_made_and_begun_for_each_trial_and_each_parameter_that_is_drawn_alone(hub):
    kind = hub("begins", """
        import optuna
        __all__ = ["Begins"]
        class Begins(optuna.samplers.RandomSampler):
            begun = 0
            def before_trial(self, study, trial):
                self.begun += 1
                name = f"begun {trial.number}"
                study.set_user_attr(name, study.user_attrs.get(name, 0) + 1)
            def sample_independent(self, study, trial, name, distribution):
                assert self.begun == 1
                return super().sample_independent(study, trial, name, distribution)
    """)  # fmt: skip
    search = loop(optuna_study(kind=kind), 24)
    search.run()
    trials = search.study.get_trials(deepcopy=False)
    begun = [search.study.user_attrs.get(f"begun {trial.number}", 0) for trial in trials]
    assert begun[:12] == [0] * 12
    # without what is queued: the loss, where the baseline is due
    drawn = [trial.params.keys() - trial.system_attrs.get("fixed_params", {}) for trial in trials]
    assert begun[12:] == [1 + len(names) for names in drawn[12:]]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("broken", "import no_such_module", r"hub:broken cannot be loaded \(.*no_such_module.*network"),
        ("empty", "SIZE = 3", r"hub:empty has no sampler of Optuna in its __all__"),
        ("picky", MINE.format(arguments="space, seed=None", given="seed", line="pass"),
         r"hub:picky needs arguments.*Mine\(space, seed=None\).*Take another sampler"),
    ],
)  # fmt: skip
def test_what_a_package_of_the_hub_lacks_is_one_message(hub, name, text, words):
    with pytest.raises(InputError, match=rf"study\.toml: search\.sampler: {words}"):
        optuna_samplers.maker(hub(name, text), "study.toml: search.sampler")


def test_a_sampler_of_the_hub_that_is_not_here_and_cannot_be_fetched_is_one_message(hub, monkeypatch):
    import optunahub

    def load_module(package):
        raise ConnectionError(f"no route to {package}")

    monkeypatch.setattr(optunahub, "load_module", load_module)
    with pytest.raises(InputError, match=r"hub:far cannot be loaded \(ConnectionError: no route to samplers/far\)"):
        optuna_samplers.maker("hub:far")


def test_a_sampler_of_the_hub_that_fails_ends_the_study_with_one_message(hub):
    kind = hub("fails", MINE.format(arguments="seed=None", given="seed", line="raise ZeroDivisionError('no trials')"))
    with pytest.raises(LossregError, match=r"search\.sampler: hub:fails failed: ZeroDivisionError: no trials\. Take"):
        drawn(kind)


def study(sampler):
    return {
        "name": "sampled", "data": {"source": "nowhere.csv", "target": "y"}, "search": {"sampler": sampler},
        "tracking": {"enabled": False},
    }  # fmt: skip


@pytest.mark.parametrize("start", [lossreg.tune, plan])
@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        ("gp", 'gp needs torch, which is not installed. pip install "torch"'),
        ("cmaes", 'cmaes needs cmaes, which is not installed. pip install "lossreg[samplers]"'),
        ("hub:auto", 'hub:auto needs optunahub, which is not installed. pip install "lossreg[samplers]"'),
    ],
)  # fmt: skip
def test_what_is_not_installed_is_said_before_anything_is_loaded(tmp_path, monkeypatch, start, sampler, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optuna_samplers, "find_spec", lambda module: None)
    with pytest.raises(InputError) as refused:
        start(study(sampler))
    assert str(refused.value) == f"search.sampler: {words}"


def test_safe_mode_runs_no_sampler_of_the_hub(monkeypatch):
    monkeypatch.setattr(optuna_samplers, "find_spec", lambda module: True)
    with lossreg.safe_mode(), pytest.raises(InputError, match="hub:x is code from OptunaHub, which safe mode does not"):
        optuna_samplers.maker("hub:x")


def test_the_samplers_that_optuna_has_are_those_that_are_passed_through():
    assert isinstance(optuna_samplers.maker("random")(seed=1), optuna.samplers.RandomSampler)
    assert isinstance(optuna_samplers.maker("tpe")(seed=1), optuna.samplers.TPESampler)
