"""Preparation of a study: its data, metric, losses and model are resolved and tried before any training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lossreg.config import study as studies
from lossreg.config.candidates import Candidate
from lossreg.config.study import StudySpec
from lossreg.inspection import warnings
from lossreg.metrics import catalogue, functions
from lossreg.metrics.catalogue import Metric
from lossreg.registry import registry
from lossreg.registry.registry import Registry
from lossreg.runtime.user_code import is_function
from lossreg.search import rehearsal, resumption
from lossreg.search.proposer import Proposer
from lossreg.search.resumption import Changes
from lossreg.search.study_data import load_data, untested, unused_shares
from lossreg.search.study_losses import choose_losses
from lossreg.search.study_metrics import choose_metric, measured_beside
from lossreg.search.study_problem import build_problem, choose_model
from lossreg.storage.constraints import Constraint
from lossreg.training.interface import Problem


@dataclass(frozen=True)
class Prepared:
    """A study with everything resolved that training needs; nothing has been written.

    published: by candidate, its loss as published, as Optuna parameters, and notes; notes: lines for the user;
    missing: by candidate, where the losses came from that the study was begun with and goes on without; unmapped: by
    candidate, why its loss cannot be mapped over lanes, as far as losses were tried; begun: a resumed study, and how it
    changed; earlier: the number of its first trial since its last change.
    """

    spec: StudySpec
    problem: Problem
    candidates: Mapping[str, Candidate]
    proposer: Proposer
    published: Mapping[str, tuple[Mapping[str, Any], list[str]]]
    notes: list[str] = field(default_factory=list)
    missing: Mapping[str, str] = field(default_factory=dict)
    unmapped: Mapping[str, str] = field(default_factory=dict)
    begun: Changes | None = None
    earlier: int = 0

    @property
    def spaces(self) -> dict[str, dict[str, str]]:
        """The search space of every loss in words, by candidate and parameter."""
        return {
            name: {parameter: space.describe() for parameter, space in c.search_space.items()}
            for name, c in self.candidates.items()
        }

    @property
    def architecture_spaces(self) -> dict[str, str]:
        """The search space of batch size and model in words, by the names that users see."""
        architectures, first = self.proposer.architectures, next(iter(self.problem.losses))
        return architectures.described(self.problem.outputs(first)) if architectures else {}

    @property
    def start(self) -> dict[str, Mapping[str, Any] | None]:
        """The parameters of every candidate's first trial, as published; None of a missing loss."""
        published = {candidate: params for candidate, (params, _) in self.published.items()}
        return {candidate: published.get(candidate) for candidate in self.proposer.every or tuple(self.candidates)}

    @property
    def metric(self) -> Metric:
        """The metric that is optimised."""
        return self.problem.metric

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The values of further metrics that trials must keep."""
        bounds, also = self.spec.search.constraints, self.problem.also  # of which those of constraints come first
        pairs = zip(bounds.values(), also[: len(bounds)], strict=True)
        return tuple(Constraint(metric.name, float(bound), metric.direction) for bound, metric in pairs)

    @property
    def objectives(self) -> tuple[Metric, ...]:
        """The metrics that are optimised together, the first of them `metric`."""
        task, also = self.problem.dataset.task, {metric.name: metric for metric in self.problem.also}
        further = [catalogue.resolve(name, task).name for name in self.spec.search.metrics[1:]]
        return (self.metric, *map(also.__getitem__, further))

    @property
    def metric_code(self) -> str:
        """A mark of the code of a metric of the user's own, empty for others."""
        metric = self.spec.search.metric
        return functions.code(metric, self.spec.base) if is_function(metric) else ""

    @property
    def callbacks_code(self) -> str:
        """A mark of the code of the user's own callbacks, empty where there are none."""
        given = self.spec.train.callbacks
        return functions.code(given, self.spec.base) if given is not None else ""

    @property
    def baseline(self) -> str:
        """The candidate that the others are compared with."""
        return next(name for name, candidate in self.candidates.items() if candidate.baseline)

    @property
    def provenance(self) -> dict[str, tuple[str, str]]:
        """Distribution and version of every loss, by candidate."""
        return {name: (c.entry.distribution, c.entry.version) for name, c in self.candidates.items()}

    @property
    def trials(self) -> int:
        """The number of trials: where nothing is searched, one per loss."""
        return self.spec.search.trials if self.is_searched else len(self.candidates)

    @property
    def is_searched(self) -> bool:
        """Return whether any parameter is free besides the choice of loss."""
        return any(params for params, _ in self.published.values())


def _installed(spec: StudySpec, stored: Mapping[str, Any], wanted: str) -> tuple[Registry, dict[str, str]]:
    """Return the losses that are installed, and where those came from that no longer are; `wanted` as in `prepare`."""
    installed = registry.default(tuple(spec.plugins.block))
    missing = resumption.missing(spec, installed, stored)
    resumption.require_installed(spec, {name: missing[name] for name in missing if wanted in ("", name)})
    return installed, missing


def prepare(spec: StudySpec, begun: Changes | None = None, *, rehearsed: bool = True, wanted: str = "") -> Prepared:
    """Resolve a study; raises `InputError` for whatever is wrong with it.

    begun: what the storage holds of a study that is resumed, and how it changed; a default set of losses is then
    limited to the candidates it began with. Raises `KeptApartError` for a change that is allowed and scores cannot be
    compared across. Where nothing is to be trained, the losses need not be `rehearsed`, and only the loss of the
    candidate `wanted` has to be installed.
    """
    studies.require_trusted(spec)
    begun = begun or Changes(spec, {})
    stored = begun.stored
    installed, missing = _installed(spec, stored, wanted)
    dataset, data_notes = load_data(spec, stored)
    if rehearsed and not stored:  # a document that was kept names defaults too
        data_notes = [*data_notes, *unused_shares(spec, dataset.rows.layout)]
    data_notes = [*data_notes, *untested(spec)]
    spec, model_notes = choose_model(spec, dataset, stored)
    metric, metric_notes = choose_metric(spec, dataset)
    also = measured_beside(spec, dataset, metric)
    candidates, loss_notes = choose_losses(spec, installed, dataset, metric, also, stored=stored, missing=missing)
    (problem, proposer), problem_notes = build_problem(
        spec, dataset, metric, candidates, stored, is_missing=bool(missing), also=also
    )
    notes = [*installed.notes, *data_notes, *model_notes, *metric_notes, *loss_notes, *problem_notes]
    published = {name: proposer.published(name) for name in candidates}
    prepared = Prepared(spec, problem, candidates, proposer, published, notes, missing, begun=begun)
    prepared = replace(
        prepared,
        begun=begun.of_prepared(prepared, scores=rehearsed),
        missing={**resumption.left_out(prepared), **missing},
    )
    if not rehearsed:
        return prepared
    unmapped, rehearsal_notes = rehearsal.rehearse(prepared)
    notes += [*rehearsal_notes, *warnings.of(dataset, metric)]
    notes += warnings.of_verdict(dataset, metric, spec.verdict.outer) if spec.verdict.enabled else []
    return replace(prepared, unmapped=unmapped, notes=notes)
