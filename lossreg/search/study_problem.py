"""The problem of a study, as trainers are given it, and the proposer of its trials."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lossreg import data
from lossreg.config import schema
from lossreg.config import study as studies
from lossreg.config.candidates import Candidate
from lossreg.config.optimization import branches, ends
from lossreg.config.search_space import Fixed, Space, nearest
from lossreg.config.study import StudySpec
from lossreg.data import pixels
from lossreg.data.embeddings import check as check_embeddings
from lossreg.errors import InputError, UnknownError, did_you_mean
from lossreg.metrics.catalogue import Metric
from lossreg.models.builder import Builder, resolve, resolve_saved
from lossreg.models.hyperparameters import Answer
from lossreg.search import compile_only
from lossreg.search.architectures import USUAL_BATCH, Architectures
from lossreg.search.mistakes import located
from lossreg.search.proposer import Proposer
from lossreg.training.interface import Problem

if TYPE_CHECKING:
    from lossreg.training.own_callbacks import Maker

# numbers of an embedding from which lanes may be slower than `model.fit`: between 80,000 and 3,200,000 as measured
LARGE = 1_000_000


def choose_model(spec: StudySpec, dataset: data.Dataset, stored: Mapping[str, Any]) -> tuple[StudySpec, list[str]]:
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
    reason = f"rows are images of {pixels.described(image)}" if image else "as when the study began"
    return spec, [f'the model is cnn: {reason}; build = "mlp" under [model] is dense layers on pixels']


def build_problem(
    spec: StudySpec,
    dataset: data.Dataset,
    metric: Metric,
    candidates: Mapping[str, Candidate],
    begun: Mapping[str, Any],
    *,
    is_missing: bool,
    also: tuple[Metric, ...] = (),
) -> tuple[tuple[Problem, Proposer], list[str]]:
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
    located(spec, "train.optimizer", optimizers.check, problem, ends(searched), steps)
    return problem


def _callbacks(spec: StudySpec) -> Maker | None:
    from lossreg.training.own_callbacks import Maker

    given = spec.train.callbacks
    return located(spec, "train.callbacks", Maker.of, given, spec.base) if given is not None else None


def _builder(spec: StudySpec, dataset: data.Dataset) -> Builder:
    section = spec.model
    form: dict[str, Any] = {
        "base": spec.base, "spatial_shape": dataset.spatial_shape, "multilabel": dataset.task == "multilabel",
        "exposed": bool(dataset.exposure),
    }  # fmt: skip
    if section.start:
        return located(spec, "model.start", resolve_saved, section.start, head=section.head, **form)
    return located(spec, "model.build", resolve, section.build, hp=section.hp, **form, **section.options)


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


def _unsearched(spec: StudySpec, builder: Builder) -> list[str]:
    """Return a note on hyperparameters of the user's model, of which the study says nothing."""
    if spec.model.hp is not None or not builder.declared:
        return []
    names = ", ".join(builder.declared)
    return [f'{builder.name}: its hyperparameters keep their defaults ({names}); model.hp = "search" searches them']


def _embedding_gradients(spec: StudySpec, embeddings: Iterable[str]) -> list[str]:
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


def _large_embeddings(spec: StudySpec, embeddings: Mapping[str, int]) -> list[str]:
    """Return a note on embeddings so large that lanes gain nothing (`studies/benchmarks/models.py --models large`)."""
    large = [f"{name} has {numbers:,} numbers" for name, numbers in embeddings.items() if numbers >= LARGE]
    if not large or spec.is_solo:
        return []
    return [
        f"{', '.join(large)}, which every model updates in every step: many models at a time may be slower than "
        "model.fit here. "
        'search.trainer = "fit" trains one trial at a time.'
    ]
