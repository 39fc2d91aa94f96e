"""The interface of every trainer: plans of a problem in, a report per plan and epoch out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lossreg.models.hyperparameters import given
from lossreg.storage.trial_record import Weights

if TYPE_CHECKING:
    from lossreg.config.optimization import Schedule
    from lossreg.contract.spec import LossSpec
    from lossreg.data import Dataset
    from lossreg.metrics.catalogue import Metric
    from lossreg.models.builder import Builder
    from lossreg.training.own_callbacks import Maker

FEW_SAMPLES = 2**15


@dataclass(frozen=True, slots=True)
class Architecture:
    """Batch size and model hyperparameters; plans of one architecture can be lanes of one population.

    batch_size: samples per step; model: the hyperparameters of the model that a study searches, sorted by name.
    """

    batch_size: int
    model: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One training of a trial, or one of its several trainings where a trial has folds or seeds.

    candidate: name of the loss in the study; params: all its keyword arguments, checked; seed: of initial weights
    and batch order, so that equal seeds are common random numbers; optimizer_settings: those that a study searches;
    fold: position in `Problem.folds`; architecture: None where the study searches none.
    """

    candidate: str
    params: Mapping[str, Any]
    learning_rate: float
    epochs: int
    seed: int = 0
    optimizer_settings: Mapping[str, float] = field(default_factory=dict)
    fold: int = 0
    architecture: Architecture | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Data, model, metric, losses and optimizer that all plans of a study share.

    losses: by candidate; optimizer: name of a Keras optimizer; optimizer_settings: its arguments but for the learning
    rate; schedule: of the learning rate; searched: the settings that differ between plans, with the choices of one
    that changes the graph and `()` for a number; sliced: whether the optimizer is given the gradients of embeddings
    in slices, as Keras does on TensorFlow; decision: `tuned` where each score is computed with its decision tuned;
    callbacks: those of the user's own, for which plans are trained with `model.fit`; also: further metrics, which are
    computed beside the first.
    """

    dataset: Dataset
    builder: Builder
    metric: Metric
    losses: Mapping[str, LossSpec]
    optimizer: str = "adam"
    optimizer_settings: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 32
    schedule: Schedule | None = None
    searched: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    sliced: bool = False
    decision: str = "default"
    callbacks: Maker | None = field(default=None, compare=False)
    also: tuple[Metric, ...] = ()
    # of lanes that share a loss and its static parameters, traced once
    groups: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    # training and validation samples on the device, once for all populations
    samples: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    # by number of raw scores and architecture: a model is built to estimate them
    lane_bytes: dict[Any, int] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def folds(self) -> tuple[Dataset, ...]:
        """The data that plans train on, by `Plan.fold`."""
        return self.dataset.folds

    def outputs(self, candidate: str) -> int:
        """Return the number of raw scores per sample that the loss needs."""
        return self.losses[candidate].width(self.dataset.n_classes)

    def architecture(self, plan: Plan) -> Architecture:
        """Return the plan's architecture, by default the study's."""
        return plan.architecture or Architecture(self.batch_size)

    def build(self, outputs: int, seed: int, architecture: Architecture | None = None) -> Any:
        """Return a fresh model of `outputs` raw scores; equal seeds give equal weights."""
        data, values = self.dataset, dict(architecture.model) if architecture else {}
        more = {"answer": given(values)} if values else {}
        return self.builder.build(data.input_shape, outputs, data.n_classes, seed, **more)


@dataclass(frozen=True, slots=True)
class EpochReport:
    """The losses and scores of a plan after an epoch (counted from 1).

    train_loss: the mean over the epoch's batches while they were trained on; train_score: the metric of the
    predictions made then; both as `model.fit` reports them. val_loss, val_score: after the epoch. NaN where something
    became non-finite. predicts_only: the class that is predicted for every validation sample, -1 where there are
    several. stopped: a callback ended the training here. Where decisions are tuned val_score is of the tuned one,
    default_score is without it, and decision has the numbers that are fitted on all validation samples. also: the
    problem's further metrics, by name.
    """

    epoch: int
    train_loss: float
    val_loss: float
    train_score: float
    val_score: float
    predicts_only: int = -1
    stopped: bool = field(default=False, kw_only=True)
    default_score: float | None = None
    decision: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, float] = field(default_factory=dict)

    @property
    def diverged(self) -> bool:
        """Return whether training became non-finite; an infinite score alone may be the metric's."""
        return bool(np.isnan(self.val_score) or not np.isfinite([self.train_loss, self.val_loss]).all())


class Trainer(Protocol):
    """Trains plans in slots `0 .. slots - 1`, one epoch of all open slots at a time."""

    name: str
    slots: int

    def refuses(self, candidate: str) -> str:
        """Return why this trainer cannot train that candidate; empty when it can."""
        ...

    def prepare(self) -> None:
        """Build what the first epoch needs, so that it takes no longer than the others."""
        ...

    def open(self, slot: int, plan: Plan) -> None:
        """Put a plan into a free slot."""
        ...

    def advance(self) -> dict[int, EpochReport]:
        """Train every open slot for one epoch; reports by slot, in slot order."""
        ...

    def weights(self, slot: int) -> Weights:
        """The weights of an open slot, in the order of `model.weights`."""
        ...

    def close(self, slot: int) -> None:
        """Free a slot; one that is not open, since its `open` raised, stays as it is."""
        ...

    def shutdown(self) -> None:
        """End threads and the like; nothing is called afterwards."""
        ...


def batch_order(seed: int, epoch: int, samples: int) -> np.ndarray:
    """The order in which `samples` training samples are visited in an epoch (from 0); read-only int32."""
    return (_few if samples <= FEW_SAMPLES else _many)(seed, epoch, samples)


def _order(seed: int, epoch: int, samples: int) -> np.ndarray:
    order = np.random.default_rng([seed, epoch]).permutation(samples).astype(np.int32)
    order.setflags(write=False)
    return order


# 64 MB of orders of few samples; those of many cost little beside an epoch of so many
_few, _many = lru_cache(512)(_order), lru_cache(8)(_order)
