"""A trial of a study as KerasTuner's hyperparameters: those of the model, and the loss with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from lossreg.config.search_space import Options, Range
from lossreg.search import choices, restore, suggestions
from lossreg.search.architectures import BATCH_SIZE

if TYPE_CHECKING:
    import keras_tuner

    from lossreg.models.hyperparameters import Declared
    from lossreg.search.preparation import Prepared
    from lossreg.storage.trial_record import TrialRecord


def of(prepared: Prepared, record: TrialRecord, space: keras_tuner.HyperParameters) -> Any:
    """Return the hyperparameters of a trial: with them the user's function gives its model, at its learning rate.

    space: those that are known, to which this trial's are added. Losses and their parameters have the names that they
    have in studies, after `lossreg.` where the model has a hyperparameter of that name that means another thing.
    """
    asked = choices.asked(replace(prepared.proposer, architectures=None))
    by_loss = {loss: {**distributions, **_batch(prepared)} for loss, distributions in asked.items()}
    every, study = choices.by_name(by_loss), {choices.LOSS: record.candidate, **record.params}
    same = _same(prepared, record, every)
    hp = _built(prepared, record, {name: study[name] for name in same if name in study})
    model_names = {*prepared.problem.builder.declared, *(declared.name for declared in hp.space)} - same
    names = {name: f"lossreg.{name}" if name in model_names else name for name in every}
    loss = names[choices.LOSS]
    space.values = {**hp.values, loss: record.candidate}
    space.merge(hp, overwrite=False)
    space.Choice(loss, list(by_loss))
    for candidate, distributions in by_loss.items():
        with space.conditional_scope(loss, [candidate]):
            _declare(space, {names[name]: d for name, d in distributions.items() if name.startswith(f"{candidate}.")})
    _declare(space, {names[name]: d for name, d in by_loss[record.candidate].items() if not _is_of_loss(name, by_loss)})
    space.values |= {names[name]: value for name, value in record.params.items() if name in names}
    return space


def _batch(prepared: Prepared) -> dict[str, BaseDistribution]:
    """Return the distribution of the batch size, where it is searched."""
    architectures = prepared.proposer.architectures
    if architectures is None or not isinstance(architectures.batch_size, Options):
        return {}
    return {BATCH_SIZE: CategoricalDistribution(architectures.batch_size.choices)}


def _same(prepared: Prepared, record: TrialRecord, every: Mapping[str, BaseDistribution]) -> set[str]:
    """Return the study's parameters that the model has too: they feed only compile(), and take the study's values."""
    architectures = prepared.proposer.architectures
    explored = architectures.explored(prepared.problem.outputs(record.candidate)) if architectures else []
    return {
        one.name
        for one, _ in explored
        if architectures and one.key in architectures.left_out and one.name in every and _holds(one, every[one.name])
    }


def _holds(declared: Declared, distribution: BaseDistribution) -> bool:
    """Return whether all values of a distribution are values of a hyperparameter."""
    space = declared.search_space
    if isinstance(distribution, CategoricalDistribution):
        return isinstance(space, Options) and set(distribution.choices) <= set(space.choices)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return isinstance(space, Range) and space.low <= distribution.low <= distribution.high <= space.high


def _built(prepared: Prepared, record: TrialRecord, study: Mapping[str, Any]) -> Any:
    """Return the `hp` with which the model of a trial is built; study: values of those that feed only compile()."""
    problem, plan, architectures = prepared.problem, restore.plan_of(prepared, record), prepared.proposer.architectures
    searched = dict(plan.architecture.model) if plan.architecture else {}
    if architectures:
        searched |= {architectures.rate_of: record.learning_rate}
    compiled = architectures.compiled_with if architectures else {}

    def answer(declared: Declared) -> Any:
        first = {declared.key: study[declared.name]} if declared.name in study else compiled
        return {**first, **searched}.get(declared.key, declared.default)

    data = problem.dataset
    return problem.builder.hyperparameters(data.input_shape, problem.outputs(plan.candidate), data.n_classes, 0, answer)


def _is_of_loss(name: str, losses: Mapping[str, Any]) -> bool:
    return name == choices.LOSS or any(name.startswith(f"{loss}.") for loss in losses)


def _declare(space: Any, distributions: Mapping[str, BaseDistribution]) -> None:
    """Add parameters of these distributions that are not known yet."""
    for name, distribution in distributions.items():
        if any(known.name == name for known in space.space):
            continue
        if isinstance(distribution, CategoricalDistribution):
            space.Choice(name, suggestions.options(distribution.choices))
        elif isinstance(distribution, (FloatDistribution, IntDistribution)):
            kind = space.Int if isinstance(distribution, IntDistribution) else space.Float
            spacing = suggestions.spacing(log=distribution.log, step=distribution.step)
            kind(name, distribution.low, distribution.high, **spacing)
