"""Populations that train nothing, and the factory that makes them."""

from __future__ import annotations

from fake_trainer import Fake
from searches import curve


class Population(Fake):
    """A population of one shape, which raises what its factory's `ill` says."""

    name = "population"

    def __init__(self, factory, key, slots):
        super().__init__(curve, slots)
        self.factory, self.key, self.over = factory, key, False

    def advance(self):
        error = self.factory.ill(self.key, list(self._open.values()))
        if error:
            raise error
        return super().advance()

    def shutdown(self):
        self.over = True


class Factory:
    """Makes populations and remembers them."""

    def __init__(self, slots=99, ill=lambda key, plans: None, refused=()):
        self.slots, self.ill, self.refused, self.populations, self.first = slots, ill, refused, [], []
        self.most_alive = 0

    def key(self, plan):
        return plan.architecture

    def refuses(self, plan):
        return "refused" if plan.candidate in self.refused else ""

    def make(self, plan):
        self.populations.append(Population(self, plan.architecture, self.slots))
        self.most_alive = max(self.most_alive, sum(not one.over for one in self.populations))
        return self.populations[-1]
