"""Small searches over fake losses, trained by the fake trainer: no Keras."""

from __future__ import annotations

import math
from types import SimpleNamespace

import optuna
from fake_trainer import Fake

from lossreg import Float, LossSpec, PerClass
from lossreg.config.candidates import Candidate
from lossreg.config.search_space import PerClassRange, Range
from lossreg.contract.targets import Constants
from lossreg.registry.discovery import Entry
from lossreg.search import history
from lossreg.search.policy import SearchPolicy
from lossreg.search.proposer import Proposer
from lossreg.search.sampler import SeededSampler, enqueue_start
from lossreg.search.scheduler import Scheduler
from lossreg.search.unfinished import end_recorded
from lossreg.storage.observer import Observer
from lossreg.storage.study_result import StudyResult
from lossreg.training.pool import Pool

ACCURACY = SimpleNamespace(name="accuracy", direction="maximize", worst=0.0)
LOSS = SimpleNamespace(name="neg_mse", direction="minimize", worst=None)
EPOCHS = 6


def spec(name, *params):
    return LossSpec(
        name=name, function=lambda y, z, **_: z, tasks=("multiclass",), summary="s", reference="r", params=params
    )


def candidate(loss, space, baseline=False):
    return Candidate(loss.name, loss, Entry(loss, "test", "test-losses", "1.0"), space, baseline)


def proposer(epochs=EPOCHS, seed=0):
    focal = spec("focal", Float("gamma", 2.0, 0.0, 5.0, domain="[0, inf)"), PerClass("alpha"))
    mixed = spec("mixed", Float("eps", 0.1, 0.0, 0.3))
    candidates = [
        candidate(spec("cross_entropy"), {}, baseline=True),
        candidate(focal, {"gamma": Range(0.0, 5.0), "alpha": PerClassRange(0.1, 10.0, True)}),
        candidate(mixed, {"eps": Range(0.0, 0.3)}),
    ]
    constants = Constants(3, (60.0, 30.0, 10.0), (0.6, 0.3, 0.1))
    return Proposer(
        {c.name: c for c in candidates}, Range(1e-4, 1e-2, log=True), constants, ("a", "b", "c"), epochs, seed
    )


def curve(plan, epoch):
    """Better with more epochs, with a learning rate near 0.003, and with focal."""
    rate = -abs(math.log10(plan.learning_rate) - math.log10(0.003))
    return 0.5 + 0.01 * epoch + 0.1 * rate + {"focal": 0.05 - 0.01 * plan.params.get("gamma", 0)}.get(plan.candidate, 0)


class Heard(Observer):
    """Remembers what it is told."""

    def __init__(self):
        self.records, self.weights, self.epochs, self.warnings = [], {}, 0, []

    def checkpoint(self, record, weights):
        self.weights[record.number] = weights

    def trial(self, record, result):
        self.records.append(record)

    def epoch(self, active, epochs_done):
        self.epochs += 1

    def warn(self, text):
        self.warnings.append(text)


class Stops(Observer):
    """Asks to stop after so many trials."""

    def __init__(self, trials):
        self.left = trials

    def trial(self, record, result):
        self.left -= 1

    def stopping(self):
        return self.left <= 0


def optuna_study(storage=None, metric=ACCURACY, seed=0, kind="tpe", pruner=None):
    return optuna.create_study(
        study_name="s", storage=storage, direction=metric.direction, load_if_exists=True,
        sampler=SeededSampler(seed, kind), pruner=pruner or optuna.pruners.NopPruner(),
    )  # fmt: skip


def begun(study, proposals=None, trials=24):
    """Queue what a run queues before it starts."""
    proposals = proposals or proposer()
    end_recorded(study)
    enqueue_start(study, {name: proposals.published(name)[0] for name in proposals.names}, trials)
    return study


def scheduler(study, trials, pool, *, metric=ACCURACY, proposals=None, baseline="cross_entropy", **policy):
    """A scheduler that is about to run, and as `heard` what it tells."""
    proposals, heard = proposals or proposer(), Heard()
    begun(study, proposals, trials)
    policy = SearchPolicy(trials, metric, baseline, **policy)
    losses = {name: candidate.spec.name for name, candidate in proposals.candidates.items()}
    result = StudyResult("s", metric.name, metric.direction, "multiclass", losses, baseline, history.records(study))
    search = Scheduler(study, proposals, pool, policy, result=result, observers=[heard])
    search.heard = heard
    return search


def loop(study, trials=24, trainer=None, **options):
    """A scheduler with one trainer."""
    return scheduler(study, trials, Pool([trainer or Fake(curve)]), **options)
