"""`Pool`: several trainers behind the one interface, each loss with the first that takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lossreg.trainers.base import EpochReport, Plan, Trainer, Weights


class Pool:
    """The slots of all trainers, numbered through.

    most: how many may be taken at a time, by default all; reasons say, by label, why a loss is not
    with the trainer that one would expect.
    """

    name = "pool"

    def __init__(self, trainers: Sequence[Trainer], reasons: Mapping[str, str] | None = None, most: int = 0) -> None:
        self.trainers, self.reasons = list(trainers), reasons or {}
        self._places = [(trainer, slot) for trainer in self.trainers for slot in range(trainer.slots)]
        self._taken: set[int] = set()
        self.slots = min(most or len(self._places), len(self._places))

    def trainer(self, label: str) -> tuple[Trainer, str]:
        """The trainer of a loss, and why those of another kind before it refused."""
        refused: list[tuple[str, str]] = []
        for trainer in self.trainers:
            reason = trainer.refuses(label)
            if not reason:
                why = "; ".join(said for name, said in refused if name != trainer.name)
                return trainer, self.reasons.get(label) or why
            refused.append((trainer.name, reason))
        raise LookupError(self.reasons.get(label) or "; ".join(said for _, said in refused))

    def free(self, label: str) -> int | None:
        """The lowest free slot of the loss's trainer, None when it is full."""
        if not self.idle:
            return None
        trainer, _ = self.trainer(label)
        slots = (i for i, (own, _) in enumerate(self._places) if own is trainer and i not in self._taken)
        return next(slots, None)

    @property
    def idle(self) -> bool:
        """Whether any slot is free that a loss could take."""
        return len(self._taken) < self.slots

    def prepare(self) -> None:
        """Have every trainer build what it needs."""
        for trainer in self.trainers:
            trainer.prepare()

    def open(self, slot: int, plan: Plan) -> None:
        """Put a plan into a free slot."""
        trainer, own = self._places[slot]
        trainer.open(own, plan)
        self._taken.add(slot)

    def advance(self) -> tuple[dict[int, EpochReport], dict[int, Exception]]:
        """Train every open slot for one epoch: reports by slot, and what the plan in a slot raised.

        Where a trainer of several slots raises, no plan can be blamed: the exception is passed on.
        """
        reports: dict[int, EpochReport] = {}
        failures: dict[int, Exception] = {}
        for trainer in self.trainers:
            first = next(i for i, (own, _) in enumerate(self._places) if own is trainer)
            if not any(self._places[slot][0] is trainer for slot in self._taken):
                continue
            try:
                reports |= {first + own: report for own, report in trainer.advance().items()}
            except Exception as error:
                if trainer.slots > 1:
                    raise
                failures[first] = error
        return reports, failures

    def weights(self, slot: int) -> Weights:
        """The weights of an open slot."""
        trainer, own = self._places[slot]
        return trainer.weights(own)

    def close(self, slot: int) -> None:
        """Free a slot."""
        trainer, own = self._places[slot]
        trainer.close(own)
        self._taken.discard(slot)

    def shutdown(self) -> None:
        """End what the trainers hold."""
        for trainer in self.trainers:
            trainer.shutdown()
