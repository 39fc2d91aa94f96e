"""The registry: lookup, hints, tasks, what is cached."""

import pytest

import lossreg
from lossreg import InputError, LossSpec
from lossreg.errors import UnknownError
from lossreg.registry import registry
from lossreg.registry.discovery import Entry, PluginReport
from lossreg.registry.registry import Registry

TUTORIAL_NAMES = {
    "mean_squared_error": "mse MSE MeanSquaredError mean-squared-error",
    "mean_absolute_error": "mae MAE MeanAbsoluteError",
    "mean_absolute_percentage_error": "mape MAPE MeanAbsolutePercentageError",
    "mean_squared_logarithmic_error": "msle MSLE MeanSquaredLogarithmicError",
    "kl_divergence": "kld KLD KLDivergence kullback_leibler_divergence KullbackLeiblerDivergence",
    "binary_crossentropy": "bce BCE BinaryCrossentropy binary_cross_entropy",
    "cross_entropy": (
        "categorical_crossentropy sparse_categorical_crossentropy CategoricalCrossentropy "
        "SparseCategoricalCrossentropy CrossEntropy"
    ),
    "cosine_similarity": "cosine cosine_proximity CosineSimilarity",
    "log_cosh": "logcosh LogCosh",
    "huber": "Huber",
    "poisson": "Poisson",
    "hinge": "Hinge",
    "squared_hinge": "SquaredHinge",
    "categorical_hinge": "CategoricalHinge",
    "focal": "catergorical_focal_loss categorical_focal_loss CategoricalFocalCrossentropy",
    "binary_focal": "BinaryFocalCrossentropy binary_focal_loss",
    "label_smoothing_ce": "uniform_mix_ce",
    "generalized_cross_entropy": "gce CategoricalGeneralizedCrossEntropy",
}


def entry(name, *aliases, tasks=("regression",), plugin="one", **more):
    spec = LossSpec(name=name, aliases=aliases, function=abs, tasks=tasks, summary="s", reference="r", **more)
    return Entry(spec, plugin)


@pytest.fixture
def small():
    return Registry([entry("mean_squared_error", "mse"), entry("huber"), entry("focal", tasks=("multiclass",))])


@pytest.fixture
def fresh():
    """The loaded registries are forgotten before and after."""
    registry.forget()
    yield
    registry.forget()


@pytest.mark.parametrize("name", ["mean_squared_error", "MeanSquaredError", "MSE", "mse", "Mean-Squared Error", "_mse"])
def test_a_loss_is_found_by_name_alias_or_class_name(small, name):
    assert small.find(name).spec.name == "mean_squared_error"
    assert small.get(name) is small.find(name).spec


@pytest.mark.parametrize("name", TUTORIAL_NAMES)
def test_every_name_of_the_tutorials_and_of_keras_is_known(name):
    assert {registry.default().get(spelt).name for spelt in TUTORIAL_NAMES[name].split()} == {name}


@pytest.mark.parametrize(
    ("name", "hint"), [("hubber", "Did you mean huber?"), ("MES", "Did you mean mse?"), ("zzzzz", "lists the 3 losses")]
)
def test_an_unknown_name_is_answered_with_a_near_one(small, name, hint):
    with pytest.raises(UnknownError, match=f"unknown loss '{name}'") as caught:
        small.find(name)
    assert hint in str(caught.value)


@pytest.mark.parametrize("name", ["", None, 3, "-"])
def test_what_is_no_name_is_unknown(small, name):
    with pytest.raises(UnknownError, match="unknown loss"):
        small.find(name)


@pytest.mark.parametrize(("withheld", "told"), [((), True), (("cauchy", "lorentz"), True), (("other",), False)])
def test_a_refused_plugin_is_told_where_the_name_may_be_its(withheld, told):
    report = PluginReport("c", "lossreg-c", "0.1", error="ImportError: no module named x", withheld=withheld)
    with pytest.raises(UnknownError) as caught:
        Registry([entry("huber")], [report]).find("Cauchy")
    message = "plugin c (lossreg-c 0.1) is refused: ImportError: no module named x."
    assert (message in str(caught.value)) is told


def test_losses_of_a_task_and_an_unknown_task(small):
    assert [actual.spec.name for actual in small.for_task("regression")] == ["mean_squared_error", "huber"]
    with pytest.raises(UnknownError, match=r"unknown task 'regresion'; known: binary, .*\. Did you mean regression\?"):
        small.for_task("regresion")


def test_of_twins_one_is_recommended_and_that_is_the_original():
    one = ("regression",)
    registered = Registry(
        [
            entry("twin", twin_of="orig", recommended=one),
            entry("first", recommended=one),
            entry("original", "orig", recommended=one),
            entry("plain"),
            entry("orphan", twin_of="plain", recommended=one),
            entry("sibling", twin_of="plain", recommended=one),
        ]
    )
    assert [actual.spec.name for actual in registered.recommended("regression")] == ["original", "first", "orphan"]


def test_add_gives_a_new_registry(small):
    added = small.add(entry("mine", "my_alias").spec)
    assert added.find("MyAlias") == Entry(entry("mine", "my_alias").spec, "study", "", "")
    assert [actual.spec.name for actual in added.specs()] == ["mean_squared_error", "huber", "focal", "mine"]
    assert len(small.specs()) == 3
    with pytest.raises(UnknownError):
        small.find("mine")


@pytest.mark.parametrize("taken", [entry("huber"), entry("mine", "MSE"), entry("mses", "Hu_Ber")])
def test_add_refuses_a_taken_name(small, taken):
    with pytest.raises(InputError, match=r"the name .* is taken by the loss .* of plugin one"):
        small.add(taken.spec)


def test_the_listing_cannot_be_changed_from_outside(small):
    small.specs().clear()
    assert len(small.specs()) == 3


def test_the_default_registry_is_loaded_once_for_each_block(fresh, monkeypatch):
    monkeypatch.delenv("LOSSREG_BLOCK", raising=False)
    assert registry.default() is registry.default(())
    assert registry.default(["a", "b"]) is registry.default(("b", "a", "a"))
    monkeypatch.setenv("LOSSREG_BLOCK", " a, b,")
    assert registry.default() is registry.default(["a"])
    assert registry.default(["c"]) is not registry.default()


def test_the_environment_blocks_a_plugin(fresh, monkeypatch):
    seen = []
    monkeypatch.setattr(registry.discovery, "collect", lambda sources, block, _: (seen.append(block), ([], []))[1])
    monkeypatch.setenv("LOSSREG_BLOCK", "bad-plugin, other")
    registry.default(["third"])
    assert seen == [["bad-plugin", "other", "third"]]


def test_safe_mode_has_a_registry_of_its_own_with_the_built_ins(fresh):
    everything = registry.default()
    with lossreg.safe_mode(["no-such-plugin"]):
        safe = registry.default()
        assert safe is not everything
        assert {entry.plugin for entry in safe.specs()} == {"builtin"}
        assert all(report.blocked for report in safe.plugins[1:])
        assert "no-such-plugin is allowed in safe mode, and is no plugin or distribution" in safe.notes[0]
    assert registry.default() is everything


def test_no_built_in_is_refused():
    builtin = registry.default().plugins[0]
    assert (builtin.name, builtin.distribution, builtin.error, builtin.warnings) == ("builtin", "lossreg", "", ())
    assert set(builtin.losses) <= {actual.spec.name for actual in registry.default().specs()}


def test_losses_is_the_public_listing():
    everything = lossreg.losses()
    assert {"cross_entropy", "mean_squared_error"} <= {spec.name for spec in everything}
    assert [spec for spec in everything if "binary" in spec.tasks] == lossreg.losses("binary")
    with pytest.raises(UnknownError, match="unknown task"):
        lossreg.losses("tabular")
