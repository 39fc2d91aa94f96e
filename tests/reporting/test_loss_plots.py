"""Pictures of losses: what is drawn is the loss and its gradient, for every registered loss and for odd ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from keras import ops
from quick import ONE_PER_TARGET, long_but
from scipy import special

from lossreg import Choice, Float, InputError, Int, LossregError, LossSpec, PerClass
from lossreg.registry import registry
from lossreg.reporting import loss_curves, loss_plots

SPECS = {entry.spec.name: entry.spec for entry in registry.default().specs()}


def drawn(spec):
    """The lines of a loss's picture: {panel title: {label: (x, loss, gradient)}}."""
    figure = loss_plots.figure(SPECS[spec] if isinstance(spec, str) else spec)
    columns = len(figure.axes) // 2
    actual = {}
    for above, below in zip(figure.axes[:columns], figure.axes[columns:], strict=True):
        lines = [{line.get_label(): line.get_data() for line in axes.get_lines()} for axes in (above, below)]
        labels = [label for label in lines[0] if not label.startswith("_")]
        actual[above.get_title()] = {name: (*lines[0][name], lines[1][name][1]) for name in labels}
    return actual


def sigmoid(x):
    return special.expit(x)


def softplus(x):
    return np.logaddexp(0.0, x)


def focal(x, gamma, alpha=1.0):
    return alpha * sigmoid(-x) ** gamma * softplus(-x)


def huber(x, delta):
    return np.where(np.abs(x) <= delta, x**2 / 2, delta * np.abs(x) - delta**2 / 2)


def tweedie(log_ratio, y, p):
    mu = y * np.exp(log_ratio)
    values = -y * mu ** (1 - p) / (1 - p) + mu ** (2 - p) / (2 - p)
    return values - values.min()


def pinballs(e, levels):
    return np.mean(
        [np.maximum(-q * (e + step), (1 - q) * (e + step)) for q, step in zip(levels, (-1, 0, 1), strict=True)], axis=0
    )


EXPECTED = {
    "focal, gamma": ("focal", "gamma", "5", lambda x: focal(x, 5.0)),
    "focal, default": ("focal", "gamma", "2 (default)", lambda x: focal(x, 2.0)),
    "focal, weight of a class": ("focal", "alpha of the true class", "4", lambda x: focal(x, 2.0, 4.0)),
    "cross-entropy beside focal": ("focal", "gamma", "cross-entropy", lambda x: softplus(-x)),
    "binary_focal, other class": ("binary_focal", "true class", "0", lambda x: focal(x, 2.0, 0.75)),
    "binary_focal, no alpha": ("binary_focal", "alpha (true class 1)", "absent", lambda x: focal(x, 2.0)),
    "hinge": ("hinge", "margin", "2", lambda x: np.maximum(0.0, 2.0 - x)),
    "weighted_ce of a rare class": ("weighted_ce", "true class", "1 (10% of the rows)", lambda x: 5.0 * softplus(-x)),
    "multilabel_bce": ("multilabel_bce", "", "multilabel_bce", lambda x: (softplus(-x) + 2 * np.log(2.0)) / 3),
    "huber": ("huber", "delta", "1.345 (default)", lambda x: huber(x, 1.345)),
    "squared error beside huber": ("huber", "delta", "squared error", np.square),
    "quantile, not searched": ("quantile", "q", "0.9", lambda x: np.maximum(-0.9 * x, 0.1 * x)),
    "multi_quantile": ("multi_quantile", "levels", "(0.1, 0.5, 0.9) (default)",
                       lambda x: pinballs(x, (0.1, 0.5, 0.9))),
    "tweedie by target": ("tweedie", "target", "5", lambda x: tweedie(x, 5.0, 1.5)),
    "tweedie by power": ("tweedie", "p (target 2)", "1.05", lambda x: tweedie(x, 2.0, 1.05)),
    "laplace_nll": ("laplace_nll", "second output", "1", lambda x: 1.0 + np.abs(x) / np.e),
    "mean_absolute_percentage_error": ("mean_absolute_percentage_error", "target", "4", lambda x: 25.0 * np.abs(x)),
    "mean_squared_logarithmic_error": ("mean_squared_logarithmic_error", "target", "1",
                                       lambda x: (np.log1p(softplus(x)) - np.log(2.0)) ** 2),
}  # fmt: skip


@pytest.mark.parametrize("case", EXPECTED)
def test_curves_are_the_loss_and_its_gradient(case):
    name, title, label, formula = EXPECTED[case]
    x, loss, gradient = drawn(name)[title][label]
    np.testing.assert_allclose(loss, formula(x), rtol=2e-3, atol=2e-3)
    step = 1e-5
    slope = (formula(x + step) - formula(x - step)) / (2 * step)
    np.testing.assert_allclose(gradient, slope, rtol=5e-3, atol=2e-3)


@pytest.mark.parametrize("name", long_but(ONE_PER_TARGET, list(SPECS)))
def test_every_loss_is_drawn_without_a_warning(name):
    figure = loss_plots.figure(SPECS[name])
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    for axes in figure.axes:
        low, high = axes.get_ylim()
        lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
        assert all(np.isfinite(line.get_ydata()).all() for line in lines)
        seen = [line for line in lines if ((line.get_ydata() > low) & (line.get_ydata() < high)).any()]
        assert len(seen) > len(lines) / 2
    assert (
        any(line.get_linewidth() > 2 or len(figure.axes) == 2 for line in figure.axes[0].get_lines())
        or len(figure.axes) > 2
    )


@pytest.mark.parametrize("name", ["focal", "huber", "asymmetric", "barron", "gaussian_nll", "taylor_glo"])
def test_labels_do_not_overlap(name):
    figure = loss_plots.figure(SPECS[name])
    figure.draw_without_rendering()
    legends = [axes.get_legend().get_window_extent() for axes in figure.axes if axes.get_legend()]
    bodies = [axes.get_window_extent() for axes in figure.axes]
    titles = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    assert not any(legend.overlaps(body) for legend in legends for body in bodies)
    assert not any(one.overlaps(other) for i, one in enumerate(titles) for other in titles[:i])


# ------------------------------------------------------------------------- which values are drawn

VALUES = {
    "linear": (Float("q", 2.0, 0.0, 6.0), [0.0, 2.0, 4.0, 6.0]),
    "log": (Float("q", 1.0, 0.01, 10.0, log=True), [0.01, 0.1, 1.0, 10.0]),
    "may be absent": (Float("q", None, 0.0, 3.0, optional=True), [None, 0.0, 1.0, 2.0, 3.0]),
    "not searched": (Float("q", 0.5, 0.5, 0.5, domain="(0, 1)"), [0.1, 0.5, 0.9]),
    "not searched, no ends": (Float("q", 2.0, 2.0, 2.0), [2.0]),
    "whole": (Int("q", 2, 1, 7), [1, 2, 3, 5, 7]),
    "names": (Choice("q", "b", ("a", "b", "c")), ["b", "a", "c"]),
    "of a class": (PerClass("q"), [0.25, 0.5, 1.0, 2.0, 4.0]),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_are_the_default_and_some_across_the_range(case):
    param, expected = VALUES[case]
    assert loss_curves.values(param) == expected


@pytest.mark.parametrize("name", SPECS)
def test_values_lie_in_the_domain_and_have_the_default(name):
    for param in SPECS[name].params:
        actual = loss_curves.values(param)
        checked = [param.check(value if not isinstance(param, PerClass) else [value]) for value in actual]
        assert len({str(value) for value in checked}) == len(actual) <= 6
        assert isinstance(param, PerClass) or param.default in actual


# -------------------------------------------------------------------------------- other shapes


def new_spec(name="made", **fields):
    return LossSpec(name=name, summary="s", reference="r", formula="$f_{", **fields)


def above_each_class(y_true, y_pred):
    """Sum of the binary cross-entropies of `is the class above j?`."""
    places = ops.arange(y_pred.shape[-1], dtype=y_pred.dtype)
    return ops.sum(ops.softplus(ops.where(y_true > places, -y_pred, y_pred)), axis=-1)


def test_ordered_classes_have_a_curve_each_with_its_least_at_its_place():
    spec = new_spec(function=above_each_class, tasks=("multiclass",), target="ordinal", outputs="k-1")
    actual = drawn(spec)["true class"]
    assert list(actual) == ["0", "1", "2", "3"]
    for true in (1, 2):
        x, loss, _ = actual[str(true)]
        assert x[np.argmin(loss)] == pytest.approx(true, abs=0.02)


def test_a_loss_of_whole_batches_is_that_of_a_batch_with_the_sample():
    def spread(y_true, y_pred, *, c):
        return ops.ones_like(y_pred[:, 0]) * c * ops.mean(y_pred * (1.0 - 2.0 * y_true))

    spec = new_spec(
        function=spread, tasks=("binary",), target="binary", outputs="1", activation="sigmoid", level="batch",
        params=(Float("c", 1.0, 1.0, 3.0),),
    )  # fmt: skip
    x, loss, gradient = drawn(spec)["c"]["3"]
    np.testing.assert_allclose(loss, 3.0 * (-2.0 - 2.0 - x) / 3.0, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradient, -1.0, rtol=1e-4)


def test_a_mask_is_swept_as_a_whole():
    def missed(y_true, y_pred):
        return ops.mean(ops.abs(y_true - ops.sigmoid(y_pred)), axis=(1, 2, 3))

    spec = new_spec(function=missed, tasks=("segmentation",), target="dense", outputs="1", activation="sigmoid")
    x, loss, _ = drawn(spec)[""]["made"]
    np.testing.assert_allclose(loss, sigmoid(-x), rtol=1e-4, atol=1e-5)


def test_any_other_shape_has_one_raw_score_swept():
    def first_of_many(y_true, y_pred):
        return ops.square(y_pred[:, 0] - 1.0) + ops.sum(y_pred[:, 1:], axis=-1)

    for fields in ({"target": "real", "outputs": "5"}, {"target": "onehot", "outputs": "4"}):
        spec = new_spec(function=first_of_many, tasks=("regression",), activation="identity", **fields)
        x, loss, gradient = drawn(spec)[""]["made"]
        np.testing.assert_allclose(loss, (x - 1.0) ** 2, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(gradient, 2.0 * (x - 1.0), rtol=1e-4, atol=1e-4)


def test_a_loss_that_fails_says_which_and_why():
    def broken(y_true, y_pred):
        raise ZeroDivisionError("by hand")

    spec = new_spec(function=broken, tasks=("regression",), target="real", outputs="1", activation="identity")
    with pytest.raises(LossregError, match="loss 'made' cannot be drawn: ZeroDivisionError: by hand"):
        loss_plots.figure(spec)


# --------------------------------------------------------------------------------------- files

START = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", START)
def test_the_ending_chooses_the_format_and_the_picture_is_the_same_each_time(tmp_path, suffix):
    for name in ("a", "b"):
        loss_plots.save(loss_plots.sheet([SPECS["brier"]]), tmp_path / f"{name}{suffix}")
    first, second = (tmp_path / f"{name}{suffix}" for name in "ab")
    assert first.read_bytes().startswith(START[suffix])
    assert suffix == ".svg" or first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("path", ["x.gif", "x", "nowhere/x.png", "folder.png", "file.txt/x.png"])
def test_a_place_where_no_picture_can_be_is_a_mistake(tmp_path, path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.txt").touch()
    with pytest.raises(InputError, match=Path(path).name):
        loss_plots.check_file(tmp_path / path)


def test_a_sheet_has_a_small_picture_a_loss():
    names = ["focal", "huber", "poisson", "brier", "hinge"]
    figure = loss_plots.sheet([SPECS[name] for name in names])
    titles = [axes.get_title() for axes in figure.axes if axes.axison]
    assert [title.partition(":")[0] for title in titles] == names
    x, y = next(line for line in figure.axes[0].get_lines() if "default" in line.get_label()).get_data()
    np.testing.assert_allclose(y, focal(x, 2.0), rtol=2e-3, atol=2e-3)


def test_a_gallery_has_a_picture_a_loss_and_an_index_and_goes_on_past_one_that_fails(tmp_path):
    broken = new_spec("broken", function=lambda y_true, y_pred: 1 / 0, tasks=("binary",), target="binary", outputs="1")
    lines, warned = [], []
    loss_plots.write([SPECS["hinge"], broken, SPECS["poisson"]], tmp_path / "new/all", lines.append, warned.append)
    assert lines == ["1/3 hinge", "2/3 broken", "3/3 poisson"]
    assert [line.partition(":")[0] for line in warned] == ["loss 'broken' cannot be drawn"]
    assert sorted(path.name for path in (tmp_path / "new/all").iterdir()) == ["hinge.png", "index.md", "poisson.png"]
    page = (tmp_path / "new/all/index.md").read_text()
    assert "![hinge](hinge.png)" in page
    assert SPECS["poisson"].summary in page
    assert "broken" not in page


def test_a_page_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / "index.md").write_text("mine")
    with pytest.raises(InputError, match="is not a page of this gallery"):
        loss_plots.write([], tmp_path, print, print)
    assert (tmp_path / "index.md").read_text() == "mine"
