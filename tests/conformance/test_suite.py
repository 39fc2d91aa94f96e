"""Every installed loss against the conformance suite, the suite on broken losses, and `lossreg check`."""

import io
import json
import math

import commands
import keras
import numpy as np
import pytest
from quick import ONE_PER_TARGET, long_but, quick_checks

import lossreg
from lossreg import Choice, Float, LossSpec, conformance, ops
from lossreg.conformance import CHECKS, Suite
from lossreg.errors import InputError, UnknownError
from lossreg.registry import registry
from lossreg.registry.registry import Entry, Registry

SPECS = {entry.spec.name: entry.spec for entry in registry.default().specs()}


ORDER = [
    "metadata", "names", "golden", "shape", "labels", "finite", "confidently_wrong", "gradient",
    "precision", "shift", "permutation", "batch", "reduction", "weights", "empty", "minimum",
    "arguments", "descent", "optimum", "limits", "alive", "domain", "soft_labels", "saving",
    "graph", "purity", "constants", "fuzz", "units", "lanes", "binary_side",
]  # fmt: skip


def spec(function, **fields):
    usual = {
        "name": function.__name__.strip("<>"),
        "tasks": ("binary", "multiclass"),
        "summary": "a loss of this test",
        "reference": "this test",
        "formula": "see the code",
        "shift_invariant": True,
    }
    return LossSpec(**{"function": function, **usual, **fields})


def cross_entropy(y, z):
    return -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)


def squares(y, z, *, scale):
    return scale * ops.square(z - y)[:, 0]


def uncallable(y, z):
    return -ops.sum(y * ops.logarithmic_softmax(z), axis=-1)


def of_numpy(y, z):
    return ops.convert_to_tensor(-(np.asarray(y) * np.asarray(ops.log_softmax(z))).sum(axis=-1))


def summed(y, z):
    return ops.sum(cross_entropy(y, z)) + 0.0 * z[:, 0]


def with_constant(y, z):
    return cross_entropy(y, z) * ops.convert_to_tensor(1.0, dtype="float32")


def failing(loss, *names):
    return {result.name: result.message for result in conformance.check(loss, names) if not result.ok}


@pytest.mark.parametrize("name", SPECS)
def test_installed_loss_passes_every_quick_check(name):
    assert failing(name, *quick_checks(SPECS[name])) == {}


@pytest.mark.parametrize("name", long_but(ONE_PER_TARGET, list(SPECS)))
def test_installed_loss_passes_every_other_check(name):
    assert failing(name, *(CHECKS.keys() - quick_checks(SPECS[name]))) == {}


def test_checks_stand_in_order_and_say_what_they_check():
    assert list(CHECKS) == ORDER
    assert all(check.name == name and check.summary for name, check in CHECKS.items())


def test_results_are_in_order_with_messages_and_times():
    results = conformance.check("cross_entropy", ("shape", "metadata"))
    assert [result.name for result in results] == ["metadata", "shape"]
    assert all(result.ok and result.message and result.seconds >= 0 for result in results)


@pytest.mark.parametrize(
    ("loss", "check", "message"),
    [
        ("cross_entropy", "names", "no other loss has any of its names"),
        ("squentropy", "names", "no other loss has its name"),
        ("categorical_hinge", "alive", "margin has an effect"),
        ("square_loss", "alive", "kappa, M have an effect"),
    ],
)
def test_passed_checks_are_told_in_words(loss, check, message):
    [result] = conformance.check(loss, (check,))
    assert (result.ok, result.message) == (True, message)


@pytest.mark.parametrize(
    ("loss", "only", "message"),
    [("cros_entropy", (), "cross_entropy"), ("huber", ("gradent",), "gradient")],
)
def test_unknown_losses_and_checks_are_refused_with_the_nearest_name(loss, only, message):
    with pytest.raises(UnknownError, match=f"Did you mean {message}"):
        conformance.check(loss, only)


def test_loss_that_cannot_be_called_fails_in_one_sentence_each():
    messages = failing(spec(uncallable))
    assert set(messages) == set(CHECKS) - {"metadata", "names"}
    assert "logarithmic_softmax" in messages["shape"]
    assert all(message.startswith("not run: ") for name, message in messages.items() if name != "shape")
    assert not any("Traceback" in message or "\n" in message for message in messages.values())


def test_loss_that_returns_one_number_is_told_the_shape_that_it_needs():
    messages = failing(spec(lambda y, z: ops.mean(cross_entropy(y, z)), name="averaged"), "shape")
    assert "shape () for 5 samples" in messages["shape"]
    assert "(batch,)" in messages["shape"]


def test_loss_that_fails_in_float64_only_fails_precision_and_the_rest_is_not_run():
    messages = failing(spec(with_constant), "shape", "precision")
    assert "In float32 it can be called" in messages["precision"]
    assert messages["shape"].startswith("not run: ")


def test_messages_have_the_numbers_the_setting_and_what_mends_it():
    dead = spec(squares, tasks=("regression",), target="real", outputs="1", activation="identity",
                shift_invariant=False,
                symmetric=True, params=(Float("scale", 1.0, 0.1, 10.0, domain="(0, inf)"),))  # fmt: skip
    assert failing(dead) == {
        "alive": "scale = 0.1 and 10 differ only by a common factor, if at all. Use it so that samples change relative "
        "to each other: a common factor is the learning rate's."
    }


def test_sum_over_the_batch_is_found():
    assert {"batch", "reduction"} <= set(failing(spec(summed), "batch", "reduction"))


def test_numpy_inside_is_found_though_it_works_at_once():
    assert "no gradient" in failing(spec(of_numpy), "confidently_wrong")["confidently_wrong"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"summary": ""}, "summary is empty"),
        ({"recommended": ("regression",)}, "recommended for regression"),
        ({"activation": "identity", "probabilistic": True}, "probabilistic, and the activation is the identity"),
        ({"twin_of": "cros_entropy"}, "'cros_entropy', which is no registered loss"),
        ({"params": (Choice("base", "e", ("e", "2")),)}, "does not take 'base'"),
        ({"score_range": (1.0, 2.0)}, "does not hold 0"),
        ({"tasks": ("regression",)}, "does not serve regression"),
    ],
)
def test_contradictions_in_a_spec_are_said(fields, message):
    assert message in failing(spec(cross_entropy, name="mine", **fields), "metadata")["metadata"]


def test_a_taken_name_is_said_with_its_owner():
    assert "leads to the loss huber" in failing(spec(cross_entropy, name="mine", aliases=("Huber",)), "names")["names"]


def test_golden_values_may_be_given():
    entry = {"y": [[0.0, 1.0]], "z": [[0.0, 0.0]], "values": [math.log(2.0)], "source": "by hand"}
    (right,) = conformance.check(spec(cross_entropy, name="mine"), ["golden"], [entry])
    (wrong,) = conformance.check(spec(cross_entropy, name="mine"), ["golden"], [{**entry, "values": [0.7]}])
    assert right.ok
    assert not wrong.ok
    assert "by hand has 0.7" in wrong.message


def test_a_user_loss_without_a_config_is_found():
    class Scaled(keras.losses.Loss):
        def __init__(self, factor=1.0):
            super().__init__()
            self.factor = factor

        def call(self, y_true, y_pred):
            return ops.mean(self.factor * ops.square(y_pred - y_true), axis=-1)

    assert "cannot be saved" in failing(lossreg.wrap(Scaled(3.0), name="scaled"), "saving")["saving"]


def test_checks_leave_keras_and_the_registry_as_they_were():
    before = registry.default(), keras.config.floatx()
    Suite("focal").run("saving")
    Suite("focal").run("gradient")
    assert (registry.default(), keras.config.floatx()) == before


@pytest.mark.parametrize(("loss", "activation"), [("focal", "softmax"), ("binary_focal", "sigmoid")])
def test_probabilities_in_place_of_raw_scores_are_refused_in_training(loss, activation):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3 - 2 * (activation == "sigmoid"))])
    model.add(keras.layers.Activation(activation))
    model.compile(optimizer="sgd", loss=lossreg.get(loss, from_logits=True))
    with pytest.raises(InputError, match=f"from_logits=True, and the predictions come from {activation}"):
        model.train_on_batch(np.zeros((4, 2)), np.array([0, 1, 1, 0]))


# ------------------------------------------------------------------ the command


@pytest.fixture
def lossreg_(monkeypatch, capsys):
    return commands.runner(monkeypatch, capsys)


@pytest.fixture
def two(monkeypatch):
    """Two losses installed, of which one is wrong."""
    wrong = spec(lambda y, z: -cross_entropy(y, z), name="upside_down")
    entries = [Entry(spec(cross_entropy, name="upright"), "mine"), Entry(wrong, "mine")]
    monkeypatch.setattr(registry, "default", lambda block=(): Registry(entries))


def test_one_loss_is_a_table_of_its_checks(lossreg_):
    code, out, err = lossreg_("check", "MSE", "--only", "shape", "--only", "finite")
    assert (code, err) == (0, "")
    assert "mean_squared_error" in out
    assert out.index("shape") < out.index("finite")
    assert "2 of 2 checks pass" in out


def test_checks_that_do_not_apply_are_not_counted_as_passed(lossreg_):
    only = ("--only", "shape", "--only", "domain", "--only", "fuzz")
    code, out, _ = lossreg_("check", "MSE", *only, "--json")
    told = [check["message"].startswith("does not apply") for check in json.loads(out)[0]["checks"]]
    assert 0 < sum(told) < len(told)
    code, out, _ = lossreg_("check", "MSE", *only)
    assert code == 0
    assert (len(told), sum(told)) == (3, 2)
    assert "1 of 1 check passes, 2 do not apply" in " ".join(out.split())


@pytest.mark.usefixtures("two")
def test_several_losses_are_a_row_each_and_failures_are_told_below(lossreg_):
    code, out, err = lossreg_("check", "--only", "shape", "--only", "minimum")
    assert code == 1
    assert "1 of 2 losses pass" in out
    assert "upside_down: minimum: " in out
    assert [word for word in out.split() if word.endswith("/2")] == ["2/2", "1/2"]
    assert err == "1/2 upright 2/2\n2/2 upside_down 1/2\n"


@pytest.mark.usefixtures("two")
def test_the_document_has_every_result(lossreg_):
    code, out, _ = lossreg_("check", "upside_down", "upright", "--only", "minimum", "--json")
    wrong, right = json.load(io.StringIO(out))
    assert code == 1
    assert (wrong["loss"], wrong["plugin"], wrong["passed"]) == ("upside_down", "mine", False)
    assert right["passed"] is True
    (result,) = wrong["checks"]
    assert set(result) == {"name", "ok", "message", "seconds"}
    assert (result["name"], result["ok"]) == ("minimum", False)


@pytest.mark.parametrize(
    ("args", "message"), [(("focl",), "Did you mean focal?"), (("focal", "--only", "lane"), "Did you mean lanes?")]
)
def test_unknown_names_exit_2(lossreg_, args, message):
    code, out, err = lossreg_("check", *args)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("kind", [lossreg.regression_loss, lossreg.margin_loss])
def test_a_loss_that_is_not_symmetric_is_told_what_its_kind_declares(kind):
    def declared(**facts):
        return kind(name="pinball", summary="s", reference="r", tasks=("regression", "binary"), **facts)(
            lambda y, z: ops.maximum((z - y)[:, 0], 2.0 * (y - z)[:, 0])
        ).spec

    message = failing(declared(), "arguments")["arguments"]
    assert "Declare symmetric=False (regression_loss and margin_loss declare it True unless told otherwise)." in message
    assert failing(declared(symmetric=False), "arguments") == {}
