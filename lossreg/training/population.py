"""`Population`: many plans trained together, as lanes of one graph, in slots that are refilled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from lossreg.models.embeddings import tables
from lossreg.registry.dense_gradients import squares_slices
from lossreg.storage.records import Weights
from lossreg.training import optimizers
from lossreg.training.backends import interface
from lossreg.training.interface import Architecture, EpochReport, Plan, Problem, batch_order
from lossreg.training.lane_graph import WEIGHTS, Group, LaneGraph, Lot, Outcome, Rows, Start, State
from lossreg.training.loss_arguments import Key, loss_arguments, static_arguments, static_key
from lossreg.training.mappable_models import model_refusal
from lossreg.training.scoring import predicts_only, score_lanes

if TYPE_CHECKING:
    from lossreg.contract.targets import Constants
    from lossreg.data import Dataset, Split

__all__ = ["Population", "device_rows", "encoded", "group_of", "widths"]

# A lane goes to a block with as many more lanes than another, if its loss is there already.
TOGETHER = 2


def widths(problem: Problem) -> list[int]:
    """Widths of raw scores that the losses need, the commonest first."""
    counts = Counter(problem.outputs(candidate) for candidate in problem.losses)
    return [width for width, _ in counts.most_common()]


def group_of(problem: Problem, plan: Plan) -> Group:
    """What lanes that train with the plan's loss and static parameters share; one for the whole study."""
    key = static_key(problem, plan)
    if key not in problem.groups:
        spec, data = problem.losses[plan.candidate], problem.dataset
        shapes = {name: value.shape for name, value in loss_arguments(spec, plan.params, data.constants).items()}
        static = static_arguments(spec, plan.params, data.n_classes)
        problem.groups[key] = Group(spec, data.n_classes, static, shapes)
    return problem.groups[key]


def device_rows(problem: Problem, which: str) -> Rows:
    """The training or validation rows on the device, with the labels of every target kind in use; made once."""
    if which not in problem.rows:
        problem.rows[which] = _device_rows(problem, which)
    rows: Rows = problem.rows[which]
    return rows


def _device_rows(problem: Problem, which: str) -> Rows:
    splits = [getattr(fold, which) for fold in problem.folds]
    columns = [_columns(problem, fold, split) for fold, split in zip(problem.folds, splits, strict=True)]
    return Rows(_of_all([split.x for split in splits]), _of_all(columns))


def _of_all(folds: Sequence[Any]) -> Any:
    """Arrays, or dictionaries of arrays, of all folds one after the other, on the device."""
    if isinstance(folds[0], Mapping):
        return {name: _of_all([fold[name] for fold in folds]) for name in folds[0]}
    return interface.to_device(folds[0] if len(folds) == 1 else np.concatenate(folds))


def _columns(problem: Problem, fold: Dataset, split: Split) -> dict[str, np.ndarray]:
    """What losses look at besides scores; weights where rows have any or a loss asks for them."""
    found = encoded(problem, split.y, fold.constants)
    splits = [own for each in problem.folds for own in (each.train, each.validation)]
    weighted = any(own.weights is not None for own in splits)
    if weighted or any(WEIGHTS in spec.needs for spec in problem.losses.values()):
        found[WEIGHTS] = np.ones(len(split.y), np.float32) if split.weights is None else split.weights
    return found


def encoded(problem: Problem, y: np.ndarray, constants: Constants) -> dict[str, np.ndarray]:
    """These labels in the form of every target kind in use, float32."""
    kinds = {spec.target: spec for spec in problem.losses.values()}
    return {kind: np.asarray(spec.encode(y, constants), np.float32) for kind, spec in kinds.items()}


@dataclass(slots=True)
class Lane:
    """A plan in a slot, and how far it has come."""

    slot: int
    plan: Plan
    group: int
    arguments: dict[str, np.ndarray]
    epoch: int = 0


@dataclass(slots=True)
class Block:
    """Lanes that advance together; one block a core.

    Of `number` lanes in the state, those that were dropped stay until the next epoch: places are those of the others.
    """

    lanes: list[Lane] = field(default_factory=list)
    state: State | None = None
    places: list[int] = field(default_factory=list)
    number: int = 0

    def join(self, lanes: Sequence[Lane], state: State) -> None:
        """Add lanes and their state; lanes stand in order of group and slot, whatever order they came in."""
        places = [*self.places, *range(self.number, self.number + len(lanes))]
        lanes, state = [*self.lanes, *lanes], self.state.join(state) if self.state else state
        order = sorted(range(len(lanes)), key=lambda i: (lanes[i].group, lanes[i].slot))
        self._take([lanes[i] for i in order], state, [places[i] for i in order])

    def settle(self) -> None:
        """Let the state of dropped lanes go."""
        if self.state and self.number > len(self.lanes):
            self._take(self.lanes, self.state, self.places)

    def _take(self, lanes: list[Lane], state: State, places: list[int]) -> None:
        self.lanes, self.state = lanes, state.take(places)
        self.places, self.number = list(range(len(lanes))), len(lanes)

    def has(self, slot: int) -> bool:
        """Whether the lane of that slot is here."""
        return any(lane.slot == slot for lane in self.lanes)

    def drop(self, slot: int) -> None:
        """Remove the lane in that slot."""
        keep = [i for i, lane in enumerate(self.lanes) if lane.slot != slot]
        self.lanes, self.places = [self.lanes[i] for i in keep], [self.places[i] for i in keep]
        if not keep:
            self.state, self.number = None, 0

    def position(self, slot: int) -> int:
        """Where the lane of that slot stands in the state."""
        return next(place for place, lane in zip(self.places, self.lanes, strict=True) if lane.slot == slot)


class Population:
    """Trains up to `slots` plans together, in blocks that advance side by side.

    outputs is the width of its raw scores, by default that of most losses; shape is that of its plans,
    by default the study's; unmapped says why the
    losses of some candidates cannot be mapped over lanes; variants are samples of the plans that will
    come, so that the graph is built once: a plan with other static parameters rebuilds it; reasons are
    the answers of `refuses`, by candidate, that one like it gave.
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
        self._warm = False
        self._starts: dict[int, Start] = {}
        for plan in variants:
            if not self.refuses(plan.candidate):
                self._group(plan)

    def refuses(self, candidate: str) -> str:
        """Why this population cannot train with the loss; empty when it can."""
        if candidate in self._reasons:
            return self._reasons[candidate]
        if (need := self.problem.outputs(candidate)) != self.outputs:
            return f"{candidate} needs {need} outputs, the population has {self.outputs}"
        own = self.unmapped.get(candidate, "")
        return own or optimizers.refusal(self.problem.optimizer, self.problem.optimizer_settings) or self._model_refusal

    @cached_property
    def _model_refusal(self) -> str:
        return self._slices or model_refusal(self._model, self.problem.folds[0].train.x)

    @property
    def _slices(self) -> str:
        """Why the gradients of embeddings that the study asks for are not those of lanes; empty where they are."""
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
        """Trace the graph of the variants that were named."""
        if self._graph is None and self._groups:
            self._graph = self._new_graph()

    def open(self, slot: int, plan: Plan) -> None:
        """Put a plan into a free slot; it starts at the next epoch."""
        self._waiting.append((slot, plan))

    def advance(self) -> dict[int, EpochReport]:
        """Train every open slot for one epoch, all blocks at once."""
        self._admit()
        busy = [block for block in self.blocks if block.lanes]
        # the graph's first call optimises it, which threads that call it together would each do
        parts = self._pool.map(self._advance, busy) if self._warm else list(map(self._advance, busy))
        self._warm = True
        reports = {slot: report for part in parts for slot, report in part.items()}
        return dict(sorted(reports.items()))

    def weights(self, slot: int) -> Weights:
        """The weights of an open slot, in the order of `model.weights`."""
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
            self._graph, self._warm = None, False
        return list(self._groups).index(key)

    def _admit(self) -> None:
        """Move waiting plans into their blocks, lanes of one seed together."""
        lanes = [self._lane(slot, plan) for slot, plan in self._waiting]
        self._waiting = []
        self.prepare()
        graph = self._graph
        assert graph
        for block, new in zip(self.blocks, self._homes(lanes), strict=True):
            if not new:
                block.settle()
            for seed in sorted({lane.plan.seed for lane in new}):
                own = [lane for lane in new if lane.plan.seed == seed]
                state = graph.initial(self._initial(seed), [lane.plan for lane in own])
                block.join(own, state)

    def _homes(self, lanes: Sequence[Lane]) -> list[list[Lane]]:
        """New lanes by block: evenly, and within that those of one loss together, which makes a step cheaper."""
        groups = [[lane.group for lane in block.lanes] for block in self.blocks]
        homes: list[list[Lane]] = [[] for _ in self.blocks]
        even = -(-(sum(map(len, groups)) + len(lanes)) // len(groups))
        for lane in lanes:
            full = even + TOGETHER
            crowd = [full if len(own) >= even else len(own) - TOGETHER * (lane.group in own) for own in groups]
            best = crowd.index(min(crowd))
            groups[best].append(lane.group)
            homes[best].append(lane)
        return homes

    def _lane(self, slot: int, plan: Plan) -> Lane:
        constants = self.problem.folds[plan.fold].constants
        arguments = loss_arguments(self.problem.losses[plan.candidate], plan.params, constants)
        return Lane(slot, plan, self._group(plan), arguments)

    def _initial(self, seed: int) -> Start:
        if seed not in self._starts:
            self._starts[seed] = Start.of(self._build(seed))
        return self._starts[seed]

    def _new_graph(self) -> LaneGraph:
        problem = self.problem
        optimizer = optimizers.LaneOptimizer(problem)
        return LaneGraph(
            self._model, optimizer, list(self._groups.values()), train=device_rows(problem, "train"),
            validation=device_rows(problem, "validation"), folds=len(problem.folds),
            batch_size=self.architecture.batch_size, width=max(group.width for group in problem.groups.values()),
        )  # fmt: skip

    def _advance(self, block: Block) -> dict[int, EpochReport]:
        graph = self._graph
        assert graph
        assert block.state
        lot, arrangement, order = self._lot(graph, block.lanes)
        block.state, outcome = graph.epoch(block.state, lot, arrangement)
        reports = self._reports(block.lanes, order, outcome)
        for lane in block.lanes:
            lane.epoch += 1
        return reports

    def _lot(self, graph: LaneGraph, lanes: Sequence[Lane]) -> tuple[Lot, Any, np.ndarray]:
        order = np.stack([batch_order(lane.plan.seed, lane.epoch, graph.rows) for lane in lanes])
        progress = np.array([(lane.epoch / lane.plan.epochs, 1 / (lane.plan.epochs * graph.steps)) for lane in lanes])
        groups, arguments = [lane.group for lane in lanes], [lane.arguments for lane in lanes]
        return *graph.lot(order, progress, groups, arguments, [lane.plan.fold for lane in lanes]), order

    def _reports(self, lanes: Sequence[Lane], order: np.ndarray, outcome: Outcome) -> dict[int, EpochReport]:
        train_loss, train, val_loss, val = map(interface.to_host, outcome)
        scores, one_class = np.empty((2, len(lanes))), np.empty(len(lanes), int)
        for fold in {lane.plan.fold for lane in lanes}:
            own = [i for i, lane in enumerate(lanes) if lane.plan.fold == fold]
            candidates, data = [lanes[i].plan.candidate for i in own], self.problem.folds[fold]
            scores[0, own] = self._seen(fold, candidates, train[own], order[own])
            scores[1, own] = score_lanes(self.problem, candidates, val[own], data.validation.y, fold)
            one_class[own] = predicts_only(self.problem, candidates, val[own], fold)
        columns = zip(train_loss.tolist(), val_loss.tolist(), *scores.tolist(), one_class.tolist(), strict=True)
        return {lane.slot: EpochReport(lane.epoch + 1, *row) for lane, row in zip(lanes, columns, strict=True)}

    def _seen(self, fold: int, candidates: list[str], scores: np.ndarray, order: np.ndarray) -> np.ndarray:
        """`(lanes,)` metric of the training scores that were kept, those of the last rows in order."""
        y, kept = self.problem.folds[fold].train.y, order[:, -scores.shape[1] :]
        if kept.shape == order.shape:
            ordered = np.empty_like(scores)
            ordered[np.arange(len(candidates))[:, None], order] = scores
            return score_lanes(self.problem, candidates, ordered, y, fold)
        lanes = zip(candidates, scores, kept, strict=True)
        return np.concatenate(
            [score_lanes(self.problem, [candidate], one[None], y[own], fold) for candidate, one, own in lanes]
        )
