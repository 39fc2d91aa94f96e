"""Preparation of a study: its data, metric, losses and model are resolved and tried before any training."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lossreg import data
from lossreg.config import schema
from lossreg.config import study as studies
from lossreg.config.candidates import Candidate, candidates_of, takes_exposure
from lossreg.config.optimization import branches, ends
from lossreg.config.search_space import Fixed, Space, nearest
from lossreg.config.study import StudySpec
from lossreg.contract import activations
from lossreg.data import pixels
from lossreg.data.embeddings import check as check_embeddings
from lossreg.data.layout import Layout
from lossreg.data.parts import TEST, VALIDATION
from lossreg.errors import InputError, UnknownError, contained, did_you_mean, one_line
from lossreg.inspection import warnings
from lossreg.metrics import catalogue, decision, functions
from lossreg.metrics.catalogue import Metric
from lossreg.models.builder import Builder, resolve, resolve_saved
from lossreg.models.hyperparameters import Answer
from lossreg.registry import registry
from lossreg.runtime.user_code import is_function
from lossreg.search import compile_only, resumption
from lossreg.search.architectures import USUAL_BATCH, Architectures
from lossreg.search.proposer import Proposer
from lossreg.search.resumption import Changes
from lossreg.storage.constraints import Constraint
from lossreg.training import scoring
from lossreg.training.interface import Plan, Problem

if TYPE_CHECKING:
    from lossreg.training.own_callbacks import Maker

Notes = list[str]
NOTHING: Mapping[str, Any] = {}
CALLED_BACK = (
    "own callbacks, so that trials are trained one after the other with model.fit, each in a graph of its own: about "
    "ten times the processor time of lanes for a small model"
)
APART = "equal rows may be on both sides of a cut, as when this study began; a new study keeps them together"

# numbers of an embedding from which lanes may be slower than `model.fit`: between 80,000 and 3,200,000 as measured
LARGE = 1_000_000


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
    published: Mapping[str, tuple[Mapping[str, Any], Notes]]
    notes: Notes = field(default_factory=list)
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
    installed = registry.default(tuple(spec.plugins.block))
    missing = resumption.missing(spec, installed, stored)
    resumption.require_installed(spec, {name: missing[name] for name in missing if wanted in ("", name)})
    dataset, data_notes = load_data(spec, stored)
    if rehearsed and not stored:  # a document that was kept names defaults too
        data_notes = [*data_notes, *unused_shares(spec, dataset.rows.layout)]
    data_notes = [*data_notes, *untested(spec)]
    spec, model_notes = choose_model(spec, dataset, stored)
    metric, metric_notes = choose_metric(spec, dataset)
    several = objectives(spec, dataset)
    bounded = constrained(spec, dataset, [metric, *several[1:]])
    also = (*bounded, *(one for one in several[1:] if one not in bounded))
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
    unmapped, rehearsal_notes = rehearse(prepared)
    return replace(prepared, unmapped=unmapped, notes=[*notes, *rehearsal_notes, *warnings.of(dataset, metric)])


def load_data(spec: StudySpec, stored: Mapping[str, Any] = NOTHING) -> tuple[data.Dataset, Notes]:
    """Return the study's data set, split and preprocessed; raises `InputError` that names the key of the study.

    stored: what the study noted when it began: the class that was positive, for one that does not name it. Up to 0.2.0
    rows that stand twice were taken apart, and for a study that was begun so they still are.
    """
    positive = resumption.positive_class(stored)
    dataset, begun = _loaded(spec, positive), stored.get("data", {}).get("digest")
    layout = dataset.rows.layout
    if begun not in (None, dataset.digest) and layout.units is not None and not layout.grouped:
        former = _loaded(spec, positive, ties_twins=False)
        if former.digest == begun:
            return former, [*former.notes, APART]
    return dataset, dataset.notes


def unused_shares(spec: StudySpec, layout: Layout) -> Notes:
    """Return notes on shares that the study names and that the source leaves nothing of, since it gives the rows.

    Raises `InputError` where a column that the study names gives them.
    """
    section, notes = spec.data, []
    shares = {key: getattr(section, key) for key in ("test", "validation") if key in section.model_fields_set}
    for key, share in shares.items():
        if isinstance(share, str) or not layout.has({"test": TEST, "validation": VALIDATION}[key]):
            continue
        giver = "the source" if section.split is None else f"the column {section.split!r}"
        if share == 0:
            what = f"0 leaves no test rows, and {giver} gives test rows"
            raise InputError(what, where=spec.place("data.test"), hint="Leave it out, or give no test rows.")
        if section.split is not None:
            what = f"{share:g} is a share of the rows, and {giver} gives {key} rows"
            raise InputError(what, where=spec.place(f"data.{key}"), hint=f"Leave out data.{key}, or data.split.")
        notes.append(f"data.{key} = {share:g} is not used: the source gives {key} rows.")
    return notes


def untested(spec: StudySpec) -> Notes:
    """Return a note on a study that has no verdict, since it has no test rows."""
    if spec.has_verdict:
        return []
    return [f"data.test = 0: there are no test rows, and so there is no verdict. {spec.tested_by}"]


def _loaded(spec: StudySpec, positive: str | None, *, ties_twins: bool = True) -> data.Dataset:
    section, metric = spec.data, spec.search.metric
    beside = _located(spec, "search.metric", functions.columns, metric, spec.base) if is_function(metric) else ()
    try:
        return data.load(
            section.source, target=section.target, task=section.task, test=section.test, validation=section.validation,
            folds=section.folds, group=section.group, time=section.time, split=section.split, weight=section.weight,
            exposure=section.exposure, class_weight=spec.train.class_weight, preprocess=section.preprocess,
            drop=section.drop, base=spec.base, seed=spec.search.seed, given=spec.given, ties_twins=ties_twins,
            options=replace(section.options, former=positive), images=section.images, beside=beside,
            noise=section.noise,
        )  # fmt: skip
    except InputError as error:
        own = (
            "folds", "test", "validation", "preprocess", "columns", "positive", "encoding", "sheet", "exposure",
            "noise",
        )  # fmt: skip
        keys = {
            "class_weight": "train.class_weight",
            "metric": "search.metric",
            **{name: f"data.{name}" for name in own},
        }
        raise error.at(spec.place(keys.get(error.where, "data"))) from error


def choose_model(spec: StudySpec, dataset: data.Dataset, stored: Mapping[str, Any]) -> tuple[StudySpec, Notes]:
    """Return a study with the model that it names, or by default with the one that suits the data.

    stored: the attributes of a resumed study, which goes on with the model it began with. Raises `InputError` for
    options of another model.
    """
    if spec.model.build != schema.AUTO or spec.model.start:
        return spec, []
    spec = studies.with_begun_model(spec, stored.get("fingerprint", {}))
    x = dataset.loaded.raw.x if dataset.loaded else None
    image = pixels.shape(x) if not dataset.spatial_shape else None
    if spec.model.build == schema.AUTO:
        spec = spec.with_model("cnn" if image else "mlp")
    if spec.model.build == "mlp":
        try:
            spec.model.require_no_convolutions(f", and the model is mlp: rows have shape {dataset.input_shape}")
        except InputError as error:
            raise error.at(spec.place(f"model.{error.where}")) from error
        return spec, list(filter(None, [pixels.channels_first(x)]))
    told = f"rows are images of {pixels.described(image)}" if image else "as when the study began"
    return spec, [f'the model is cnn: {told}; build = "mlp" under [model] is dense layers on pixels']


def choose_metric(spec: StudySpec, dataset: data.Dataset) -> tuple[Metric, Notes]:
    """Return the study's metric, by default the task's; raises `InputError` where a fold has no value of it."""
    metric = _metric(spec, dataset.task)
    for fold in dataset.folds:
        y = fold.scored_labels(fold.validation.scored)
        _located(spec, "search.metric", metric.check, y, dataset.n_classes)
        if is_function(spec.search.metric):
            _located(spec, "search.metric", functions.try_out, metric, y, dataset.n_classes)
    scored = [fold.validation for fold in dataset.folds]
    sizes = min(map(len, scored)), min(part.independent for part in scored)
    reason = decision.shortage(metric, dataset.task, *sizes)
    is_left_out = bool(reason) and spec.search.decision == "tuned"
    notes = [f'search.decision = "tuned" is left out: {reason}'] if is_left_out else []
    taken = ", ".join(dataset.loaded.beside) if dataset.loaded else ""
    return metric, [*([f"{metric.name} takes {taken} of each row, as before preprocessing"] if taken else []), *notes]


def objectives(spec: StudySpec, dataset: data.Dataset) -> tuple[Metric, ...]:
    """Return the metrics of a study that has several; raises `InputError` where one has no value or is there twice."""
    known: list[Metric] = []
    for name in spec.search.metrics:
        metric: Metric = _located(spec, "search.metrics", catalogue.resolve, name, dataset.task, may_be_left_out=False)
        _located(spec, "search.metrics", _check_apart, metric, known, "Leave one of them out.")
        for fold in dataset.folds:
            y = fold.scored_labels(fold.validation.scored)
            _located(spec, "search.metrics", metric.check, y, dataset.n_classes)
        known.append(metric)
    return tuple(known)


def constrained(spec: StudySpec, dataset: data.Dataset, searched: Sequence[Metric]) -> tuple[Metric, ...]:
    """Return the metrics of the study's constraints; raises `InputError` where no value can keep one.

    searched: the metrics that are optimised, which may be constrained too, with the sign that they have there.
    """
    known: list[Metric] = []
    for name, bound in spec.search.constraints.items():
        key = f"search.constraints.{name}"
        metric: Metric = _located(spec, key, catalogue.resolve, name, dataset.task, may_be_left_out=False)
        _located(spec, key, _check_bound, metric, bound)
        _located(spec, key, _check_apart, metric, known, "Leave one of them out.")
        others = [one for one in searched if one.name != metric.name]
        _located(spec, key, _check_apart, metric, others, f"Constrain that one: {{ {_negated(metric)} = {-bound:g} }}.")
        for fold in dataset.folds:
            _located(spec, key, metric.check, fold.scored_labels(fold.validation.scored), dataset.n_classes)
        known.append(metric)
    return tuple(known)


def _negated(metric: Metric) -> str:
    """Return the name of the metric with the other sign, if there is one."""
    return metric.name.removeprefix("neg_") if metric.name.startswith("neg_") else f"neg_{metric.name}"


def _check_apart(metric: Metric, others: Sequence[Metric], hint: str) -> None:
    """Raise `InputError` where a metric is one of the others, or is one with the other sign."""
    names = [one.name for one in others]
    if metric.name in names:
        raise InputError(f"{metric.name} is there twice", hint=hint)
    if _negated(metric) in names:
        raise InputError(f"{metric.name} is {_negated(metric)} with the other sign, which the study has too", hint=hint)


def _check_bound(metric: Metric, bound: float) -> None:
    """Raise `InputError` for a bound that is better than the best value."""
    is_maximised, best = metric.direction == "maximize", metric.best
    if (bound > best) if is_maximised else (bound < best):
        what = f"{metric.name} is {'at most' if is_maximised else 'at least'} {best:g}, so no trial can keep {bound:g}"
        hint = f"Write {-bound:g}, or {_negated(metric)} = {bound:g}." if best == 0 and is_maximised else ""
        raise InputError(what, hint=hint or ("A share is a number from 0 to 1." if is_maximised else ""))


def _metric(spec: StudySpec, task: str) -> Metric:
    search = spec.search
    if not is_function(search.metric):
        named: Metric = _located(
            spec, "search.metric", catalogue.resolve, search.metric or catalogue.default(task), task
        )
        return named
    response = _located(spec, "search.predictions", functions.response, task, search.predictions)
    metric: Metric = _located(
        spec, "search.metric", functions.metric_of, search.metric, spec.base, task=task, direction=search.direction,
        predictions=response,
    )  # fmt: skip
    return metric


def _located(spec: StudySpec, key: str, work: Any, *args: Any, **kwargs: Any) -> Any:
    """Call `work`; raises its `InputError` with the key of the study file where the mistake is."""
    try:
        return work(*args, **kwargs)
    except InputError as error:
        raise error if error.where.startswith(spec.origin) and spec.origin else error.at(spec.place(key)) from error


def choose_losses(
    spec: StudySpec,
    installed: registry.Registry,
    dataset: data.Dataset,
    metric: Metric,
    also: Sequence[Metric] = (),
    *,
    stored: Mapping[str, Any],
    missing: Mapping[str, str],
) -> tuple[dict[str, Candidate], Notes]:
    """Return the losses that are compared, by candidate; those that are `missing` are left out."""
    candidates = candidates_of(spec, installed, dataset.task, dataset.n_classes, missing)
    if stored and not spec.losses:
        candidates = [candidate for candidate in candidates if candidate.name in stored["losses"]]
    fitting, notes = suitable(spec, candidates, metric, dataset, also)
    missing_notes = [f"{name} is left out: it came from {origin}" for name, origin in missing.items()]
    return fitting, [*notes, *missing_notes, *_class_order(fitting, dataset)]


def suitable(
    spec: StudySpec, candidates: Iterable[Candidate], metric: Metric, dataset: data.Dataset,
    also: Sequence[Metric] = (),
) -> tuple[dict[str, Candidate], Notes]:  # fmt: skip
    """Return the candidates that the metric, and `also` others, can score and the labels allow.

    Those that the study names and that do not fit are an error; one of a default set is left out.
    """
    fitting, notes, mistakes = {}, [], []
    for candidate in candidates:
        try:
            _check_fit(candidate, (metric, *also), dataset)
        except InputError as error:
            if spec.losses and not candidate.baseline:
                mistakes.append(error.at(f"losses.{candidate.name}"))
                continue
            notes.append(f"{candidate.name} is left out: {error}")
            continue
        fitting[candidate.name] = candidate
    if mistakes:
        raise spec.gathered(mistakes)
    return fitting, notes


def _check_fit(candidate: Candidate, metrics: Iterable[Metric], dataset: data.Dataset) -> None:
    if reason := next(filter(None, (scoring.refusal(metric, candidate.spec) for metric in metrics)), ""):
        raise InputError(reason, hint="Choose another metric or leave this loss out.")
    spec, k = candidate.spec, dataset.n_classes
    if dataset.task == "multiclass" and activations.is_usual(activations.get(spec.activation)) and spec.width(k) != k:
        raise InputError(f"{spec.name} has {spec.width(k)} raw scores for {k} classes", hint='Set outputs = "k".')
    if dataset.exposure and not takes_exposure(spec, k):
        hint = "Those of one raw score and the activation exp have it: poisson, negative_binomial, tweedie, gamma_nll."
        raise InputError(f"{spec.name} has no log link, to which an exposure could be an offset", hint=hint)
    parts = [part for fold in dataset.folds for part in (fold.train, fold.validation)]
    for part in parts:
        spec.check_labels(part.y)
    weighted = any(part.weights is not None for part in parts)
    if weighted and spec.level == "batch" and "sample_weight" not in spec.needs:
        what = f"{spec.name} is one value for a whole batch, so it cannot weight samples"
        raise InputError(what, hint="Leave out the weights or this loss.")


def _class_order(candidates: Mapping[str, Candidate], dataset: data.Dataset) -> Notes:
    """Return a note on the order of the classes, where a loss depends on it and class names are words."""
    ordered = [name for name, candidate in candidates.items() if candidate.spec.target == "ordinal"]
    if not ordered or all(_is_number(name) for name in dataset.classes):
        return []
    return [f"{', '.join(ordered)}: classes in this order: {', '.join(dataset.classes)}. Number them to change it."]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def build_problem(
    spec: StudySpec,
    dataset: data.Dataset,
    metric: Metric,
    candidates: Mapping[str, Candidate],
    begun: Mapping[str, Any],
    *,
    is_missing: bool,
    also: tuple[Metric, ...] = (),
) -> tuple[tuple[Problem, Proposer], Notes]:
    """Return the problem that trainers are given and the proposer of its trials.

    also: further metrics that are computed; begun: the attributes of a resumed study, all candidates of which stay
    choices where losses are missing.
    """
    problem = replace(_problem(spec, dataset, metric, candidates), also=also)
    architectures, embeddings = _explored(spec, problem)
    rate, compiled_notes = compile_only.leave_out(spec, problem, architectures, begun)
    proposer = Proposer(
        candidates, rate or spec.train.learning_rate, dataset.constants, dataset.slugs, spec.train.epochs,
        spec.search.seed, spec.train.optimizer.name, spec.train.optimizer.searched, architectures,
        every=tuple(begun.get("losses", ())) if is_missing else (), weights=dataset.weights,
    )  # fmt: skip
    wide = architectures.notes(problem.outputs(next(iter(candidates))))
    notes = [*problem.builder.notes, *_unsearched(spec, problem.builder), *compiled_notes, *wide]
    notes += _embedding_gradients(spec, embeddings)
    notes += _large_embeddings(spec, embeddings)
    return (problem, proposer), notes


def _problem(spec: StudySpec, dataset: data.Dataset, metric: Metric, candidates: Mapping[str, Candidate]) -> Problem:
    from lossreg.training import optimizers
    from lossreg.training.backends import interface

    if not spec.is_solo:
        interface.start()
    train, searched = spec.train, spec.train.optimizer.searched
    if train.early_stopping and train.optimizer.settings.get("use_ema"):
        what = "use_ema puts its averages in place after the last epoch, which early stopping may leave out"
        raise InputError(what, where=spec.place("train.early_stopping"), hint="Leave out one of the two.")
    losses = {name: candidate.spec for name, candidate in candidates.items()}
    batch_size = nearest(_space(train.batch_size), USUAL_BATCH)
    problem = Problem(
        dataset, _builder(spec, dataset), metric, losses, train.optimizer.name, dict(train.optimizer.settings),
        batch_size, train.schedule, branches(searched), train.embedding_gradients == "keras",
        spec.search.decision, _callbacks(spec),
    )  # fmt: skip
    steps = train.epochs * -(-len(dataset.train) // batch_size)
    _located(spec, "train.optimizer", optimizers.check, problem, ends(searched), steps)
    return problem


def _callbacks(spec: StudySpec) -> Maker | None:
    from lossreg.training.own_callbacks import Maker

    given = spec.train.callbacks
    maker: Maker | None = _located(spec, "train.callbacks", Maker.of, given, spec.base) if given is not None else None
    return maker


def _builder(spec: StudySpec, dataset: data.Dataset) -> Builder:
    section, form = spec.model, {
        "base": spec.base, "spatial_shape": dataset.spatial_shape, "multilabel": dataset.task == "multilabel",
        "exposed": bool(dataset.exposure),
    }  # fmt: skip
    builder: Builder
    if section.start:
        builder = _located(spec, "model.start", resolve_saved, section.start, head=section.head, **form)
    else:
        builder = _located(spec, "model.build", resolve, section.build, hp=section.hp, **form, **section.options)
    return builder


def _space(value: Any) -> Space:
    return value if isinstance(value, Space) else Fixed(value)


def _explored(spec: StudySpec, problem: Problem) -> tuple[Architectures, dict[str, int]]:
    """Return the search space of batch size and model, and the size of each embedding of its models.

    A model is built for every width, at every end of its search space.
    """
    from lossreg.models.embeddings import tables

    dataset, builder = problem.dataset, problem.builder
    embeddings: dict[str, int] = {}

    def build(outputs: int, answer: Answer) -> Any:
        model = builder.build(dataset.input_shape, outputs, dataset.n_classes, spec.search.seed, answer)
        check_embeddings(model, dataset)
        embeddings.update(tables(model, dataset.train.x))
        return model

    architectures = Architectures(_space(spec.train.batch_size), build)
    for width in {problem.outputs(name) for name in problem.losses}:
        try:
            architectures.declared(width)
        except InputError as error:
            if spec.model.start:
                raise _of_start(spec, problem, width, error) from error
            key = f"model.{error.where}" if error.where.startswith("hp.") else "model.build"
            raise error.at(spec.place(key)) from error
    _check_hyperparameters(spec, builder.declared)
    return architectures, embeddings


def _of_start(spec: StudySpec, problem: Problem, width: int, error: InputError) -> InputError:
    """Return a mistake about the saved model; with the losses that need this width where others need another one."""
    names = [name for name in problem.losses if problem.outputs(name) == width]
    what = error.what if len(names) == len(problem.losses) else f"{error.what} ({', '.join(names)})"
    return InputError(f"{spec.model.start}: {what}", where=spec.place("model.start"), hint=error.hint)


def _check_hyperparameters(spec: StudySpec, declared: Collection[str]) -> None:
    """Raise `InputError` for a hyperparameter of the study that no model declares."""
    for name in spec.model.hp if isinstance(spec.model.hp, Mapping) else ():
        if name not in declared:
            hint = did_you_mean(name, declared) or f"It has {', '.join(declared) or 'none'}."
            raise UnknownError("the model has no such hyperparameter", where=spec.place(f"model.hp.{name}"), hint=hint)


def _unsearched(spec: StudySpec, builder: Builder) -> Notes:
    """Return a note on hyperparameters of the user's model, of which the study says nothing."""
    if spec.model.hp is not None or not builder.declared:
        return []
    names = ", ".join(builder.declared)
    return [f'{builder.name}: its hyperparameters keep their defaults ({names}); model.hp = "search" searches them']


def _embedding_gradients(spec: StudySpec, embeddings: Iterable[str]) -> Notes:
    """Return a note on embeddings whose optimizer does not do what `model.fit` does on TensorFlow."""
    from lossreg.registry.dense_gradients import squares_slices

    optimizer = spec.train.optimizer
    names, chosen = ", ".join(embeddings), {**optimizer.settings, **dict.fromkeys(optimizer.searched, 1.0)}
    if not names or spec.train.embedding_gradients == "keras" or not squares_slices(optimizer.name, chosen):
        return []
    return [
        f"{names}: {optimizer.name} is given the sum of a token's gradients in a batch, as on JAX; Keras's own "
        f'model.fit on TensorFlow squares each by itself, and gives another model. train.embedding_gradients = "keras" '
        f'trains so, without lanes; lossreg.dense_gradients("{optimizer.name}") in model.compile trains as here.'
    ]


def _large_embeddings(spec: StudySpec, embeddings: Mapping[str, int]) -> Notes:
    """Return a note on embeddings so large that lanes gain nothing (`studies/benchmarks/models.py --models large`)."""
    large = [f"{name} has {numbers:,} numbers" for name, numbers in embeddings.items() if numbers >= LARGE]
    if not large or spec.is_solo:
        return []
    return [
        f"{', '.join(large)}, which every lane updates in every step: lanes may be slower than model.fit here. "
        'search.trainer = "fit" trains one trial at a time.'
    ]


def rehearse(prepared: Prepared) -> tuple[Mapping[str, str], Notes]:
    """Try every loss on a batch, with every combination of static parameters; raises `InputError` where one fails.

    Returns, by candidate, why its loss cannot be mapped over lanes.
    """
    from lossreg.training import own_callbacks
    from lossreg.training.backends import interface
    from lossreg.training.mappable_losses import NoGradientError
    from lossreg.training.population import group_of

    problem, plans = prepared.problem, list(prepared.proposer.variants())
    if problem.callbacks:
        asked = problem.callbacks, problem.metric.name
        _located(prepared.spec, "train.callbacks", own_callbacks.check, *asked, scheduled=bool(problem.schedule))
    for plan in plans:
        group_of(problem, plan)  # all are known before the first is traced, for the width of their arguments
    reasons: dict[str, str] = {}
    without_gradient: dict[str, list[Plan]] = {}
    for plan in plans:
        try:
            reason = _tried(prepared, plan)
        except NoGradientError as error:
            without_gradient.setdefault(plan.candidate, []).append(plan)
            if len(without_gradient[plan.candidate]) == sum(other.candidate == plan.candidate for other in plans):
                raise error.at(prepared.spec.place(f"losses.{plan.candidate}")) from error
        else:
            reasons |= {plan.candidate: reason} if reason else {}
    notes = [_no_gradient(plan) for tried in without_gradient.values() for plan in tried]
    if problem.callbacks:
        notes.append(f"{problem.callbacks.reference}: {CALLED_BACK}")
    if not prepared.spec.is_solo:
        notes += filter(None, [interface.note()])
    return reasons, notes


def _tried(prepared: Prepared, plan: Plan) -> str:
    """Return why the loss of a plan cannot be mapped over lanes, empty where it can."""
    from lossreg.training import mappable_losses

    where = prepared.spec.place(f"losses.{plan.candidate}")
    try:
        with contained():
            return mappable_losses.rehearse(prepared.problem, plan)
    except mappable_losses.NoGradientError:
        raise
    except InputError as error:
        raise error.at(where) from error
    except Exception as error:
        entry, loss = prepared.candidates[plan.candidate].entry, prepared.problem.losses[plan.candidate].name
        what = f"the loss {loss} ({entry.distribution or entry.plugin}) fails on a batch: {one_line(error)}"
        raise InputError(what, where=where) from error


def _no_gradient(plan: Plan) -> str:
    given = ", ".join(f"{name} = {value}" for name, value in plan.params.items())
    return f"{plan.candidate} has no gradient with {given}: such trials learn nothing"
