"""The study file: what it means, and what is said of every mistake in it."""

import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest

import lossreg
from lossreg.config import changes, study
from lossreg.config.candidates import BASELINES, candidates_of
from lossreg.config.optimization import COMMON, OPTIMIZERS, RATES, SWITCHES, USUAL_RATES
from lossreg.config.schema import Data
from lossreg.config.search_space import ByCount, Fixed, PerClassRange, Range
from lossreg.contract.params import Choice, Float, PerClass
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import TASKS
from lossreg.errors import InputError, UnknownError
from lossreg.registry import registry
from lossreg.runtime.user_code import locate
from lossreg.terminal import caller

MINIMAL = '[data]\nsource = "sklearn:iris"\n'
DESIGN = """
name = "churn"

[data]
source = "churn.csv"
target = "left"
test = 0.2
validation = 0.2

[model]
build = "mlp"
hidden = [64, 64]

[train]
epochs = 30
batch_size = 32
optimizer = "adam"
learning_rate = { low = 1e-4, high = 1e-2, log = true }

[search]
trials = 64
metric = "f1_macro"
seed = 0

[losses.cross_entropy]
[losses.focal]
gamma = { low = 0.0, high = 5.0 }
alpha = "per_class"
[losses.gce_mild]
loss = "generalized_cross_entropy"
q = 0.3
[losses.mine]
function = "my_losses.py:my_loss"
activation = "softmax"

[tracking]
experiment = "churn"
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a study file in the current folder; the path is what a user would type."""
    monkeypatch.chdir(tmp_path)
    Path("studies").mkdir()

    def write(text, name="x.toml"):
        path = Path("studies") / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture(scope="module")
def losses():
    return registry.default()


def refusal(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# ---- what a file means -------------------------------------------------------------------


def test_a_file_of_two_lines_has_every_default(write):
    spec = study.load(write(MINIMAL, "two_lines.toml"))
    assert spec.document() == {
        "name": "two_lines",
        "data": {
            "source": "sklearn:iris",
            "target": None,
            "weight": None,
            "task": "auto",
            "test": 0.2,
            "validation": 0.2,
            "drop": [],
        },
        "model": {
            "build": "mlp",
            "hidden": [64, 64],
            "activation": "relu",
            "dropout": 0.0,
            "batch_norm": False,
            "hp": None,
        },
        "train": {
            "epochs": 30,
            "batch_size": 32,
            "optimizer": "adam",
            "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
            "class_weight": None,
            "schedule": None,
            "early_stopping": None,
        },
        "search": {
            "trials": 64,
            "metric": None,
            "seed": 0,
            "seeds": 1,
            "minutes": None,
            "score_epoch": "last",
            "pruner": "none",
            "lanes": "auto",
            "trainer": "auto",
            "sampler": "tpe",
            "keep": "losses",
        },
        "losses": {},
        "verdict": {"enabled": True, "repeats": None, "outer": None, "margin": 0.0},
        "tracking": {"experiment": "two_lines", "uri": None, "enabled": True, "model": True},
        "plugins": {"block": [], "skip_missing": False},
    }


def test_the_former_name_of_an_activation_is_read(write):
    former, now = (
        study.load(write(f'[data]\nsource = "sklearn:iris"\n[losses.mine]\nfunction = "own.py:f"\n{key} = "softmax"\n'))
        for key in ("link", "activation")
    )
    assert former.losses == now.losses
    kept = {key.replace("mine.activation", "mine.link"): value for key, value in study.fingerprint(now).items()}
    assert "losses.mine.link" in kept
    assert study.changed(kept, study.fingerprint(now)) == {}
    assert list(study.changed({**kept, "losses.mine.link": "sigmoid"}, study.fingerprint(now)).values()) == [
        "losses.mine.activation: sigmoid -> softmax"
    ]


def test_a_study_without_a_name_is_called_as_0_2_0_called_it():
    loss = {"function": "own.py:powered", "link": "softmax"}
    assert study.from_dict({"data": {"source": "sklearn:iris"}, "losses": {"mine": loss}}).name == "study-1f23b7ea"


def test_the_file_of_the_design(write):
    spec = study.load(write(DESIGN))
    assert (spec.name, spec.data.target, spec.search.metric) == ("churn", "left", "f1_macro")
    assert spec.train.learning_rate == Range(1e-4, 1e-2, log=True)
    assert spec.losses["focal"].params == {"gamma": {"low": 0.0, "high": 5.0}, "alpha": "per_class"}
    assert spec.losses["gce_mild"].loss == "generalized_cross_entropy"
    assert (spec.losses["mine"].function, spec.losses["mine"].facts) == (
        "my_losses.py:my_loss",
        {"activation": "softmax"},
    )


def test_a_study_knows_its_places(write):
    spec = study.load(write(DESIGN))
    assert (spec.path, spec.base, spec.folder) == (
        Path("studies/x.toml"), Path("studies"), Path("studies/.lossreg/churn"),
    )  # fmt: skip
    assert spec.place("data.source") == "studies/x.toml: data.source"


@pytest.mark.parametrize(
    ("train", "space"),
    [
        ("", Range(1e-4, 1e-2, log=True)),
        ('optimizer = "SGD"', Range(1e-3, 1.0, log=True)),
        ('optimizer = { name = "sgd", momentum = 0.9 }', Range(1e-3, 1.0, log=True)),
        ('optimizer = "sgd"\nlearning_rate = 0.01', Fixed(0.01)),
        ("learning_rate = { low = 1, high = 2 }", Range(1.0, 2.0, log=True)),
        ("learning_rate = { low = 1, high = 2, log = false }", Range(1.0, 2.0)),
        ('learning_rate = "search"', Range(1e-4, 1e-2, log=True)),
    ],
)
def test_the_learning_rate_is_searched_where_the_optimizer_works_unless_it_is_given(write, train, space):
    assert study.load(write(f"{MINIMAL}[train]\n{train}")).train.learning_rate == space


def test_an_empty_experiment_is_the_name(write):
    assert study.load(write(f'{MINIMAL}[tracking]\nexperiment = ""')).tracking.experiment == "x"


def test_an_optimizer_table_is_a_name_and_settings(write):
    spec = study.load(write(f'{MINIMAL}[train]\noptimizer = {{ name = "SGD", momentum = 0.9, nesterov = true }}'))
    assert spec.train.optimizer.name == "sgd"
    assert spec.train.optimizer.settings == {"momentum": 0.9, "nesterov": True}


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [("sgd", "gradient_accumulation_steps", 2), ("adam", "ema_overwrite_frequency", 4), ("muon", "ns_steps", 5)],
)
def test_a_whole_number_of_an_optimizer_stays_one(write, name, setting, value):
    spec = study.load(write(f'{MINIMAL}[train]\noptimizer = {{ name = "{name}", {setting} = {value} }}'))
    (kept,) = spec.train.optimizer.settings.values()
    assert (kept, type(kept)) == (value, int)


KERAS_OPTIMIZERS = {name.lower(): kind for name, kind in vars(keras.optimizers).items() if isinstance(kind, type)}


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) & set(KERAS_OPTIMIZERS)))
def test_the_settings_of_every_optimizer_are_those_of_keras(name):
    takes = inspect.signature(KERAS_OPTIMIZERS[name]).parameters
    assert set(takes) - {"learning_rate", "name", "kwargs", "exclude_layers"} == {*OPTIMIZERS[name], *COMMON}
    switches = {setting for setting, parameter in takes.items() if isinstance(parameter.default, bool)}
    assert switches == set(takes) & set(SWITCHES)


def test_no_optimizer_of_keras_is_forgotten():
    no_optimizers = {"optimizer", "optimizermap", "lossscaleoptimizer", "multioptimizer"}
    assert set(KERAS_OPTIMIZERS) - no_optimizers <= set(OPTIMIZERS)


def test_every_usual_rate_of_an_optimizer_lies_in_its_range():
    published = {"sgd": 0.01, "adam": 1e-3, "adagrad": 0.01, "adadelta": 1.0, "ftrl": 0.01, "lion": 1e-4}
    for name, rate in published.items():
        low, high = RATES.get(name, USUAL_RATES)
        assert low < rate < high


def test_tasks_are_those_of_the_losses():
    assert set(Data.model_fields["task"].annotation.__args__) == {"auto", *TASKS}


def test_no_optional_import_is_needed_to_load_and_choose(write):
    code = f"""
import sys
from lossreg.registry import registry; from lossreg.config import study
from lossreg.config.candidates import candidates_of
spec = study.load({write(MINIMAL + "[losses.focal]")!r})
candidates_of(spec, registry.default(), "multiclass", 3)
print([name for name in ("numpy", "keras", "tensorflow", "sklearn", "optuna", "mlflow") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_dictionary_is_a_study_too(tmp_path):
    spec = study.from_dict({"data": {"source": "a.csv"}, "model": {"hidden": (8,)}}, base=tmp_path)
    assert (spec.path, spec.folder) == (None, tmp_path / ".lossreg" / spec.name)
    assert study.of(spec) is spec
    assert study.of(spec, ["search.trials=3"]).search.trials == 3
    assert study.of(spec, ["search.trials=3"]).base == tmp_path
    assert refusal(study.from_dict, {"data": {}}).startswith("data.source: is missing")


# ---- overrides ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "of", "value"),
    [
        ("search.trials=16", lambda s: s.search.trials, 16),
        ("search.trials = 16", lambda s: s.search.trials, 16),
        ("search.metric=accuracy", lambda s: s.search.metric, "accuracy"),
        ('search.metric="accuracy"', lambda s: s.search.metric, "accuracy"),
        ("data.source=sklearn:make_circles?n_samples=100&noise=0.1", lambda s: s.data.source,
         "sklearn:make_circles?n_samples=100&noise=0.1"),
        ("train.optimizer=sgd", lambda s: (s.train.optimizer.name, s.train.learning_rate.high), ("sgd", 1.0)),
        ("model.hidden=[8]", lambda s: s.model.hidden, (8,)),
        ("model.batch_norm=true", lambda s: s.model.batch_norm, True),
        ("losses.focal.gamma=2.0", lambda s: s.losses["focal"].params, {"gamma": 2.0}),
        ("losses.focal.gamma={low=0,high=2}", lambda s: s.losses["focal"].params, {"gamma": {"low": 0, "high": 2}}),
        ("name=other", lambda s: (s.name, s.tracking.experiment), ("other", "other")),
        ("train={epochs=2}", lambda s: s.train.epochs, 2),
    ],
)  # fmt: skip
def test_overrides(write, assignment, of, value):
    assert of(study.load(write(MINIMAL), [assignment])) == value


def test_the_last_of_two_overrides_holds(write):
    assert study.load(write(MINIMAL), ["search.seed=1", "search.seed=2"]).search.seed == 2


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("search.trials", "--set search.trials: is not key=value. Write --set search.trials=16."),
        ("=3", "is not key=value"),
        ("search..trials=3", "is not key=value"),
        ("search.trials=many", '--set search.trials: must be a whole number, not "many"'),
        ("serch.trials=3", "--set serch: unknown key"),
        ("name.x=3", '--set name.x=3: name is "x", not a table'),
        ("model.hidden=[8, 0]", "--set model.hidden[1]: must be at least 1, not 0"),
        ("losses.focl.gamma=3", "--set losses.focl: unknown loss 'focl'"),
        ("losses.focal.gamma=3\nx=4", '--set losses.focal.gamma: "3\nx=4" is no value for gamma'),
    ],
)
def test_a_wrong_override_is_said_to_be_one(write, losses, assignment, message):
    def all_of_it():
        spec = study.load(write('name = "x"\n' + MINIMAL), [assignment])
        candidates_of(spec, losses, "multiclass", 3)

    with caller.shell():
        assert message in refusal(all_of_it)
    for_python = message.replace("Write --set search.trials=16", "Write 'search.trials=16'").replace(
        "--set", "overrides"
    )
    assert for_python in refusal(all_of_it)


# ---- a dictionary without a name -----------------------------------------------------------


def squared(y_true, y_pred):
    return (y_true - y_pred) ** 2


def unnamed(**sections):
    return study.from_dict({"data": {"source": "a.csv"}, **sections})


def test_numbers_of_numpy_are_numbers():
    def document(number, whole, flag):
        gamma, low = number(0.5), number(1.5)
        losses = {"focal": {"gamma": gamma}, "more": {"loss": "focal", "gamma": {"low": low, "high": whole(2)}}}
        return {
            "data": {"source": "sklearn:iris"},
            "losses": losses,
            "search": {"trials": whole(9)},
            "tracking": {"enabled": flag(0)},
        }

    plain = study.of(document(float, int, bool))
    assert study.of(document(np.float32, np.int64, np.bool_)) == plain
    assert study.of(document(np.float16, np.uint8, np.bool_)).name == plain.name


def test_a_number_of_numpy_that_is_none_is_refused():
    with pytest.raises(InputError, match="must be finite, not nan"):
        study.of({"data": {"source": "sklearn:iris"}, "losses": {"focal": {"gamma": np.float32("nan")}}})


def test_dictionaries_without_a_name_are_apart_unless_they_are_the_same_study():
    same = [
        unnamed(),
        unnamed(search={"trials": 7}),
        unnamed(search={"lanes": 3}),
        study.of(unnamed(), ["search.trials=9"]),
    ]
    functions = [
        {"losses": {"mine": {"function": function}}} for function in (squared, lambda y, z: y - z, lambda y, z: y + z)
    ]
    others = [unnamed(train={"epochs": 3}), unnamed(losses={"focal": {}}), unnamed(search={"seed": 1})]
    others += [unnamed(**sections) for sections in functions]
    assert {spec.name for spec in same} == {same[0].name}
    assert len({spec.name for spec in [same[0], *others]}) == 1 + len(others)
    assert unnamed(**functions[0]).name == unnamed(losses={"mine": {"function": squared}}).name
    assert re.fullmatch("study-[0-9a-f]{8}", same[0].name)
    assert {spec.tracking.experiment for spec in [*same, *others]} == {"study"}
    assert study.from_dict({"name": "study", "data": {"source": "a.csv"}}).name == "study"


def test_a_message_names_what_its_reader_can_type(tmp_path):
    spec = study.from_dict({"data": {"source": "a.csv"}}, base=tmp_path)

    def changed():
        raise changes.refusal(changes.of({}, study.fingerprint(spec)), spec)

    def never_run():
        lossreg.results(spec)

    for work, shell, python in (
        (changed, "start over with --fresh.", "start over with fresh=True."),
        (never_run, "Run `lossreg tune` first.", "Run `lossreg.tune` first."),
    ):
        assert refusal(work).endswith(python)
        with caller.shell():
            assert refusal(work).endswith(shell)


# ---- mistakes in a file ------------------------------------------------------------------

MISTAKES = [
    ("nmae = 'a'", "nmae: unknown key; a study has name, data, model, train, search, losses, verdict, tracking, "
                   "storage, plugins. Did you mean name?"),
    ("epochs = 3", "epochs: unknown key; a study has", "Did you mean train.epochs?"),
    ("[loss.focal]", "loss: unknown key", "Did you mean losses?"),
    ("train = 3", "train: must be a table, not 3"),
    ("losses = ['a']", 'losses: must be a table, not ["a"]'),
    ("name = 3", "name: must be text, not 3"),
    ("name = 'a/b'", 'name: "a/b" names a folder and an experiment', 'Try "a-b".'),
    ("name = '..'", 'name: ".." names a folder'),
    ("name = ''", 'name: "" names a folder'),
    (f"name = '{'a' * 101}'", "up to 100 letters"),
    ("[data]\nsource = ''", 'data.source: must not be empty. It is a file, a folder of images, "sklearn:NAME"'),
    ("[data]\nsource = 3", "data.source: must be text, not 3"),
    ("[data]\nsauce = 'a.csv'", "data.sauce: unknown key; [data] has source, target,", "Did you mean source?",
     "data.source: is missing"),
    ("[data]\nsource = 'a'\ntask = 'binry'", 'data.task: must be one of "auto", "binary",', "Did you mean binary?"),
    ("[data]\nsource = 'a'\nvalidation = 0", "data.validation: must be above 0, not 0", "between 0 and 1"),
    ("[data]\nsource = 'a'\ntest = 1.0", "data.test: must be below 1, not 1.0"),
    ("[data]\nsource = 'a'\nvalidation = -0.2", "data.validation: must be above 0, not -0.2"),
    ("[data]\nsource = 'a'\nvalidation = true", "data.validation: must be a number or a file, not true"),
    ("[data]\nsource = 'a'\ntest = nan", "data.test: must be"),
    ("[data]\nsource = 'a'\nfolds = 1", "data.folds: must be at least 2, not 1. It is the number of folds"),
    ("[data]\nsource = 'a'\nfolds = 2.5", "data.folds: must be a whole number, not 2.5"),
    ("[data]\nsource = 'a'\ntest = '0.3'", "data.test: must be a number, not the text \"0.3\"", "without quotes: 0.3"),
    ("[data]\nsource = 'a'\ntest = ''", "data.test: must be a number or a file, not \"\"", "test.csv"),
    ("[data]\nsource = 'a'\ntarget = 'y'\ngroup = 'y'", "data.group: \"y\" is the target"),
    ("[data]\nsource = 'a'\nweight = 'w'\nsplit = 'w'", "data.split: \"w\" is the weights"),
    ("[data]\nsource = 'a'\ntime = 'w'\nsplit = 'w'", "data.time: time and split exclude each other"),
    ("[data]\nsource = 'a'\ntime = 'w'\ngroup = 'g'", "data.time: time and group exclude each other"),
    ("[data]\nsource = 'a'\ntime = 'w'\ntest = 't.csv'", "data.time: time and test exclude each other"),
    ("[data]\nsource = 'a'\ngroup = 'g'\ndrop = ['g']", "data.drop: \"g\" is the column of group"),
    ("[data]\nsource = 'a'\ngroup = 'g'\nsplit = 'g'", "data.split: \"g\" is the column of group"),
    ("[data]\nsource = 'a'\ngroup = 3", "data.group: must be text, not 3", "such as a customer"),
    ("[data]\nsource = 'a'\ntime = 'w'\n[verdict]\nouter = 3", "verdict.outer: outer folds would train on rows that"),
    ("[data]\nsource = 'a'\nfolds = 5\nvalidation = 0.2", "data: folds and validation exclude each other"),
    ("[data]\nsource = 'a'\ndrop = 'b'", 'data.drop: must be a list, not "b"'),
    ("[data]\nsource = 'a'\ndrop = ['b', 3]", "data.drop[1]: must be text, not 3"),
    ("[data]\nsource = 'a'\ntarget = 'b'\ndrop = ['b']", 'data.drop: the target "b" cannot be dropped'),
    ("[data]\nsource = 'a'\ntarget = ['b', 'c']\ndrop = ['c']", 'data.drop: the target "c" cannot be dropped'),
    ("[data]\nsource = 'a'\npreprocess = 'non'", 'data.preprocess: must be "standard" or "none", not "non"',
     "Did you mean none?"),
    ("[data]\nsource = 'a'\npreprocess = { a = 3 }", 'data.preprocess: must be "standard" or "none", not 3',
     '{ tokens = "none" }'),
    ("[data]\nsource = 'a'\nencoding = 'latin1x'", 'data.encoding: unknown encoding "latin1x"', "latin-1"),
    ("[data]\nsource = 'a'\nencoding = 'rot13'", 'data.encoding: unknown encoding "rot13"'),
    ("[data]\nsource = 'a'\nencoding = 1", "data.encoding: must be text, not 1"),
    ("[data]\nsource = 'a'\ndecimal = ';'", 'data.decimal: must be one of ".", ",", not ";"'),
    ("[data]\nsource = 'a'\nthousands = ''", "data.thousands: must be one of"),
    ("[data]\nsource = 'a'\ndecimal = ','\nthousands = ','", 'data.thousands: "," is the decimal mark too'),
    ("[data]\nsource = 'a'\nna_values = '?'", 'data.na_values: must be a list of texts and numbers, not "?"',
     "{ age = [999] }"),
    ("[data]\nsource = 'a'\nna_values = [true]", "data.na_values: must be texts and numbers, not true"),
    ("[data]\nsource = 'a'\nna_values = ['']", "data.na_values: must be texts and numbers"),
    ("[data]\nsource = 'a'\nna_values = { b = 9 }", "data.na_values: must be a list of texts and numbers of b, not 9"),
    ("[data]\nsource = 'a'\nnoise = 1.0", "data.noise: must be below 1, not 1.0", "labels of training and validation"),
    ("[data]\nsource = 'a'\nnoise = '0.2'", "data.noise: must be"),
    ("[data]\nsource = 'a'\nnoize = 0.2", "Did you mean noise?"),
    ("[data]\nsource = 'a'\ndrop_unlabelled = 'yes'", 'data.drop_unlabelled: must be true or false, not "yes"'),
    ("[data]\nsource = 'a'\ncolumns = ['b']", 'data.columns: must be a table of kinds by column, not ["b"]'),
    ("[data]\nsource = 'a'\n[data.columns]\nb = 'numbr'", 'data.columns.b: must be one of', "Did you mean number?"),
    ("[data]\nsource = 'a'\ndrop = ['b']\n[data.columns]\nb = 'number'",
     'data.columns: "b" is a number here, and stands in drop'),
    ("[data]\nsource = 'a'\npositive = ['b']", "data.positive: must be the name of a class", 'such as "yes" or 1'),
    ("[data]\nsource = 'a'\nsheet = ''", "data.sheet: must not be empty"),
    ("[data]\nsource = 'a'\nencodng = 'utf-8'", "data.encodng: unknown key", "Did you mean encoding?"),
    ("[data]\nsource = 'a'\nweight = ''", "data.weight: must not be empty. It is the column of sample weights"),
    ("[data]\nsource = 'a'\ntarget = 'b'\nweight = 'b'", 'data.weight: "b" is the target'),
    ("[data]\nsource = 'a'\nweight = 'b'\ndrop = ['b']", 'data.drop: "b" holds the weights'),
    ("[data]\nsource = 'a'\n[train]\nclass_weight = 'balancd'",
     'train.class_weight: unknown class weight "balancd". Did you mean balanced?'),
    ("[data]\nsource = 'a'\n[train]\nclass_weight = 3", "train.class_weight: must be weights of classes, not 3",
     "{ yes = 5.0 }"),
    ("[data]\nsource = 'a'\n[train]\nclass_weight = []", "train.class_weight: must be weights of classes, not []"),
    ("[data]\nsource = 'a'\n[train]\nclass_weight = [1, true]",
     "train.class_weight: must be weights of classes, not [1, true]"),
    ("[data]\nsource = 'a'\n[train]\nclass_weight = { a = -1 }",
     "train.class_weight: must be finite numbers of 0 or more"),
    ("[data]\nsource = 'a'\n[train]\nclass_weight = [1, inf]",
     "train.class_weight: must be finite numbers of 0 or more"),
    ("[data]\nsource = 'a'\ntarget = 1", "data.target: must be text or a list of texts, not 1", '["a", "b"]'),
    ("[data]\nsource = 'a'\ntarget = ['a', 1]", 'data.target: must be text or a list of texts, not ["a", 1]'),
    ("[data]\nsource = 'a'\ntarget = []", "data.target: must not be empty"),
    ("[data]\nsource = 'a'\ntarget = ''", "data.target: must not be empty"),
    ("[data]\nsource = 'a'\ntarget = ['a', 'a']", 'data.target: "a" is listed twice'),
    ("[model]\nhiden = [3]", "model.hiden: unknown key", "Did you mean hidden?"),
    ("[model]\nhidden = 64", "model.hidden: must be a list, not 64. It is a list of layer widths"),
    ("[model]\nhidden = [64, 0]", "model.hidden[1]: must be at least 1, not 0"),
    ("[model]\nhidden = [64.0]", "model.hidden[0]: must be a whole number, not 64.0"),
    ("[model]\ndropout = 1", "model.dropout: must be below 1, not 1"),
    ("[model]\nbatch_norm = 'yes'", 'model.batch_norm: must be true or false, not "yes"'),
    ("[model]\nbuild = 'm.py:f'\nhidden = [3]", 'model.hidden: belongs to build = "mlp"; m.py:f makes its own layers'),
    ("[train]\nepoch = 3", "train.epoch: unknown key; [train] has epochs, batch_size,", "Did you mean epochs?"),
    ("[train]\nmetric = 'a'", "train.metric: unknown key", "Did you mean search.metric?"),
    ("[train]\nepochs = -1", "train.epochs: must be at least 1, not -1"),
    ("[train]\nepochs = 0", "train.epochs: must be at least 1, not 0"),
    ("[train]\nepochs = true", "train.epochs: must be a whole number, not true"),
    ("[train]\nepochs = 3.5", "train.epochs: must be a whole number, not 3.5"),
    ("[train]\nepochs = '30'", 'train.epochs: must be a whole number, not "30"'),
    ("[train]\nbatch_size = 0", "train.batch_size: must be at least 1"),
    ("[train]\noptimizer = 'adan'", 'train.optimizer: unknown optimizer "adan"; known: sgd,', "Did you mean adam?"),
    ("[train]\noptimizer = 3", "train.optimizer: must be a name or a table with a name, not 3"),
    ("[train]\noptimizer = { momentum = 0.9 }", "train.optimizer: must be a name or a table with a name"),
    ("[train]\noptimizer = { name = 'sgd', momentun = 1 }",
     "train.optimizer.momentun: unknown setting; sgd has momentum,", "Did you mean momentum?"),
    ("[train]\noptimizer = { name = 'sgd', momentum = 'a' }", 'train.optimizer.momentum: must be a number, not "a"'),
    ("[train]\noptimizer = { name = 'sgd', nesterov = 1 }", "train.optimizer.nesterov: must be true or false, not 1"),
    ("[train]\noptimizer = { name = 'sgd', learning_rate = 1 }",
     "train.optimizer.learning_rate: the learning rate is no setting of the optimizer. Set train.learning_rate."),
    ("[train]\nlearning_rate = 0", "train.learning_rate: learning_rate = 0 is outside its domain (0, inf)"),
    ("[train]\nlearning_rate = 'fast'", 'train.learning_rate: "fast" is no value for learning_rate'),
    ("[train]\nlearning_rate = { low = 0.1, high = 0.01 }", "train.learning_rate: the range is upside down"),
    ("[train]\nlearning_rate = { low = 0, high = 1, log = true }",
     "train.learning_rate: a log range must start above 0, not at 0"),
    ("[train]\nlearning_rate = { from = 1 }", "train.learning_rate: unknown key 'from'"),
    ("[search]\ntrials = -3", "search.trials: must be at least 1, not -3"),
    ("[search]\ntrials = 0", "search.trials: must be at least 1, not 0"),
    ("[search]\nseed = -1", "search.seed: must be at least 0, not -1"),
    ("[search]\nseed = 2024-01-01", "search.seed: must be a whole number, not 2024-01-01"),
    ("[search]\nminutes = 0", "search.minutes: must be above 0, not 0. It is the time after which no trial"),
    ("[search]\nminutes = inf", "search.minutes: must be a finite number, not inf"),
    ("[search]\nmetric = ['a']", 'search.metric: must be text, not ["a"]. In a shell, `lossreg metrics` lists'),
    ("[search]\nscore_epoch = 'bset'", 'search.score_epoch: must be one of "last", "best", not "bset".',
     "Did you mean best?"),
    ("[search]\npruner = 'ahsa'", 'search.pruner: must be one of "none", "median", "asha"', "Did you mean asha?"),
    ("[search]\npruner = 'medain'", "Did you mean median?"),
    ("[search]\nlanes = 0", 'search.lanes: must be "auto" or a whole number from 1, not 0'),
    ("[search]\nlanes = 'atuo'", "Did you mean auto?"),
    ("[search]\nlanes = true", 'must be "auto" or a whole number from 1, not true'),
    ("[search]\ntrainer = 'fake'", 'search.trainer: must be one of "auto", "population", "fit", not "fake"'),
    ("[search]\nsampler = 'grid'", 'search.sampler: must be one of "tpe", "random", "gp", "cmaes", or "hub:NAME" for a',
     'sampler of OptunaHub, not "grid"'),
    ("[search]\nsampler = 'cmase'", 'not "cmase". Did you mean cmaes?'),
    ("[search]\nsampler = 'hub:../x'", 'sampler of OptunaHub, not "hub:../x"'),
    ("[search]\nsampler = true", "sampler of OptunaHub, not true"),
    ("[tracking]\nmodel = 1", "tracking.model: must be true or false, not 1"),
    ("[tracking]\nexperiment = 3", "tracking.experiment: must be text, not 3"),
    ("[tracking]\nregister = 3", "tracking.register: must be true, false or a name, not 3"),
    ("[tracking]\nregister = 'a/b'", "is no name of a registered model", 'Try "a-b".'),
    ("[tracking]\nregistr = 'x'", "tracking.registr: unknown key", "Did you mean register?"),
    ("[tracking]\nregistered = 'x'", "tracking.registered: unknown key", "Did you mean register?"),
    ("[tracking]\nurl = 'x'", "tracking.url: unknown key", "Did you mean uri?"),
    ("[plugins]\nblock = 'x'", 'plugins.block: must be a list, not "x". It is a list of plugin names.'),
    ("[losses]\nfocal = 2.0", "losses.focal: must be a table, not 2.0"),
    ("[losses.'a b']", 'losses."a b": the name of a loss has only letters from a to z, digits, _ and -. Try a-b.'),
    ("[losses.'a.b']", 'losses."a.b": the name of a loss has only letters from a to z, digits, _ and -. Try a-b.'),
    ("[losses.'']", "the name of a loss has only letters"),
    ("[losses.a]\nloss = 3", "losses.a.loss: must be text, not 3"),
    ("[losses.a]\nfunction = 'f'", 'losses.a.function: "f" names no function. Write "file.py:function"'),
    ("[losses.a]\nfunction = 3", "losses.a.function: must be text, not 3"),
    ("[losses.a]\nloss = 'x'\nfunction = 'a.py:f'", "losses.a: loss and function exclude each other"),
    ("[losses.a]\nfunction = 'a.py:f'\nlink = 'softmax'\nactivation = 'softmax'",
     "losses.a: link is an earlier name of activation, which is given too"),
    ("[losses.focal]\nlink = 'softmax'", "losses.focal.activation: belongs to a function of your own"),
    ("[losses.a]\nfunction = 'a.py:f'\nlink = 'sofmax'", 'losses.a.link: unknown activation "sofmax"',
     "Did you mean softmax?"),
    ("[losses.a]\nfunction = 'a.py:f'\ntarget = 'one_hot'", 'losses.a.target: unknown target "one_hot"',
     "Did you mean onehot?"),
    ("[losses.a]\nfunction = 'a.py:f'\noutputs = 0", 'losses.a.outputs: must be a number, "k" or "k-1", not 0'),
    ("[losses.focal]\ngamma = { low = 5, high = 0 }", "losses.focal.gamma: the range is upside down: low = 5"),
    ("[losses.focal]\ngamma = { low = -1, high = 1, log = true }", "losses.focal.gamma: a log range must start above"),
    ("[losses.focal]\ngamma = 2024-01-01", "losses.focal.gamma: a value must be a number, not 2024-01-01"),
    ("[losses.focal]\nalpha = []", "losses.focal.alpha: an array must not be empty"),
    ("[losses.focal]\nalpha = ['a', 'b']", "losses.focal.alpha: each number of an array must be a number"),
    ("[losses.focal.gamma]\nlo = 1", "losses.focal.gamma: unknown key 'lo' in { lo = 1 }", "Did you mean low?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), [(m[0], m[1:]) for m in MISTAKES], ids=lambda v: str(v)[:50])
def test_every_mistake_is_told_with_its_place_and_what_would_work(write, text, message):
    text = text if "[data]" in text else f"{text}\n{MINIMAL}"
    refused = refusal(study.load, write(text))
    for part in message:
        assert part in refused
    assert all(line.startswith("studies/x.toml: ") for line in refused.splitlines())
    assert "pydantic" not in refused
    assert "Input should" not in refused


def test_all_mistakes_are_told_at_once(write):
    refused = refusal(study.load, write("[data]\n[train]\nepochs = -1\n[search]\ntrials = 'a'\n[losses.f]\nx = []"))
    assert [line.split(": ")[1] for line in refused.splitlines()] == [
        "data.source", "train.epochs", "search.trials", "losses.f.x",
    ]  # fmt: skip


def test_no_data_at_all(write):
    assert refusal(study.load, write("")) == (
        'studies/x.toml: data: is missing. A study needs [data] with a source, such as source = "churn.csv"; '
        "rows in Python are given as data=rows."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[data]\nsource = churn.csv\n", ["is not valid TOML", "line 2", "`source = churn.csv`. Text needs quotes"]),
        (b"[data\n", ["is not valid TOML", "line 1"]),
        (b"a = 1\na = 2\n", ["is not valid TOML", "line 2"]),
        (b"a = [1,", ["is not valid TOML"]),
        (b"a = 1\n\nb", ["is not valid TOML"]),
        (b"\xff\xfe\x00", ["is not UTF-8 text"]),
    ],
    ids=str,
)
def test_a_file_that_is_no_toml(write, content, message):
    path = write("")
    Path(path).write_bytes(content)
    refused = refusal(study.load, path)
    assert refused.startswith("studies/x.toml: ")
    assert all(part in refused for part in message)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("studies/churm.toml", "studies/churm.toml: no such file. Did you mean studies/churn.toml?"),
        ("studies/y.toml", "studies/y.toml: no such file"),
        ("studies/x", "studies/x: no such file. Did you mean studies/x.toml?"),
        ("studies/completely_different.toml", "studies/completely_different.toml: no such file"),
        ("studios/x.toml", "studios/x.toml: no such file. There is no folder studios."),
        ("studies", "studies: is a folder, not a study file. It has churn.toml, x.toml."),
    ],
)
def test_a_file_that_is_not_there(write, path, message):
    Path(write(MINIMAL)).with_name("churn.toml").touch()
    assert refusal(study.load, path) == message


@pytest.mark.parametrize("name", ["churn.csv", "churn.CSV.gz", "churn.parquet", "churn.xlsx"])
def test_data_is_no_study_file_and_init_writes_one(write, name):
    Path(write("")).with_name(name).write_bytes(b"left,age\n1,2\n\xff")
    with caller.shell():
        assert refusal(study.load, f"studies/{name}") == (
            f"studies/{name}: is data, and no study file. "
            f"`lossreg init studies/{name} --target COLUMN` writes a study of it."
        )
        assert "`lossreg init sklearn:iris` writes a study of it." in refusal(study.load, "sklearn:iris")


def test_a_byte_order_mark_is_no_mistake(write):
    path = write("")
    Path(path).write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert study.load(path).data.source == "sklearn:iris"


# ---- candidates --------------------------------------------------------------------------


def chosen(text, registry, task="multiclass", n_classes=3, base=Path()):
    """The candidates of a file that has this [losses]."""
    spec = study.from_dict({"data": {"source": "sklearn:iris"}, **tomllib.loads(text)}, base=base)
    return candidates_of(spec, registry, task, n_classes)


def baselines(candidates):
    return [candidate.name for candidate in candidates if candidate.baseline]


@pytest.mark.parametrize(
    ("task", "n_classes", "baseline"),
    [
        ("binary", 2, "cross_entropy"),
        ("multiclass", 10, "cross_entropy"),
        ("regression", 0, "mean_squared_error"),
        ("positive", 0, "mean_squared_error"),
        ("count", 0, "mean_squared_error"),
    ],
)
def test_without_losses_the_recommended_ones_are_searched_over_all_they_declare(losses, task, n_classes, baseline):
    candidates = chosen("", losses, task, n_classes)
    assert [c.name for c in candidates] == [entry.spec.name for entry in losses.recommended(task)]
    assert baselines(candidates) == [baseline]
    assert all(list(c.search_space) == [param.name for param in c.spec.params] for c in candidates)
    twins = {c.spec.same_as for c in candidates if c.spec.same_as}
    assert not twins & {c.spec.name for c in candidates}


def test_a_parameter_that_is_not_mentioned_is_searched(losses):
    (focal,) = [c for c in chosen("[losses.focal]\ngamma = 2.0", losses) if not c.baseline]
    assert focal.search_space == {"gamma": Fixed(2.0), "alpha": PerClassRange(0.1, 10.0, log=True)}


@pytest.mark.parametrize(("task", "k", "free"), [("binary", 2, 1), ("multiclass", 5, 1), ("multiclass", 6, 0)])
def test_an_unmentioned_alpha_is_free_up_to_five_classes(losses, task, k, free):
    focal = chosen("[losses.focal]", losses, task, k)[1]
    assert isinstance(focal.search_space["alpha"], PerClassRange if free else ByCount)


def test_labels_are_kept_in_order_and_one_loss_may_stand_twice(losses):
    candidates = chosen(
        "[losses.gce]\n[losses.ce]\nloss = 'cross_entropy'\n[losses.mild]\nloss = 'gce'\nq = 0.3", losses
    )
    assert [(c.name, c.spec.name) for c in candidates] == [
        ("gce", "generalized_cross_entropy"),
        ("ce", "cross_entropy"),
        ("mild", "generalized_cross_entropy"),
    ]
    assert baselines(candidates) == ["ce"]


def test_twins_that_a_study_writes_are_all_kept_and_one_is_the_baseline(losses):
    text = "[losses.categorical_crossentropy]\n[losses.sparse_categorical_crossentropy]\n[losses.kl_divergence]"
    candidates = chosen(text, losses)
    assert len(candidates) == 3
    assert baselines(candidates) == ["categorical_crossentropy"]


@pytest.mark.parametrize(
    ("text", "task", "k", "label"),
    [
        ("[losses.focal]", "multiclass", 3, "cross_entropy"),
        ("[losses.huber]", "regression", 0, "mean_squared_error"),
        ("[losses.cross_entropy]\nloss = 'focal'", "multiclass", 3, "baseline"),
        ("[losses.cross_entropy]\nloss = 'focal'\n[losses.baseline]\nloss = 'gce'", "multiclass", 3, "baseline_2"),
        # searched, a loss that is the same is not the plain loss
        ("[losses.binary_crossentropy]", "binary", 2, "cross_entropy"),
    ],
)
def test_the_baseline_is_put_in_front_where_a_study_leaves_it_out(losses, text, task, k, label):
    candidates = chosen(text, losses, task, k)
    assert baselines(candidates) == [candidates[0].name] == [label]
    assert candidates[0].spec.name in ("cross_entropy", "mean_squared_error")
    assert candidates[0].search_space == {}


@pytest.mark.parametrize(
    ("text", "task", "k", "label"),
    [
        ("[losses.mse]", "regression", 0, "mse"),
        ("[losses.kld]", "multiclass", 3, "kld"),
        ("[losses.bce]\nlabel_smoothing = 0", "binary", 2, "bce"),
        ("[losses.bce]\nlabel_smoothing = 'default'", "binary", 2, "bce"),
        ("[losses.kld]\n[losses.CrossEntropy]", "multiclass", 3, "kld"),
    ],
)
def test_a_twin_at_its_defaults_is_the_baseline(losses, text, task, k, label):
    assert baselines(chosen(text, losses, task, k)) == [label]


@pytest.mark.parametrize(
    ("text", "task", "k", "message"),
    [
        ("[losses.focl]", "multiclass", 3, ["losses.focl: unknown loss 'focl'", "Did you mean focal?"]),
        ("[losses.x]\nloss = 'focl'", "multiclass", 3, ["losses.x.loss: unknown loss 'focl'", "Did you mean focal?"]),
        ("[losses.huber]\ndetla = 1.0", "regression", 0,
         ["losses.huber.detla: unknown parameter", "huber has delta (0.01 to 10, log)", "Did you mean delta?"]),
        ("[losses.cross_entropy]\ngamma = 1.0", "multiclass", 3, ["losses.cross_entropy.gamma: unknown parameter",
                                                                 "no parameters"]),
        ("[losses.huber]", "multiclass", 3, ["losses.huber: huber is for regression", "this task is multiclass",
                                             "Losses that fit: cross_entropy,"]),
        ("[losses.binary_focal]", "multiclass", 3, ["binary_focal is for binary, segmentation tasks"]),
        ("[losses.focal]\ngamma = -1", "multiclass", 3, ["losses.focal.gamma: gamma = -1 is outside its domain"]),
        ("[losses.focal]\ngamma = 'serach'", "multiclass", 3, ["losses.focal.gamma:", "Did you mean search?"]),
        ("[losses.focal]\nalpha = [1, 2]", "multiclass", 3, ["losses.focal.alpha: alpha has 2 numbers for 3 classes"]),
        ("[losses.focal]\nalpha = 0.25", "binary", 2, ["losses.focal.alpha: alpha takes one number per class, not 0.25",
                                                      "Give 2 numbers in class order"]),
        ("[losses.gce]\nq = { low = 0, high = 1 }", "binary", 2, ["losses.gce.q: the range ends at 0, outside"]),
        ("[losses.a]\nfunction = 'no.py:f'", "binary", 2, ["losses.a.function: no.py:f: no such file"]),
        ("[losses.a]\nfunction = 'no_such_module:f'", "binary", 2, ["losses.a.function: ", "no_such_module"]),
    ],
)  # fmt: skip
def test_mistakes_that_only_the_registry_knows(losses, text, task, k, message):
    refused = refusal(chosen, text, losses, task, k)
    assert all(part in refused for part in message)


def test_mistakes_in_several_losses_are_told_at_once_with_the_file(write, losses):
    text = "[losses.focl]\n[losses.huber]\n[losses.focal]\ngamma = -1\nalfa = 1"
    spec = study.load(write(MINIMAL + text))
    lines = refusal(candidates_of, spec, losses, "multiclass", 3).splitlines()
    keys = [line.removeprefix("studies/x.toml: ").split(":")[0] for line in lines]
    assert keys == ["losses.focl", "losses.huber", "losses.focal.gamma", "losses.focal.alfa"]


def test_a_single_unknown_name_keeps_its_kind(losses):
    with pytest.raises(UnknownError):
        chosen("[losses.focl]", losses)


def test_parameters_of_any_kind(losses):
    spec = LossSpec(
        name="odd", function=print, tasks=("multiclass",), summary="", reference="",
        params=(Choice("mode", "a", ("a", "b")), Float("c", None, 0.0, 1.0, optional=True), PerClass("w")),
    )  # fmt: skip
    candidates = chosen("[losses.odd]\nmode = 'b'\nc = 'none'\nw = [1, 2, 3]", losses.add(spec))
    assert candidates[1].search_space == {"mode": Fixed("b"), "c": Fixed(None), "w": Fixed((1.0, 2.0, 3.0))}
    assert candidates[1].entry.plugin == "study"


# ---- losses of the user's own ------------------------------------------------------------

OWN = """
import keras
from keras import ops

def powered(y_true, y_pred, power=2.0):
    return ops.mean(ops.abs(y_true - y_pred) ** power, axis=-1)

class Powered(keras.losses.Loss):
    def __init__(self, power=2.0, name="powered"):
        super().__init__(name=name)
        self.power = power

    def call(self, y_true, y_pred):
        return powered(y_true, y_pred, self.power)

def only_labels(y_true):
    return y_true

number = 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


@pytest.mark.parametrize("function", ["own.py:powered", "own.py:Powered"])
def test_a_function_or_class_of_the_users_is_a_candidate_with_its_parameters(losses, folder, function):
    text = f"[losses.mine]\nfunction = '{function}'\npower = {{ low = 1.0, high = 3.0 }}"
    mine = chosen(text, losses, "regression", 0, base=folder)[1]
    assert (mine.name, mine.spec.name, mine.entry.plugin) == ("mine", "mine", "study")
    assert mine.search_space == {"power": Range(1.0, 3.0)}
    y, z = np.array([[1.0], [2.0]], np.float32), np.array([[0.0], [4.0]], np.float32)
    np.testing.assert_allclose(mine.spec.resolve()(y, z, power=3.0), [1.0, 8.0], rtol=1e-6)


def test_a_parameter_of_the_users_stays_at_its_default_until_a_range_is_given(losses, folder):
    mine = chosen("[losses.mine]\nfunction = 'own.py:powered'", losses, "regression", 0, base=folder)[1]
    assert mine.search_space == {"power": Fixed(2.0)}


@pytest.mark.parametrize(
    ("message", "task", "form"),
    [
        ("", ("multiclass", 3), ("onehot", "softmax")),
        ("", ("binary", 2), ("binary", "sigmoid")),
        ("", ("regression", 0), ("real", "identity")),
        ("activation = 'softmax'", ("binary", 2), ("onehot", "softmax")),
        ("activation = 'identity'", ("multiclass", 3), ("onehot", "identity")),
        ("target = 'signed'", ("binary", 2), ("signed", "identity")),
        ("", ("multilabel", 3), ("multihot", "sigmoid")),
        ("activation = 'sigmoid'", ("multilabel", 3), ("multihot", "sigmoid")),
        ("activation = 'identity'", ("multilabel", 3), ("multihot", "identity")),
        ("", ("segmentation", 2), ("dense", "sigmoid")),
        ("activation = 'sigmoid'", ("segmentation", 2), ("binary", "sigmoid")),
        ("target = 'signed'", ("segmentation", 2), ("signed", "identity")),
        ("activation = 'exp'", ("count", 0), ("count", "exp")),
    ],
)
def test_labels_and_predictions_follow_the_task_unless_the_study_says(losses, folder, message, task, form):
    candidates = chosen(f"[losses.mine]\nfunction = 'own.py:powered'\n{message}", losses, *task, base=folder)
    assert (candidates[1].spec.target, candidates[1].spec.activation) == form


@pytest.mark.parametrize("target", ["onehot", "multihot", "real"])
def test_labels_of_another_task_are_refused(losses, folder, target):
    text = f"[losses.mine]\nfunction = 'own.py:powered'\ntarget = '{target}'"
    assert "and this task is segmentation" in refusal(chosen, text, losses, "segmentation", 2, base=folder)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_baseline_of_its_own_among_the_recommended(losses, task):
    candidates = chosen(
        "", losses, task, {"binary": 2, "segmentation": 2, "multiclass": 3, "multilabel": 3}.get(task, 0)
    )
    assert [c.spec.name for c in candidates if c.baseline] == [losses.get(BASELINES[task]).name]
    assert all(task in c.spec.tasks for c in candidates)


def test_names_of_registered_losses_are_not_taken(losses, folder):
    text = "\n".join(f"[losses.{label}]\nfunction = 'own.py:powered'" for label in ("mse", "my-loss", "my_loss", "3x"))
    candidates = chosen(text, losses, "regression", 0, base=folder)
    assert [c.name for c in candidates] == ["mean_squared_error", "mse", "my-loss", "my_loss", "3x"]
    names = [c.spec.name for c in candidates]
    assert len(set(names)) == len(names)
    assert names[1:] == ["mse_own", "my_loss", "my_loss_own", "x"]


def test_python_may_give_the_function_itself(losses):
    def mine(y_true, y_pred):
        return (y_true - y_pred)[..., 0] ** 4

    spec = study.from_dict({"data": {"source": "a.csv"}, "losses": {"mine": {"function": mine}}})
    actual = candidates_of(spec, losses, "regression", 0)
    assert actual[1].spec.resolve()(np.ones((1, 1)), 3 * np.ones((1, 1)))[0] == 16
    assert study.fingerprint(spec)["losses.mine.function"].endswith(".<locals>.mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("function = 'own.py:powerd'", "losses.mine.function: own.py:powerd: own.py has no powerd. Did you mean "),
        ("function = 'own.py:only_labels'", "losses.mine.function: it does not take labels and predictions"),
        ("function = 'own.py:number'", "losses.mine.function: 3 is no loss"),
        ("function = 'own.py:powered'\npowr = 1", "losses.mine.powr: unknown parameter"),
        ("function = 'own.py:powered'\nlink = 'softmax'", "losses.mine: mine is for binary, multiclass tasks"),
    ],
)
def test_mistakes_in_losses_of_the_users(losses, folder, text, message):
    assert message in refusal(chosen, f"[losses.mine]\n{text}", losses, "regression", 0, base=folder)


# ---- resuming ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["group", "time", "split"])
def test_a_key_that_says_how_rows_are_cut_keeps_former_trials_apart(write, key):
    path = write(DESIGN)
    before, after = study.fingerprint(study.load(path)), study.fingerprint(study.load(path, [f"data.{key}=customer"]))
    assert f"data.{key}" not in before
    (change,) = changes.of(before, after)
    assert (change.effect, change.what) == (changes.Effect.APART, f"data.{key}: not set -> customer")
    assert "rows are split in another way" in str(change)


def test_a_study_without_a_model_is_stored_as_by_older_versions(write):
    spec = study.load(write(MINIMAL))
    assert spec.model.build == "auto"
    assert spec.document()["model"] == {
        "build": "mlp", "hidden": [64, 64], "activation": "relu", "dropout": 0.0, "batch_norm": False, "hp": None,
    }  # fmt: skip
    assert study.fingerprint(spec)["model.build"] == "mlp"
    assert study.fingerprint(spec.with_model("cnn"))["model.build"] == "cnn"
    assert spec.with_model("cnn").place("x") == spec.place("x")


@pytest.mark.parametrize(
    ("begun", "now", "expected"),
    [("mlp", "auto", "mlp"), ("cnn", "auto", "cnn"), ("a.py:f", "auto", "auto"), ("cnn", "mlp", "mlp")],
)
def test_a_study_that_names_no_model_goes_on_with_its_own(write, begun, now, expected):
    spec = study.load(write(MINIMAL), [f"model.build={now}"])
    assert study.with_begun_model(spec, {"model.build": begun}).model.build == expected


def test_a_fingerprint_is_flat_and_survives_json(write):
    marks = study.fingerprint(study.load(write(DESIGN)))
    assert json.loads(json.dumps(marks)) == marks
    assert marks["train.learning_rate"] == {"low": 1e-4, "high": 1e-2, "log": True}
    assert marks["losses.focal.loss"] == "focal"
    assert marks["losses.gce_mild.loss"] == "generalized_cross_entropy"
    assert marks["losses.mine.function"] == "my_losses.py:my_loss"


@pytest.mark.parametrize(
    "assignment",
    ["search.trials=9", "search.minutes=2", "search.lanes=4", "search.trainer=fit", "tracking.uri=sqlite:///a.db",
     "tracking.enabled=false", "tracking.experiment=e", "plugins.block=[\"a\"]"],
)  # fmt: skip
def test_what_may_change_when_a_study_is_resumed(write, assignment):
    path = write(DESIGN)
    assert study.fingerprint(study.load(path, [assignment])) == study.fingerprint(study.load(path))


@pytest.mark.parametrize(
    ("assignment", "lines"),
    [
        ("train.epochs=50", ["train.epochs: 30 -> 50"]),
        ("data.target=stays", ["data.target: left -> stays"]),
        ('data.target=["a", "b"]', ['data.target: left -> ["a", "b"]']),
        ("model.hidden=[8]", ["model.hidden: [64, 64] -> [8]"]),
        ("model.batch_norm=true", ["model.batch_norm: false -> true"]),
        ("train.optimizer={name='sgd',momentum=0.9}",
         ['train.optimizer: adam -> { name = "sgd", momentum = 0.9 }']),
        ("train.learning_rate=0.1", ["train.learning_rate: { low = 0.0001, high = 0.01, log = true } -> 0.1"]),
        ("search.seed=1", ["search.seed: 0 -> 1"]),
        ("search.metric=accuracy", ["search.metric: f1_macro -> accuracy"]),
        ("search.score_epoch=best", ["search.score_epoch: last -> best"]),
        ("search.pruner=median", ["search.pruner: none -> median"]),
        ("search.sampler=random", ["search.sampler: tpe -> random"]),
        ("losses.gce_mild.q=0.4", ["losses.gce_mild.q: 0.3 -> 0.4"]),
        ("losses.focal.alpha=none", ["losses.focal.alpha: per_class -> none"]),
        ("losses.new.loss=kld", ["losses.new.loss: not set -> kld"]),
    ],
)  # fmt: skip
def test_what_must_not_change_is_told_line_by_line(write, assignment, lines):
    path = write(DESIGN)
    old = json.loads(json.dumps(study.fingerprint(study.load(path))))
    assert list(study.changed(old, study.fingerprint(study.load(path, [assignment]))).values()) == lines
    assert study.changed(old, old) == {}


def test_a_label_that_went_is_told(write):
    old = study.fingerprint(study.load(write(DESIGN)))
    new = study.fingerprint(study.load(write(DESIGN.replace("[losses.cross_entropy] ", "").replace(
        "[losses.cross_entropy]\n", ""))))  # fmt: skip
    assert list(study.changed(old, new).values()) == ["losses.cross_entropy.loss: cross_entropy -> not set"]


def test_a_default_set_is_not_a_written_one(write):
    old = study.fingerprint(study.load(write(MINIMAL)))
    new = study.fingerprint(study.load(write(MINIMAL + "[losses.focal]")))
    assert list(study.changed(old, new).values()) == [
        "losses.focal.loss: not set -> focal",
        "losses: recommended -> not set",
    ]


DECLARED = """
import functools

import lossreg
from lossreg import Float

@lossreg.regression_loss(
    params=(Float("power", 2.0, 1.0, 3.0),), activation="softplus", target="raw", needs=("target_scale",), reference="r"
)
def declared(y_true, y_pred, *, power, target_scale):
    "A loss."
    return y_pred

@lossreg.regression_loss(reference="r")
def huber(y_true, y_pred):
    "It has the name of another."
    return y_pred

@functools.wraps(declared)
def wrapper(y_true, y_pred, **others):
    return declared(y_true, y_pred, **others)
"""


@pytest.fixture
def declaring(tmp_path):
    (tmp_path / "mine.py").write_text(DECLARED)
    return tmp_path


def of_task_positive(text, losses, base):
    return chosen(text, losses, "positive", 0, base)


def test_a_declared_function_is_a_candidate_as_it_is_declared(losses, declaring):
    text = """
    [losses.one]
    function = "mine.py:declared"
    activation = "softplus"
    [losses.two]
    function = "mine.py:declared"
    power = 1.5
    """
    _, one, two = of_task_positive(text, losses, declaring)
    spec = locate("mine.py:declared", declaring).spec
    assert one.spec is two.spec is spec
    assert (one.search_space, two.search_space) == ({"power": Range(1.0, 3.0)}, {"power": Fixed(1.5)})
    assert one.entry.plugin == "study"


def test_a_declared_function_of_an_installed_plugin_is_the_loss_of_that_plugin(losses, declaring):
    registered = losses.add(locate("mine.py:declared", declaring).spec, plugin="mine")
    _, one = of_task_positive('[losses.one]\nfunction = "mine.py:declared"', registered, declaring)
    assert one.entry.plugin == "mine"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('function = "mine.py:declared"\nactivation = "exp"', "losses.one.activation: the function is declared with "
         'activation = "softplus", not "exp". Leave it out'),
        ('function = "mine.py:declared"\nlink = "exp"', "losses.one.activation: the function is declared with"),
        ('function = "mine.py:declared"\ntarget = "real"', 'losses.one.target: the function is declared with target'),
        ('function = "mine.py:declared"\noutputs = 2', 'losses.one.outputs: the function is declared with outputs = '),
        ('function = "mine.py:huber"', "losses.one.function: the name huber is taken by the loss huber"),
        ('function = "mine.py:wrapper"', "losses.one.function: a decorator stands above the one that declares it"),
    ],
)  # fmt: skip
def test_a_study_cannot_say_something_else_of_a_declared_function(losses, declaring, lines, message):
    with pytest.raises(InputError, match=re.escape(message)):
        of_task_positive(f"[losses.one]\n{lines}", losses, declaring)


def test_a_function_that_is_not_in_a_table_is_told_how_to_be_written():
    with pytest.raises(InputError, match=r'losses.plain: .*function.*Write \{"function": squared\}'):
        unnamed(losses={"plain": squared})


def test_the_word_candidate_is_told_from_the_key_of_a_loss(losses):
    with pytest.raises(InputError, match=r'losses.f.candidate: unknown key. .*write loss = "focal"'):
        chosen('[losses.f]\ncandidate = "focal"', losses)


@pytest.mark.parametrize("key", ["activation", "link"])
@pytest.mark.parametrize(("value", "message"), [(3, "must be text, not 3"), ("sofmax", 'unknown activation "sofmax"')])
def test_a_wrong_activation_is_told_under_the_key_that_was_written(key, value, message):
    with pytest.raises(InputError, match=f"losses.mine.{key}: {message}"):
        unnamed(losses={"mine": {"function": "own.py:f", key: value}})


def test_a_study_with_a_model_of_its_own_is_known_as_it_began_after_a_change():
    document = {"name": "own", "data": {"source": "rows.csv"}, "model": {"build": "own.py:build", "hp": "search"}}
    begun, later = (study.from_dict({**document, "train": {"epochs": epochs}}) for epochs in (3, 9))
    again = study.as_begun(later, study.fingerprint(begun), begun.document())
    assert (again.model.build, again.model.hp, again.train.epochs) == ("own.py:build", "search", 3)
    assert study.fingerprint(again) == study.fingerprint(begun)


def test_a_study_that_changed_is_restored_with_its_own_model():
    def build_model(hp):
        return hp

    for build in ("own.py:build", build_model):
        document = {"data": {"source": "sklearn:iris"}, "model": {"build": build}, "train": {"epochs": 3}}
        begun, now = study.from_dict(document), study.from_dict({**document, "train": {"epochs": 4}})
        restored = study.as_begun(now, study.fingerprint(begun), begun.document())
        assert (restored.train.epochs, restored.model.build) == (3, build)


def test_a_study_that_changed_is_restored_with_the_functions_that_were_given():
    def mine(y_true, y_pred):
        return y_pred

    document = {
        "data": {"source": "sklearn:iris"}, "search": {"metric": mine, "direction": "maximize"},
        "losses": {"own": {"function": mine}, "focal": {}}, "model": {"build": mine},
        "train": {"epochs": 3, "callbacks": mine},
    }  # fmt: skip
    begun, now = study.from_dict(document), study.from_dict({**document, "train": {"epochs": 4, "callbacks": mine}})
    restored = study.as_begun(now, study.fingerprint(begun), begun.document())
    assert restored.train.epochs == 3
    given = restored.search.metric, restored.losses["own"].function, restored.model.build, restored.train.callbacks
    assert given == (mine,) * 4


def test_a_study_of_classes_with_a_single_row_is_known_by_what_is_kept_of_it():
    begun = study.from_dict({"data": {"source": "sklearn:iris", "single_rows": True}})
    for again in (study.from_dict(begun.document()), study.of(begun, ["train.epochs=3"])):
        assert again.data.options.fewest == 1
