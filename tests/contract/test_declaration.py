"""Losses declared by a decorator, and the long form in which plugins of earlier versions are written."""

import functools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import lossreg
from lossreg import Claims, Float, InputError, Limit, LossSpec, ops, wrap
from lossreg.contract.declaration import declared_in, spec_of

SOURCE = {"reference": "nobody"}
C = Float("c", 1.0, 0.1, 10.0, log=True, domain="(0, inf)")


@lossreg.regression_loss(params=(C,), aliases=("fourth",), minimum=None, recommended=("count",), **SOURCE)
def quartic(y_true, y_pred, *, c):
    """A square with
    steeper walls.

        e^2
        + (e/c)^4

    Raw scores to values.
    """
    error = y_pred - y_true
    return ops.mean(error**2 + (error / c) ** 4, axis=-1)


LONG_FORM = LossSpec(
    name="quartic", function=quartic, tasks=("regression", "positive", "count"), summary="A square with steeper walls.",
    reference="nobody", formula="e^2 + (e/c)^4", aliases=("fourth",), params=(C,), target="real", outputs="1",
    link="identity", symmetric=True, minimum=None, recommended=("count",),
)  # fmt: skip


def test_a_decorated_function_has_the_spec_of_the_long_form_and_is_called_as_before():
    assert quartic.spec == LONG_FORM
    assert quartic.spec.function is quartic
    assert quartic(np.zeros((1, 1)), np.full((1, 1), 2.0), c=1.0)[0] == 20.0


@pytest.mark.parametrize(
    ("kind", "target", "outputs", "activation", "task"),
    [
        (lossreg.softmax_loss, "onehot", "k", "softmax", "multiclass"),
        (lossreg.sigmoid_loss, "binary", "1", "sigmoid", "segmentation"),
        (lossreg.margin_loss, "signed", "1", "identity", "binary"),
        (lossreg.multilabel_loss, "multihot", "k", "sigmoid", "multilabel"),
        (lossreg.regression_loss, "real", "1", "identity", "count"),
    ],
)
def test_a_kind_says_what_labels_and_raw_scores_are_and_its_facts_can_be_changed(
    kind, target, outputs, activation, task
):
    def declared(**facts):
        def mine(y, z):
            """Mine."""

        return kind(**SOURCE, **facts)(mine).spec

    spec = declared()
    assert (spec.target, spec.outputs, spec.activation) == (target, outputs, activation)
    assert task in spec.tasks
    facts = {"outputs": "7", "name": "other", "summary": "Else.", "formula": "z"}
    other = declared(**facts)
    assert other == replace(spec, function=other.function, **facts)


def test_a_formula_at_the_end_of_a_docstring_is_read():
    @lossreg.regression_loss(**SOURCE)
    def mine(y_true, y_pred):
        """Mine.

        |e|
          + e^2
        """

    assert (mine.spec.summary, mine.spec.formula) == ("Mine.", "|e| + e^2")


def test_losses_are_declared_where_python_drops_docstrings():
    code = "from lossreg.registry.registry import default; print(default().find('huber').spec.summary, default.__doc__)"
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("huber None", "")


def test_a_second_paragraph_that_is_not_indented_is_no_formula():
    @lossreg.loss(tasks=("binary",), **SOURCE)
    def mine(y, z):
        """Mine.

        y_true `(batch, k)`:
            labels.
        """

    assert (mine.spec.summary, mine.spec.formula) == ("Mine.", "")


def undocumented(y, z):
    return z


@pytest.mark.parametrize(
    ("facts", "function", "message"),
    [
        (SOURCE, undocumented, "loss 'undocumented': summary is missing"),
        ({"summary": "s"}, undocumented, "loss 'undocumented': reference is missing"),
        ({**SOURCE, "summary": "s"}, lambda y, z: z, "loss '<lambda>': the name must be snake_case"),
        ({**SOURCE, "summary": "s"}, len, "built-in function len> is no function"),
        ({**SOURCE, "summary": "s", "kind": 1}, undocumented, "loss 'undocumented': unknown keyword 'kind'"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_refused_in_words(facts, function, message):
    with pytest.raises(InputError, match=message):
        lossreg.softmax_loss(**facts)(function)
    assert spec_of(function) is None


def test_the_losses_of_a_module_are_those_that_it_defines():
    assert list(declared_in(sys.modules[__name__])) == [quartic.spec]


SOUND = {"name": "mine", "function": abs, "tasks": ("multiclass",), "summary": "s", "reference": "r"}


def test_claims_are_given_together_or_one_by_one():
    claims = Claims(minimum=1.0, limits=(Limit({}, "cross_entropy"),), elicits="mode")
    spec = LossSpec(**SOUND, claims=claims)
    assert spec == LossSpec(**SOUND, minimum=1.0, limits=(Limit({}, "cross_entropy"),), elicits="mode")
    assert replace(spec, minimum=2.0).claims == replace(claims, minimum=2.0)


def test_names_of_earlier_versions_are_taken():
    new = LossSpec(**SOUND, activation="sigmoid", same_as="focal", claims=Claims(non_differentiable_points=True))
    assert LossSpec(**SOUND, link="sigmoid", twin_of="focal", kinks=True) == new


@pytest.mark.parametrize(("old", "new"), [("link", "activation"), ("twin_of", "same_as")])
def test_a_field_given_under_both_its_names_is_refused(old, new):
    with pytest.raises(InputError, match=f"{old} is an earlier name of {new}, which is given too"):
        LossSpec(**SOUND, **{old: "sigmoid", new: "sigmoid"})


def test_an_activation_under_both_its_names_is_refused_for_a_function_too():
    with pytest.raises(InputError, match="link is an earlier name of activation, which is given too"):
        wrap(lambda y_true, y_pred: y_true - y_pred, name="mine", link="softmax", activation="sigmoid")


def test_the_first_of_several_unknown_keywords_is_named():
    unknown = {f"unknown_{letter}": 1 for letter in "cabd"}
    with pytest.raises(InputError, match="unknown keyword 'unknown_c'"):
        LossSpec(**SOUND, **unknown)


def test_a_declared_loss_is_taken_as_declared_and_not_as_a_function_of_predictions():
    loss = lossreg.get(quartic, c=2.0, target_scale=2.0, from_logits=True)
    assert loss.spec is quartic.spec
    with pytest.raises(InputError, match="it is a LossSpec already, or has one"):
        wrap(quartic)


KINDS = (
    lossreg.loss, lossreg.softmax_loss, lossreg.sigmoid_loss, lossreg.margin_loss, lossreg.multilabel_loss,
    lossreg.regression_loss,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_takes_the_names_of_earlier_versions(kind):
    facts = {**SOURCE, "tasks": ("binary",), "name": "mine", "summary": "Mine."}
    spec = kind(**facts, link="softplus", twin_of="focal", kinks=True)(lambda y, z: z).spec
    assert (spec.activation, spec.same_as, spec.claims.non_differentiable_points) == ("softplus", "focal", True)
    with pytest.raises(InputError, match="link is an earlier name of activation, which is given too"):
        kind(**facts, link="softplus", activation="softplus")


@pytest.mark.parametrize(
    ("kind", "claims", "expected"),
    [
        (lossreg.softmax_loss, Claims(shift_invariant=False), Claims()),
        (lossreg.softmax_loss, Claims(minimum=None), Claims(minimum=None, shift_invariant=True)),
        (lossreg.margin_loss, Claims(symmetric=False, elicits="mean"), Claims(elicits="mean")),
        (lossreg.margin_loss, Claims(kinks=True), Claims(kinks=True, symmetric=True, elicits="mode")),
        (lossreg.regression_loss, Claims(symmetric=False), Claims()),
    ],
)  # fmt: skip
def test_claims_that_the_author_states_stand_before_those_of_the_kind(kind, claims, expected):
    assert kind(**SOURCE, summary="s", name="mine", claims=claims)(lambda y, z: z).spec.claims == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_decorator_without_parentheses_is_refused_with_what_to_write(kind):
    where = f"@{kind.__name__}"
    with pytest.raises(
        InputError, match=f"{where}: it is given a function. Write {where}\\(tasks=..., reference=...\\)"
    ):
        kind(undocumented)
    with pytest.raises(InputError, match=f"{where}: it takes no 'mine' without a name"):
        kind("mine")


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"foo": 1}, "Claims: unknown keyword 'foo'"),
        ({"symetric": True}, "Claims: unknown keyword 'symetric'. Did you mean symmetric?"),
        ({"kinks": True, "non_differentiable_points": True}, "Claims: kinks is an earlier name of non_differentiable_"),
    ],
)
def test_a_claim_that_there_is_not_is_refused(claims, message):
    with pytest.raises(InputError, match=message):
        Claims(**claims)


class Methods:
    def bound(self, y_true, y_pred, *, c):
        """A method."""


async def later(y_true, y_pred, *, c): ...


def one_by_one(y_true, y_pred, *, c):
    yield y_pred


async def later_one_by_one(y_true, y_pred, *, c):
    yield y_pred


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: 0, r"cannot be called as .*\(y_true, y_pred, c=...\): too many positional arguments"),
        (lambda y_true, *, c: 0, "too many positional arguments"),
        (lambda *, y_true, y_pred, c: 0, "too many positional arguments"),
        (lambda y_true, y_pred: 0, "got an unexpected keyword argument 'c'"),
        (lambda y_true, c: 0, "multiple values for argument 'c'"),
        (lambda y_true, y_pred, *, c, d: 0, "missing a required argument: 'd'"),
        (lambda y_true, y_pred, c, /: 0, "positional"),
        (Methods.bound, r"missing a required argument: 'y_pred'. It takes \(self, y_true, y_pred, \*, c\)"),
        (later, "must return the values: neither `async def` nor `yield`"),
        (one_by_one, "must return the values"),
        (later_one_by_one, "must return the values"),
    ],
)
def test_a_function_that_cannot_be_called_as_a_loss_is_refused(function, message):
    facts = {**SOURCE, "name": "mine", "summary": "s", "params": (C,)}
    with pytest.raises(InputError, match=f"loss 'mine': its function .*{message}"):
        lossreg.regression_loss(**facts)(function)


@pytest.mark.parametrize(
    "function",
    [
        lambda y_true, y_pred, c: 0,
        lambda y_true, y_pred, *, c, d=2: 0,
        lambda *arguments, **named: 0,
        functools.wraps(one_by_one)(lambda y_true, y_pred, **named: 0),
    ],
)
def test_a_function_that_may_be_called_as_a_loss_is_taken(function):
    assert lossreg.regression_loss(name="mine", summary="s", params=(C,), **SOURCE)(function).spec.function is function


def test_the_constants_that_a_loss_asks_for_are_among_its_arguments():
    with pytest.raises(InputError, match="got an unexpected keyword argument 'class_counts'"):
        lossreg.softmax_loss(**SOURCE, name="mine", summary="s", needs=("class_counts",))(lambda y, z: z)


def wrapping(function):
    @functools.wraps(function)
    def wrapper(*arguments, **named):
        return 2 * function(*arguments, **named)

    return wrapper


@pytest.mark.parametrize("wrap_it", [wrapping, functools.lru_cache])
def test_a_decorator_above_the_one_that_declares_a_loss_is_refused(wrap_it):
    def mine(y, z):
        """Mine."""

    above = wrap_it(lossreg.softmax_loss(**SOURCE)(mine))
    hint = "Put the decorator that declares the loss above all others"
    for take in (spec_of, lossreg.get, wrap):
        with pytest.raises(InputError, match=f"loss 'mine': a decorator .* would not be called. {hint}"):
            take(above)


def test_other_decorators_stand_below_the_one_that_declares_a_loss():
    @lossreg.softmax_loss(**SOURCE)
    @wrapping
    def mine(y, z):
        """Mine."""
        return z

    assert spec_of(mine).function(0, 3) == 6


@pytest.mark.parametrize("between", [lambda function: function, wrapping])
def test_a_function_is_declared_once(between):
    @lossreg.softmax_loss(**SOURCE)
    def mine(y, z):
        """Mine."""

    with pytest.raises(InputError, match="loss 'mine': it is declared by a decorator below this one too"):
        lossreg.sigmoid_loss(**SOURCE)(between(mine))


def test_the_function_of_a_decorator_is_the_one_below_it():
    with pytest.raises(InputError, match="function is the decorated one"):
        lossreg.softmax_loss(**SOURCE, function=max)(undocumented)


def test_an_empty_reference_is_refused():
    with pytest.raises(InputError, match=r"@loss: the reference is empty\. Name"):
        lossreg.loss(reference="")
