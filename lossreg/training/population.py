"""`Population`: many plans trained together as lanes of one graph, in slots that are refilled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from lossreg.errors import count_of
from lossreg.models.embeddings import tables
from lossreg.registry.dense_gradients import squares_slices
from lossreg.runtime import backend
from lossreg.storage.trial_record import Weights
from lossreg.training import optimizers, programs
from lossreg.training.backends import interface
from lossreg.training.interface import Architecture, EpochReport, Plan, Problem, batch_order
from lossreg.training.lane_graph import WEIGHTS, Group, LaneGraph, LaneInputs, Outcome, Samples, Start, State
from lossreg.training.loss_arguments import Key, loss_arguments, static_arguments, static_key
from lossreg.training.mappable_models import model_refusal
from lossreg.training.scoring import Scored, of_validation, score_lanes

if TYPE_CHECKING:
    from lossreg.contract.targets import Constants
    from lossreg.data import Dataset, Split

__all__ = ["Population", "device_samples", "encoded", "group_of", "widths"]

# A lane joins a block with that many more lanes than another, if its loss is there already.
TOGETHER = 2


def widths(problem: Problem) -> list[int]:
    """Return the numbers of raw scores per sample that the losses need, the commonest first."""
    counts = Counter(problem.outputs(candidate) for candidate in problem.losses)
    return [width for width, _ in counts.most_common()]


def group_of(problem: Problem, plan: Plan) -> Group:
    """Return the group of lanes with the plan's loss and static parameters, one for the whole study."""
    key = static_key(problem, plan)
    if key not in problem.groups:
        spec, data = problem.losses[plan.candidate], problem.dataset
        shapes = {name: value.shape for name, value in loss_arguments(spec, plan.params, data.constants).items()}
        static = static_arguments(spec, plan.params, data.n_classes)
        problem.groups[key] = programs.of_loss(
            lambda: (id(spec), data.n_classes, *sorted(static.items()), *sorted(shapes.items())),
            lambda: Group(spec, data.n_classes, static, shapes),
        )
    group: Group = problem.groups[key]
    return group


def device_samples(problem: Problem, which: str) -> Samples:
    """Return the training or validation samples on the device, with labels of every target kind in use; made once."""
    if which not in problem.samples:
        problem.samples[which] = _device_samples(problem, which)
    samples: Samples = problem.samples[which]
    return samples


def _device_samples(problem: Problem, which: str) -> Samples:
    splits = [getattr(fold, which) for fold in problem.folds]
    columns = [_columns(problem, fold, split) for fold, split in zip(problem.folds, splits, strict=True)]
    return Samples(_of_all([split.x for split in splits]), _of_all(columns))


def _of_all(folds: Sequence[Any]) -> Any:
    """Return arrays, or dictionaries of arrays, of all folds one after the other, on the device."""
    if isinstance(folds[0], Mapping):
        return {name: _of_all([fold[name] for fold in folds]) for name in folds[0]}
    return interface.to_device(folds[0] if len(folds) == 1 else np.concatenate(folds))


def _columns(problem: Problem, fold: Dataset, split: Split) -> dict[str, np.ndarray]:
    """Return labels by target kind, and weights where samples have any or a loss needs them."""
    columns = encoded(problem, split.y, fold.constants)
    splits = [part for other in problem.folds for part in (other.train, other.validation)]
    weighted = any(part.weights is not None for part in splits)
    if weighted or any(WEIGHTS in spec.needs for spec in problem.losses.values()):
        columns[WEIGHTS] = np.ones(len(split.y), np.float32) if split.weights is None else split.weights
    return columns


def encoded(problem: Problem, y: np.ndarray, constants: Constants) -> dict[str, np.ndarray]:
    """Return these labels in the form of every target kind in use, float32."""
    kinds = {spec.target: spec for spec in problem.losses.values()}
    return {kind: np.asarray(spec.encode(y, constants), np.float32) for kind, spec in kinds.items()}


@dataclass(slots=True)
class Lane:
    """A plan in a slot, and its epochs done."""

    slot: int
    plan: Plan
    group: int
    arguments: dict[str, np.ndarray]
    epoch: int = 0


@dataclass(slots=True)
class Block:
    """Lanes that are trained together, one block per core.

    state: of `number` lanes, of which those that were dropped stay until the next epoch; positions: in the state,
    of the lanes that are left.
    """

    lanes: list[Lane] = field(default_factory=list)
    state: State | None = None
    positions: list[int] = field(default_factory=list)
    number: int = 0

    def join(self, lanes: Sequence[Lane], state: State) -> None:
        """Add lanes and their state; lanes are kept in order of group and slot."""
        positions = [*self.positions, *range(self.number, self.number + len(lanes))]
        lanes, state = [*self.lanes, *lanes], self.state.join(state) if self.state else state
        order = sorted(range(len(lanes)), key=lambda i: (lanes[i].group, lanes[i].slot))
        self._take([lanes[i] for i in order], state, [positions[i] for i in order])

    def compact(self) -> None:
        """Free the state of dropped lanes."""
        if self.state and self.number > len(self.lanes):
            self._take(self.lanes, self.state, self.positions)

    def _take(self, lanes: list[Lane], state: State, positions: list[int]) -> None:
        self.lanes, self.state = lanes, state.take(positions)
        self.positions, self.number = list(range(len(lanes))), len(lanes)

    def has(self, slot: int) -> bool:
        """Return whether the lane of that slot is in the block."""
        return any(lane.slot == slot for lane in self.lanes)

    def drop(self, slot: int) -> None:
        """Remove the lane in that slot."""
        keep = [i for i, lane in enumerate(self.lanes) if lane.slot != slot]
        self.lanes, self.positions = [self.lanes[i] for i in keep], [self.positions[i] for i in keep]
        if not keep:
            self.state, self.number = None, 0

    def position(self, slot: int) -> int:
        """Return the position of the lane of that slot in the state."""
        return next(position for position, lane in zip(self.positions, self.lanes, strict=True) if lane.slot == slot)


class Population:
    """Trains up to `slots` plans together, in blocks that advance side by side.

    outputs: raw scores per sample, by default as most losses need; architecture: of its plans, by default the
    study's; unmapped: by candidate, why its loss cannot be mapped over lanes; variants: a plan with each combination
    of static parameters that will be met, so that the graph is built once; reasons: by candidate, what `refuses`
    returned in a population like this one.
    """

    name = "population"

    def __init__(
        self,
        problem: Problem,
        slots: int,
        *,
        blocks: int = 0,
        outputs: int = 0,
        architecture: Architecture | None = None,
        variants: Iterable[Plan] = (),
        unmapped: Mapping[str, str] | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self.problem, self.slots = problem, slots
        self.unmapped, self._reasons = unmapped or {}, reasons or {}
        self.outputs = outputs or widths(problem)[0]
        self.architecture = architecture or Architecture(problem.batch_size)
        self.blocks = [Block() for _ in range(min(blocks or interface.blocks(), slots))]
        self._pool = ThreadPoolExecutor(len(self.blocks), "lossreg-block")
        self._waiting: list[tuple[int, Plan]] = []
        self._groups: dict[Key, Group] = {}
        self._graph: LaneGraph | None = None
        self._starts: dict[int, Start] = {}
        # in one order, whatever theirs: then a graph that was traced for the same losses before is found
        for plan in sorted(variants, key=lambda plan: repr(static_key(problem, plan))):
            if not self.refuses(plan.candidate):
                self._group(plan)

    def refuses(self, candidate: str) -> str:
        """Return why this population cannot train that candidate; empty when it can."""
        if candidate in self._reasons:
            return self._reasons[candidate]
        if (need := self.problem.outputs(candidate)) != self.outputs:
            return f"{candidate} needs {count_of(need, 'output')}, the population has {self.outputs}"
        optimizer = optimizers.refusal(self.problem.optimizer, self.problem.optimizer_settings)
        return self.unmapped.get(candidate, "") or optimizer or self._model_refusal

    @cached_property
    def _model_refusal(self) -> str:
        return self._slices or model_refusal(self._model, self.problem.folds[0].train.x)

    @property
    def _slices(self) -> str:
        """Return why lanes cannot have the gradients of embeddings that the study asks for; empty where they can."""
        problem = self.problem
        if not problem.sliced or not squares_slices(problem.optimizer, problem.optimizer_settings):
            return ""
        names = ", ".join(tables(self._model, problem.folds[0].train.x))
        return f"train.embedding_gradients is keras, and only model.fit gives {names} those" if names else ""

    @cached_property
    def _model(self) -> keras.Model:
        return self._build(0)

    def _build(self, seed: int) -> keras.Model:
        return self.problem.build(self.outputs, seed, self.architecture)

    def prepare(self) -> None:
        """Trace the graph of the variants."""
        if self._graph is None and self._groups:
            self._graph = self._new_graph()

    def open(self, slot: int, plan: Plan) -> None:
        """Put a plan into a free slot; it starts at the next epoch."""
        self._waiting.append((slot, plan))

    def advance(self) -> dict[int, EpochReport]:
        """Train every open slot for one epoch, all blocks at once."""
        self._admit()
        busy = [block for block in self.blocks if block.lanes]
        # its first call optimises the graph, which several threads would each do
        assert self._graph
        parts = self._pool.map(self._advance, busy) if self._graph.is_warm else list(map(self._advance, busy))
        self._graph.is_warm = True
        reports = {slot: report for part in parts for slot, report in part.items()}
        return dict(sorted(reports.items()))

    def weights(self, slot: int) -> Weights:
        """Return the weights of an open slot, in the order of `model.weights`."""
        block = self._block(slot)
        assert self._graph
        assert block.state
        return self._graph.weights(block.state, block.position(slot))

    def close(self, slot: int) -> None:
        """Free a slot."""
        self._waiting = [pair for pair in self._waiting if pair[0] != slot]
        for block in self.blocks:
            block.drop(slot)

    def shutdown(self) -> None:
        """End the block threads."""
        self._pool.shutdown()

    def _block(self, slot: int) -> Block:
        return next(block for block in self.blocks if block.has(slot))

    def _group(self, plan: Plan) -> int:
        key = static_key(self.problem, plan)
        if key not in self._groups:
            self._groups[key] = group_of(self.problem, plan)
            self._graph = None
        return list(self._groups).index(key)

    def _admit(self) -> None:
        """Move waiting plans into their blocks."""
        lanes = [self._lane(slot, plan) for slot, plan in self._waiting]
        self._waiting = []
        self.prepare()
        graph = self._graph
        assert graph
        for block, new in zip(self.blocks, self._by_block(lanes), strict=True):
            if not new:
                block.compact()
            else:
                starts = [self._initial(lane.plan.seed) for lane in new]
                block.join(new, graph.initial(starts, [lane.plan for lane in new]))

    def _by_block(self, lanes: Sequence[Lane]) -> list[list[Lane]]:
        """Return new lanes by block: equally many, with lanes of one loss together, which makes a step cheaper."""
        groups = [[lane.group for lane in block.lanes] for block in self.blocks]
        by_block: list[list[Lane]] = [[] for _ in self.blocks]
        even = -(-(sum(map(len, groups)) + len(lanes)) // len(groups))
        for lane in lanes:
            full = even + TOGETHER
            loads = [full if len(held) >= even else len(held) - TOGETHER * (lane.group in held) for held in groups]
            best = loads.index(min(loads))
            groups[best].append(lane.group)
            by_block[best].append(lane)
        return by_block

    def _lane(self, slot: int, plan: Plan) -> Lane:
        constants = self.problem.folds[plan.fold].constants
        arguments = loss_arguments(self.problem.losses[plan.candidate], plan.params, constants)
        return Lane(slot, plan, self._group(plan), arguments)

    def _initial(self, seed: int) -> Start:
        if seed not in self._starts:
            self._starts[seed] = programs.of(
                lambda: ("start", seed, self._model_key), lambda: Start.of(self._build(seed))
            )
        return self._starts[seed]

    @cached_property
    def _model_key(self) -> Hashable:
        """A key that equal models share: the configuration, or where a layer has none, the builder of the model."""
        try:
            with backend.without_tensorflow():
                configuration = repr({**self._model.get_config(), "name": ""})
        except Exception:
            return self.outputs, self.architecture, self.problem.builder
        return self.outputs, self.architecture, configuration

    @property
    def _data(self) -> tuple[Samples, Samples]:
        return device_samples(self.problem, "train"), device_samples(self.problem, "validation")

    def _new_graph(self) -> LaneGraph:
        problem, groups = self.problem, list(self._groups.values())
        folds, batch_size = len(problem.folds), self.architecture.batch_size
        width = max(group.width for group in problem.groups.values())

        def key() -> Hashable:
            per_fold = tuple(part.number // folds for part in self._data)
            settings = (problem.optimizer, problem.optimizer_settings, problem.searched, problem.schedule)
            shapes = interface.signature(self._data)
            return (
                "epoch", *map(id, groups), folds > 1, per_fold, batch_size, width, self._model_key,
                repr((shapes, settings)),
            )  # fmt: skip

        def make() -> LaneGraph:
            optimizer = optimizers.LaneOptimizer(problem)
            return LaneGraph(
                self._model, optimizer, groups, data=self._data, folds=folds, batch_size=batch_size, width=width
            )

        graph: LaneGraph = programs.of(key, make)
        return graph

    def _advance(self, block: Block) -> dict[int, EpochReport]:
        graph = self._graph
        assert graph
        assert block.state
        inputs, arrangement, order = self._inputs(graph, block.lanes)
        block.state, outcome = graph.epoch(self._data, block.state, inputs, arrangement)
        reports = self._reports(block.lanes, order, outcome)
        for lane in block.lanes:
            lane.epoch += 1
        return reports

    def _inputs(self, graph: LaneGraph, lanes: Sequence[Lane]) -> tuple[LaneInputs, Any, np.ndarray]:
        order = np.stack([batch_order(lane.plan.seed, lane.epoch, graph.samples) for lane in lanes])
        progress = np.array([(lane.epoch / lane.plan.epochs, 1 / (lane.plan.epochs * graph.steps)) for lane in lanes])
        groups, arguments = [lane.group for lane in lanes], [lane.arguments for lane in lanes]
        return *graph.inputs(order, progress, groups, arguments, [lane.plan.fold for lane in lanes]), order

    def _reports(self, lanes: Sequence[Lane], order: np.ndarray, outcome: Outcome) -> dict[int, EpochReport]:
        train_loss, train, val_loss, val = map(interface.to_host, outcome)
        train_scores, scored = np.empty(len(lanes)), dict[int, Scored]()
        for fold in {lane.plan.fold for lane in lanes}:
            members = [i for i, lane in enumerate(lanes) if lane.plan.fold == fold]
            candidates = [lanes[i].plan.candidate for i in members]
            train_scores[members] = self._train_scores(fold, candidates, train[members], order[members])
            scored |= zip(members, of_validation(self.problem, candidates, val[members], fold), strict=True)
        columns = zip(train_loss.tolist(), val_loss.tolist(), train_scores.tolist(), strict=True)
        return {
            lane.slot: EpochReport(lane.epoch + 1, loss, val_loss, train_score, *scored[i])
            for i, (lane, (loss, val_loss, train_score)) in enumerate(zip(lanes, columns, strict=True))
        }

    def _train_scores(self, fold: int, candidates: list[str], raw_scores: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the `(lanes,)` metric of training raw scores that were kept: those of the last samples in order."""
        y, kept = self.problem.folds[fold].train.scored, order[:, -raw_scores.shape[1] :]
        if kept.shape == order.shape:
            ordered = np.empty_like(raw_scores)
            ordered[np.arange(len(candidates))[:, None], order] = raw_scores
            return score_lanes(self.problem, candidates, ordered, y, fold)
        lanes = zip(candidates, raw_scores, kept, strict=True)
        return np.concatenate(
            [score_lanes(self.problem, [name], values[None], y[positions], fold) for name, values, positions in lanes]
        )
