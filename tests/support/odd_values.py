"""Values that wrong calls are made with."""


class Unspeakable:
    """A value whose text cannot be had."""

    def __repr__(self):
        raise RuntimeError("no text")

    __str__ = __repr__


class Vague:
    """A value that is equal to nothing and to nothing not."""

    def __eq__(self, other):
        raise ValueError("ambiguous")

    __hash__ = None
