"""Whatever can fail, fails here, before minutes are spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lossreg import data
from lossreg.config import optimization as settings
from lossreg.config import study as studies
from lossreg.config.search_space import Fixed, Space, nearest
from lossreg.config.study import Candidate, StudySpec
from lossreg.contract import activations
from lossreg.data import tokens
from lossreg.errors import InputError, UnknownError, contained, did_you_mean, gist
from lossreg.metrics import catalogue
from lossreg.metrics.catalogue import Metric
from lossreg.models import builder as models
from lossreg.models.hyperparameters import Answer
from lossreg.registry import registry
from lossreg.search.architectures import USUAL_BATCH, Shapes
from lossreg.search.proposer import Proposer
from lossreg.terminal.caller import words
from lossreg.training import memory, scoring
from lossreg.training.interface import Problem

# numbers of an embedding from which lanes may be slower than `model.fit`: between 80,000 and 3,200,000 as measured
LARGE = 1_000_000


@dataclass(frozen=True)
class Prepared:
    """A study with everything resolved that training needs; nothing has been written.

    unmapped says, by candidate, why a loss cannot be mapped over lanes; missing, where the losses come from that a
    study was begun with and goes on without.
    """

    spec: StudySpec
    problem: Problem
    candidates: dict[str, Candidate]
    proposer: Proposer
    notes: list[str] = field(default_factory=list)
    unmapped: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def spaces(self) -> dict[str, dict[str, str]]:
        """What is searched, by candidate and parameter, in words."""
        return {
            candidate: {name: space.describe() for name, space in c.space.items()}
            for candidate, c in self.candidates.items()
        }

    @property
    def shape_spaces(self) -> dict[str, str]:
        """What is searched of batch size and model, by the names that users see, in words."""
        shapes, first = self.proposer.shapes, next(iter(self.problem.losses))
        return shapes.described(self.problem.outputs(first)) if shapes else {}

    @cached_property
    def lane_bytes(self) -> int:
        """Memory that a lane takes, about, of the largest model that was tried."""
        shapes, problem = self.proposer.shapes, self.problem
        widths = {problem.outputs(candidate) for candidate in problem.losses}
        return max(memory.lane(problem, width, shapes.largest(width) if shapes else None) for width in widths)

    @property
    def metric(self) -> Metric:
        """What is optimised."""
        return self.problem.metric

    @property
    def baseline(self) -> str:
        """The candidate that the others are compared with."""
        return next(name for name, candidate in self.candidates.items() if candidate.baseline)

    @property
    def provenance(self) -> dict[str, tuple[str, str]]:
        """Distribution and version of every loss, by candidate."""
        return {candidate: (c.entry.distribution, c.entry.version) for candidate, c in self.candidates.items()}

    @property
    def trials(self) -> int:
        """The budget: where nothing is searched, each loss once."""
        return self.spec.search.trials if self.is_searched else len(self.candidates)

    @property
    def is_searched(self) -> bool:
        """Whether any parameter is free besides the choice of loss."""
        return any(next(iter(self.proposer.published(candidate)[0]), "") for candidate in self.candidates)


def prepare(
    spec: StudySpec, kept: Mapping[str, Any] | None = None, *, rehearsed: bool = True, wanted: str = ""
) -> Prepared:
    """Resolve a study; raises `InputError` for whatever is wrong with it.

    kept is what the storage holds of a study that is resumed: a default set of losses is held to
    its candidates, and data and search ranges must be what they were. Where nothing is to be trained, the
    losses need not be `rehearsed`, and only the loss with the candidate `wanted` has to be installed.
    """
    kept = kept or {}
    reg = registry.default(tuple(spec.plugins.block))
    missing = _missing(reg, kept)
    _insist_installed(spec, {wanted: missing[wanted]} if wanted in missing else {} if wanted else missing)
    dataset = _load_data(spec)
    metric = _located(
        spec, "search.metric", catalogue.resolve, spec.search.metric or catalogue.default(dataset.task), dataset.task
    )
    for fold in dataset.folds or (dataset,):
        seen = fold.validation.y.ravel() if dataset.space else fold.validation.y
        _located(spec, "search.metric", metric.check, seen, dataset.n_classes)
    candidates = studies.candidates(spec, reg, dataset.task, dataset.n_classes, missing)
    if kept and not spec.losses:
        candidates = [candidate for candidate in candidates if candidate.name in kept["losses"]]
    fit, notes = _suitable(spec, candidates, metric, dataset)
    problem = _problem(spec, dataset, metric, fit)
    shapes, embedded = _shapes(spec, problem)
    proposer = Proposer(
        fit, spec.train.learning_rate, dataset.constants, dataset.slugs, spec.train.epochs, spec.search.seed,
        spec.train.optimizer.name, spec.train.optimizer.searched, shapes,
        every=tuple(kept["losses"]) if missing else (), weights=dataset.weights,
    )  # fmt: skip
    width = problem.outputs(next(iter(fit)))
    notes = [*reg.notes, *dataset.notes, *problem.builder.notes, *notes, *_order(fit, dataset), *shapes.notes(width)]
    notes += [*_embedded(spec, embedded), *_large(spec, embedded)]
    notes += [f"{name} is left out: it came from {origin}" for name, origin in missing.items()]
    prepared = Prepared(spec, problem, fit, proposer, notes, missing=missing)
    _check_resumed(prepared, kept)
    if rehearsed:
        prepared.unmapped.update(_rehearsed(prepared))
    return prepared


def _missing(reg: registry.Registry, kept: Mapping[str, Any]) -> dict[str, str]:
    """Labels that a study was begun with and whose loss nothing offers now, and where each came from, in words."""
    found = {}
    for candidate, name in kept.get("losses", {}).items():
        distribution, version = kept["provenance"].get(candidate) or ("", "")
        if distribution and reg.look_up(name) is None:
            found[candidate] = f"{distribution} {version}, {_now(reg, distribution)}"
    return found


def _now(reg: registry.Registry, distribution: str) -> str:
    """What has become of a distribution that offered a loss."""
    reports = [report for report in reg.plugins if report.distribution == distribution]
    refused = next((report.error for report in reports if report.error), "")
    if refused:
        return f"which is refused: {refused}"
    return f"which is installed as {reports[0].version} and lacks it" if reports else "which is not installed"


def _insist_installed(spec: StudySpec, missing: Mapping[str, str]) -> None:
    """Raise `InputError` for losses that are missing, unless the study is to go on without them."""
    if missing and not spec.plugins.skip_missing:
        said = "; ".join(f"the loss {candidate} came from {origin}" for candidate, origin in missing.items())
        way = words("--set plugins.skip_missing=true", '["plugins.skip_missing=true"] as overrides')
        raise UnknownError(said, where=spec.place(), hint=f"Install it, or go on without: {way}.")


def _order(candidates: Mapping[str, Candidate], dataset: data.Dataset) -> list[str]:
    """A note on the order of the classes, where a loss makes use of it and labels are words."""
    ordered = [key for key, candidate in candidates.items() if candidate.spec.target == "ordinal"]
    if not ordered or all(_is_number(name) for name in dataset.classes):
        return []
    return [f"{', '.join(ordered)}: classes in this order: {', '.join(dataset.classes)}. Number them to change it."]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_resumed(prepared: Prepared, kept: Mapping[str, Any]) -> None:
    """Raise `InputError` unless data, losses and ranges are those that the study began with."""
    if not kept:
        return
    before, now = kept["data"].get("digest"), prepared.problem.dataset.digest
    changed = [f"the data (digest {before} -> {now}), or how they are read"] if before != now else []
    for candidate in {**kept["spaces"], **prepared.spaces}:
        if candidate in prepared.missing:
            continue
        if candidate not in prepared.spaces:
            origin = " ".join(kept["provenance"].get(candidate, ())) or "the study"
            changed.append(f"the loss {candidate} is gone (it came from {origin})")
        elif kept["spaces"].get(candidate) != prepared.spaces[candidate]:
            changed.append(f"the ranges of {candidate}")
    if kept.get("shapes", prepared.shape_spaces) != prepared.shape_spaces:
        changed.append("what is searched of the model")
    if changed:
        raise InputError(
            f"changed since the study began: {'; '.join(changed)}", where=prepared.spec.place(),
            hint=studies.start_over(),
        )  # fmt: skip


def _located(spec: StudySpec, key: str, work: Any, *args: Any, **kwargs: Any) -> Any:
    """Call `work`, and say of a mistake where in the study file it stands."""
    try:
        return work(*args, **kwargs)
    except InputError as error:
        raise error if error.where.startswith(spec.origin) and spec.origin else error.at(spec.place(key)) from error


def _load_data(spec: StudySpec) -> data.Dataset:
    section = spec.data
    try:
        return data.load(
            section.source, target=section.target, task=section.task, test=section.test, validation=section.validation,
            folds=section.folds, weight=section.weight, class_weight=spec.train.class_weight,
            preprocess=section.preprocess, drop=section.drop, base=spec.base, seed=spec.search.seed,
        )  # fmt: skip
    except InputError as error:
        keys = {"class_weight": "train.class_weight", "folds": "data.folds", "preprocess": "data.preprocess"}
        key = keys.get(error.where, "data")
        raise error.at(spec.place(key)) from error


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
                raise error.at(spec.place(f"losses.{candidate.name}")) from error
            notes.append(f"{candidate.name} is left out: {error}")
            continue
        fit[candidate.name] = candidate
    return fit, notes


def _check_fit(candidate: Candidate, metric: Metric, dataset: data.Dataset) -> None:
    if reason := scoring.refusal(metric, candidate.spec):
        raise InputError(reason, hint="Choose another metric or leave this loss out.")
    spec, k = candidate.spec, dataset.n_classes
    if dataset.task == "multiclass" and activations.is_usual(activations.get(spec.activation)) and spec.width(k) != k:
        raise InputError(f"{spec.name} has {spec.width(k)} scores for {k} classes", hint='Set outputs = "k".')
    parts = [part for fold in dataset.folds or (dataset,) for part in (fold.train, fold.validation)]
    for part in parts:
        candidate.spec.check_labels(part.y)
    weighted = any(part.weights is not None for part in parts)
    if weighted and spec.level == "batch" and "sample_weight" not in spec.needs:
        what = f"{spec.name} is one value for a whole batch, so it cannot weigh rows"
        raise InputError(what, hint="Leave out the weights or this loss.")


def _problem(spec: StudySpec, dataset: data.Dataset, metric: Metric, candidates: dict[str, Candidate]) -> Problem:
    from lossreg.training import optimizers
    from lossreg.training.backends import interface

    if spec.search.trainer != "fit":
        interface.start()

    section, train = spec.model, spec.train
    if train.early_stopping and train.optimizer.settings.get("use_ema"):
        said = "use_ema puts its averages in place after the last epoch, which early stopping may leave out"
        raise InputError(said, where=spec.place("train.early_stopping"), hint="Leave out one of the two.")
    options = {"hidden": section.hidden, "activation": section.activation, "dropout": section.dropout,
               "batch_norm": section.batch_norm} if section.build == "mlp" else {}  # fmt: skip
    options |= {"space": dataset.space, "multilabel": dataset.task == "multilabel"}
    builder = _located(spec, "model.build", models.resolve, section.build, base=spec.base, hp=section.hp, **options)
    losses = {name: candidate.spec for name, candidate in candidates.items()}
    batch_size = nearest(_space(train.batch_size), USUAL_BATCH)
    fixed, searched = dict(train.optimizer.settings), settings.branches(train.optimizer.searched)
    problem = Problem(
        dataset, builder, metric, losses, train.optimizer.name, fixed, batch_size, train.schedule, searched,
        train.embedding_gradients == "keras",
    )  # fmt: skip
    steps = train.epochs * -(-len(problem.folds[0].train.y) // batch_size)
    _located(spec, "train.optimizer", optimizers.check, problem, settings.ends(train.optimizer.searched), steps)
    return problem


def _space(value: Any) -> Space:
    return value if isinstance(value, Space) else Fixed(value)


def _embedded(spec: StudySpec, tables: Iterable[str]) -> list[str]:
    """A note on embeddings whose optimizer does not do what `model.fit` does on TensorFlow."""
    from lossreg.registry.dense_gradients import squares_slices

    optimizer = spec.train.optimizer
    names, settings = ", ".join(tables), {**optimizer.settings, **dict.fromkeys(optimizer.searched, 1.0)}
    if not names or spec.train.embedding_gradients == "keras" or not squares_slices(optimizer.name, settings):
        return []
    return [
        f"{names}: {optimizer.name} is given the sum of a token's gradients in a batch, as on JAX; Keras's own "
        f'model.fit on TensorFlow squares each by itself, and gives another model. train.embedding_gradients = "keras" '
        f'trains so, without lanes; lossreg.dense_gradients("{optimizer.name}") in model.compile trains as here.'
    ]


def _large(spec: StudySpec, tables: Mapping[str, int]) -> list[str]:
    """A note on embeddings so large that lanes gain nothing (`studies/benchmarks/models.py --models large`)."""
    large = {name: numbers for name, numbers in tables.items() if numbers >= LARGE}
    if not large or spec.search.trainer == "fit":
        return []
    named = ", ".join(f"{name} has {numbers:,} numbers" for name, numbers in large.items())
    return [
        f"{named}, which every lane updates in every step: lanes may be slower than model.fit here. "
        'search.trainer = "fit" trains one trial at a time.'
    ]


def _shapes(spec: StudySpec, problem: Problem) -> tuple[Shapes, dict[str, int]]:
    """What is searched of batch size and model, and the variables that it looks rows up in, with their numbers.

    A model is built for every width, at every end of what is searched.
    """
    from lossreg.registry.dense_gradients import tables

    data, builder = problem.dataset, problem.builder
    embedded: dict[str, int] = {}

    def build(outputs: int, answer: Answer) -> Any:
        model = builder.ask(data.input_shape, outputs, data.n_classes, spec.search.seed, answer)
        tokens.check(model, data)
        embedded.update(tables(model, problem.folds[0].train.x))
        return model

    shapes = Shapes(_space(spec.train.batch_size), build)
    for width in {problem.outputs(candidate) for candidate in problem.losses}:
        try:
            shapes.found(width)
        except InputError as error:
            place = f"model.{error.where}" if error.where.startswith("hp.") else "model.build"
            raise error.at(spec.place(place)) from error
    for name in spec.model.hp if isinstance(spec.model.hp, Mapping) else ():
        if name not in builder.declared:
            hint = did_you_mean(name, builder.declared) or f"It has {', '.join(builder.declared) or 'none'}."
            raise UnknownError("the model has no such hyperparameter", where=spec.place(f"model.hp.{name}"), hint=hint)
    return shapes, embedded


def _rehearsed(prepared: Prepared) -> dict[str, str]:
    """Try every loss, with every combination of static parameters; why some cannot be mapped over lanes."""
    from lossreg.training.mappable_losses import NoGradientError, rehearse
    from lossreg.training.population import group_of

    reasons: dict[str, str] = {}
    flat: dict[str, list[Any]] = {}
    plans = list(prepared.proposer.variants())
    for plan in plans:
        group_of(prepared.problem, plan)  # all are known before the first is traced, for the width of their arguments
    for plan in plans:
        place = prepared.spec.place(f"losses.{plan.candidate}")
        try:
            with contained():
                reason = rehearse(prepared.problem, plan)
        except NoGradientError as error:
            flat.setdefault(plan.candidate, []).append(plan)
            if len(flat[plan.candidate]) == sum(other.candidate == plan.candidate for other in plans):
                raise error.at(place) from error
            continue
        except InputError as error:
            raise error.at(place) from error
        except Exception as error:
            entry, name = prepared.candidates[plan.candidate].entry, prepared.problem.losses[plan.candidate].name
            said = f"the loss {name} ({entry.distribution or entry.plugin}) fails on a batch: {gist(error)}"
            raise InputError(said, where=place) from error
        reasons |= {plan.candidate: reason} if reason else {}
    prepared.notes.extend(_flat_note(plan) for found in flat.values() for plan in found)
    return reasons


def _flat_note(plan: Any) -> str:
    given = ", ".join(f"{name} = {value}" for name, value in plan.params.items())
    return f"{plan.candidate} has no gradient with {given}: such trials learn nothing"
