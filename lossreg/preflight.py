"""Whatever can fail, fails here, before minutes are spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossreg import data, metrics, models, registry
from lossreg import study as studies
from lossreg.errors import InputError
from lossreg.metrics import Metric
from lossreg.proposal import Proposer
from lossreg.study import Candidate, StudySpec
from lossreg.trainers import scoring
from lossreg.trainers.arguments import loss_arguments, static_arguments
from lossreg.trainers.base import Plan, Problem


@dataclass(frozen=True)
class Prepared:
    """A study with everything resolved that training needs; nothing has been written."""

    spec: StudySpec
    problem: Problem
    candidates: dict[str, Candidate]
    proposer: Proposer
    notes: list[str] = field(default_factory=list)

    @property
    def metric(self) -> Metric:
        """What is optimised."""
        return self.problem.metric

    @property
    def baseline(self) -> str:
        """The label that the others are compared with."""
        return next(label for label, candidate in self.candidates.items() if candidate.baseline)

    @property
    def provenance(self) -> dict[str, tuple[str, str]]:
        """Distribution and version of every loss, by label."""
        return {label: (c.entry.distribution, c.entry.version) for label, c in self.candidates.items()}

    @property
    def trials(self) -> int:
        """The budget: where nothing is searched, each loss once."""
        return self.spec.search.trials if self.is_searched else len(self.candidates)

    @property
    def is_searched(self) -> bool:
        """Whether any parameter is free besides the choice of loss."""
        return any(next(iter(self.proposer.published(label)[0]), "") for label in self.candidates)


def prepare(spec: StudySpec, frozen: Iterable[str] = ()) -> Prepared:
    """Resolve a study; raises `InputError` for whatever is wrong with it.

    frozen are the labels of a study that is resumed: a default set of losses is held to them.
    """
    reg = registry.default(tuple(spec.plugins.block))
    dataset = _load_data(spec)
    metric = _located(
        spec, "search.metric", metrics.resolve, spec.search.metric or metrics.default(dataset.task), dataset.task
    )
    _located(spec, "search.metric", metric.check, dataset.validation.y, dataset.n_classes)
    candidates = studies.candidates(spec, reg, dataset.task, dataset.n_classes)
    frozen = list(frozen)
    if frozen and not spec.losses:
        candidates = [candidate for candidate in candidates if candidate.label in frozen]
    fit, notes = _suitable(spec, candidates, metric, dataset)
    problem = _problem(spec, dataset, metric, fit)
    proposer = Proposer(
        fit, spec.train.learning_rate, dataset.constants, dataset.slugs, spec.train.epochs, spec.search.seed
    )
    prepared = Prepared(spec, problem, fit, proposer, [*dataset.notes, *problem.builder.notes, *notes])
    _try_losses(prepared)
    return prepared


def _located(spec: StudySpec, key: str, work: Any, *args: Any, **kwargs: Any) -> Any:
    """Call `work`, and say of a mistake where in the study file it stands."""
    try:
        return work(*args, **kwargs)
    except InputError as error:
        raise error if error.where.startswith(spec.origin) and spec.origin else error.at(spec.place(key)) from error


def _load_data(spec: StudySpec) -> data.Dataset:
    section = spec.data
    return _located(  # type: ignore[no-any-return]
        spec, "data", data.load, section.source, target=section.target, task=section.task, test=section.test,
        validation=section.validation, drop=section.drop, base=spec.base, seed=spec.search.seed,
    )  # fmt: skip


def _suitable(
    spec: StudySpec, candidates: Iterable[Candidate], metric: Metric, dataset: data.Dataset
) -> tuple[dict[str, Candidate], list[str]]:
    """The losses that the metric can score and the labels allow.

    One that the study names and that does not fit is an error; one of a default set is left out.
    """
    fit, notes = {}, []
    for candidate in candidates:
        try:
            _check_fit(candidate, metric, dataset)
        except InputError as error:
            if spec.losses and not candidate.baseline:
                raise error.at(spec.place(f"losses.{candidate.label}")) from error
            notes.append(f"{candidate.label} is left out: {error}")
            continue
        fit[candidate.label] = candidate
    return fit, notes


def _check_fit(candidate: Candidate, metric: Metric, dataset: data.Dataset) -> None:
    if reason := scoring.refusal(metric, candidate.spec):
        raise InputError(reason, hint="Choose another metric or leave this loss out.")
    for split in (dataset.train, dataset.validation):
        candidate.spec.check_labels(split.y)


def _problem(spec: StudySpec, dataset: data.Dataset, metric: Metric, candidates: dict[str, Candidate]) -> Problem:
    from lossreg.trainers import backend, optimizers

    backend.start()

    section, train = spec.model, spec.train
    options = {"hidden": section.hidden, "activation": section.activation, "dropout": section.dropout,
               "batch_norm": section.batch_norm} if section.build == "mlp" else {}  # fmt: skip
    builder = _located(spec, "model.build", models.resolve, section.build, base=spec.base, **options)
    losses = {label: candidate.spec for label, candidate in candidates.items()}
    settings = dict(train.optimizer.settings)
    problem = Problem(dataset, builder, metric, losses, train.optimizer.name, settings, train.batch_size)
    _located(spec, "train.optimizer", optimizers.build, problem.optimizer, 1e-3, settings)
    for width in {problem.outputs(label) for label in losses}:
        _located(spec, "model.build", builder.build, dataset.input_shape, width, dataset.n_classes, spec.search.seed)
    return problem


def _try_losses(prepared: Prepared) -> None:
    """One batch of random scores through every loss, with every combination of static parameters."""
    for plan in prepared.proposer.variants():
        spec = prepared.problem.losses[plan.label]
        try:
            _try_loss(prepared.problem, plan)
        except InputError as error:
            raise error.at(prepared.spec.place(f"losses.{plan.label}")) from error
        except Exception as error:
            entry = prepared.candidates[plan.label].entry
            raise InputError(
                f"the loss {spec.name} ({entry.distribution or entry.plugin}) fails on a batch: "
                f"{type(error).__name__}: {_first_line(error)}",
                where=prepared.spec.place(f"losses.{plan.label}"),
            ) from error


def _try_loss(problem: Problem, plan: Plan) -> None:
    from keras import ops

    spec, dataset = problem.losses[plan.label], problem.dataset
    y = spec.encode(dataset.train.y[:32], dataset.constants)
    width = spec.width(dataset.n_classes)
    scores = np.random.default_rng(0).normal(size=(len(y), width)).astype(np.float32)
    traced = loss_arguments(spec, plan.params, dataset.constants)
    traced |= {"progress": np.array(0.5, np.float32)} if "progress" in spec.needs else {}
    arguments = {name: ops.convert_to_tensor(value) for name, value in traced.items()}
    arguments |= static_arguments(spec, plan.params, dataset.n_classes)
    values = spec.values(ops.convert_to_tensor(y), ops.convert_to_tensor(scores), dataset.n_classes, arguments)
    values = ops.convert_to_numpy(values)
    if values.shape != (len(y),):
        raise InputError(f"returns shape {values.shape} for {len(y)} samples", hint="One value a sample is needed.")
    if not np.isfinite(values).all():
        raise InputError("is not finite on ordinary scores")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")
