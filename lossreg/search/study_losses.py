"""The losses of a study: those that its metric can score and its labels allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lossreg import data
from lossreg.config.candidates import Candidate, candidates_of, takes_exposure
from lossreg.config.study import StudySpec
from lossreg.contract import activations
from lossreg.errors import InputError
from lossreg.metrics.catalogue import Metric
from lossreg.registry import registry
from lossreg.training import scoring


def choose_losses(
    spec: StudySpec,
    installed: registry.Registry,
    dataset: data.Dataset,
    metric: Metric,
    also: Sequence[Metric] = (),
    *,
    stored: Mapping[str, Any],
    missing: Mapping[str, str],
) -> tuple[dict[str, Candidate], list[str]]:
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
) -> tuple[dict[str, Candidate], list[str]]:  # fmt: skip
    """Return the candidates that the metric, and `also` others, can score and the labels allow.

    A loss that the study names and that does not fit is an error; one of a default set is left out.
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


def _class_order(candidates: Mapping[str, Candidate], dataset: data.Dataset) -> list[str]:
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
