"""A study that changed since it began: refused key by key; where it is allowed, old trials stay or are kept apart."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from fake_trainer import Fake
from inline import Inline
from optuna.distributions import FloatDistribution
from PIL import Image
from searches import Stops

import lossreg
from lossreg.config import changes, study
from lossreg.config.changes import Effect
from lossreg.config.document import fields
from lossreg.config.search_space import ByCount, Fixed, Options, PerClassRange, Range
from lossreg.config.study import StudySpec
from lossreg.data import positive
from lossreg.errors import InputError
from lossreg.reporting import study_plots
from lossreg.search import choices, preparation, run, study_data
from lossreg.search.outline import plan
from lossreg.storage.study_folder import StudyFolder
from lossreg.tracking import tracker

FOCAL = {"gamma": {"low": 0.0, "high": 5.0}, "alpha": "none"}
BEGUN = {
    "name": "small",
    "data": {"source": "sklearn:iris"},
    "model": {"hidden": [4]},
    "train": {"epochs": 3, "batch_size": 16},
    "search": {"trials": 14, "metric": "accuracy", "lanes": 4},
    "losses": {"cross_entropy": {}, "focal": FOCAL, "gce": {"loss": "generalized_cross_entropy", "q": "search"}},
    "verdict": {"enabled": False},
    "tracking": {"enabled": False},
}  # fmt: skip
SEARCHED = {
    **BEGUN,
    "model": {"hidden": {"choices": [[4], [8], [6]]}, "dropout": {"low": 0.0, "high": 0.5}},
    "train": {"epochs": 3, "batch_size": {"choices": [16, 32, 64]}, "optimizer": {"name": "sgd", "momentum": "search"}},
}
TRIALS, MORE = 14, 30


def changed(change, trials=TRIALS, begun=BEGUN):
    """The document with other values of some keys, given as `{"train.epochs": 5}`; None leaves a key out."""
    document = {name: dict(section) if isinstance(section, dict) else section for name, section in begun.items()}
    for key, value in {"search.trials": trials, **change}.items():
        section, _, name = key.partition(".")
        if value is None:
            del document[section][name]
        else:
            document[section][name] = value
    return document


def score(plan, epoch):
    return 0.5 + 0.01 * epoch - 0.01 * plan.params.get("gamma", 1.0)


def faked(document, **options):
    """The study run by a trainer that stands in for Keras."""
    return lossreg.tune(document, trainers=[Fake(score)], **options)


def numbered(result):
    return {trial.number: (trial.candidate, dict(trial.params), trial.score) for trial in result.trials}


def journal():
    return Path(".lossreg/small/journal.log").read_bytes()


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, numbered(faked(BEGUN))


@pytest.fixture
def begun(run_once, tmp_path, monkeypatch):
    """The trials of the study, which stands in the working directory."""
    folder, before = run_once
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return before


def cases(rows, *quick):
    """The rows as parameters of a test, long but for those that change one of the quick keys."""
    changes = [row[0] if isinstance(row, tuple) else row for row in rows]
    return [
        pytest.param(*(row if isinstance(row, tuple) else (row,)), id=", ".join(change),
                     marks=() if any(key in change for key in quick) else pytest.mark.long)
        for row, change in zip(rows, changes, strict=True)
    ]  # fmt: skip


def later(result, name):
    return [trial.params.get(name) for trial in result.trials if trial.number >= TRIALS]


FREE = [
    {"search.minutes": 60.0}, {"search.lanes": 8}, {"search.trainer": "population"}, {"search.keep": "all"},
    {"search.confirm": 3},
    {"verdict.repeats": 5}, {"verdict.outer": 0}, {"verdict.margin": 0.1}, {"tracking.experiment": "other"},
    {"tracking.model": False}, {"tracking.register": "team"}, {"plugins": {"block": ["nothing"]}},
    {"plugins": {"skip_missing": True}},
]  # fmt: skip
GOES_ON = [
    ({"train.epochs": 5}, "train.epochs: 3 -> 5",
     lambda result: {trial.epochs for trial in result.trials if trial.number >= TRIALS} == {5}),
    ({"train.early_stopping": {"patience": 1, "min_delta": 0.1}, "search.score_epoch": "last"}, "train.early_stopping",
     lambda result: {trial.epochs for trial in result.trials if trial.number >= TRIALS} == {2}),
    ({"train.learning_rate": {"low": 1e-3, "high": 3e-3, "log": True}}, "train.learning_rate",
     lambda result: all(1e-3 <= rate <= 3e-3 for rate in later(result, "learning_rate"))),
    ({"train.learning_rate": 0.02}, "train.learning_rate",
     lambda result: set(later(result, "learning_rate")) == {None}),
    ({"search.sampler": "random"}, "search.sampler: tpe -> random", None),
    ({"search.pruner": "median"}, "search.pruner: none -> median", None),
    ({"losses.focal": {**FOCAL, "gamma": {"low": 1.0, "high": 2.0}}}, "losses.focal.gamma",
     lambda result: all(gamma is None or 1.0 <= gamma <= 2.0 for gamma in later(result, "focal.gamma"))),
    ({"losses.focal": {**FOCAL, "gamma": {"low": 0.0, "high": 9.0}}}, "losses.focal.gamma", None),
    ({"losses.focal": {**FOCAL, "gamma": 3.0}}, "losses.focal.gamma",
     lambda result: set(later(result, "focal.gamma")) == {None}),
    ({"losses.new": {"loss": "poly_loss"}}, "losses.new: a new candidate (",
     lambda result: sum(trial.candidate == "new" for trial in result.trials) >= 4),
    ({"losses.gce": None}, "losses.gce: left out (",
     lambda result: "gce" not in {trial.candidate for trial in result.trials if trial.number >= TRIALS}),
    ({"losses.gce": None, "losses.new": {"loss": "poly_loss"}, "train.epochs": 4}, "losses.new: a new candidate", None),
]  # fmt: skip
NARROWER = {
    "model.hidden": {"choices": [[8], [6]]}, "model.dropout": {"low": 0.1, "high": 0.2},
    "train.batch_size": {"choices": [16, 64]},
    "train.optimizer": {"name": "sgd", "momentum": {"low": 0.2, "high": 0.3}},
}  # fmt: skip
APART = [
    ({"data.validation": 0.3}, "data.validation"), ({"data.test": 0.3}, "data.test"),
    ({"data.folds": 3}, "data.folds"), ({"data.preprocess": "none"}, "data.preprocess"),
    ({"data.na_values": [5.1]}, "data.na_values"), ({"data.columns": {"petal width (cm)": "drop"}}, "data.columns"),
    ({"data.drop_unlabelled": True}, "data.drop_unlabelled"), ({"data.decimal": "."}, "data.decimal"),
    ({"data.thousands": ","}, "data.thousands"), ({"data.single_rows": True}, "data.single_rows"),
    ({"data.noise": 0.1}, "data.noise"),
    ({"data.source": "sklearn:wine"}, "data.source"), ({"model.hidden": [6]}, "model.hidden"),
    ({"model.dropout": {"low": 0.0, "high": 0.5}}, "model.dropout"),
    ({"model.activation": "tanh"}, "model.activation"),
    ({"model.batch_norm": True}, "model.batch_norm"), ({"train.batch_size": 8}, "train.batch_size"),
    ({"train.optimizer": "rmsprop"}, "train.optimizer"), ({"train.schedule": "cosine"}, "train.schedule"),
    ({"train.class_weight": "balanced"}, "train.class_weight"),
    ({"train.embedding_gradients": "keras"}, "train.embedding_gradients"),
    ({"search.metric": "log_loss"}, "search.metric"),
    ({"search.metric": None, "search.metrics": ["accuracy", "log_loss"]}, "search.metrics"),
    ({"search.constraints": {"log_loss": 2.0}}, "search.constraints"),
    ({"search.seed": 1}, "search.seed"), ({"search.seeds": 2}, "search.seeds"),
    ({"search.score_epoch": "best"}, "search.score_epoch"), ({"search.decision": "tuned"}, "search.decision"),
    ({"losses.gce": {"loss": "poly_loss"}}, "losses.gce.loss"),
    ({"train.learning_rate": {"low": 1e-3, "high": 3e-3, "log": False}}, "train.learning_rate"),
    ({"train.learning_rate": {"choices": [1e-3, 3e-3]}}, "train.learning_rate"),
    ({"losses.focal": {**FOCAL, "gamma": {"low": 1.0, "high": 2.0, "log": True}}}, "losses.focal.gamma"),
    ({"train.epochs": 4, "search.seed": 2}, "search.seed"),
]  # fmt: skip


@pytest.mark.parametrize("change", cases(FREE, "search.keep"))
def test_what_is_free_to_change_asks_for_nothing(begun, change):
    document = changed({key: value for key, value in change.items() if key != "plugins"}, TRIALS + 2)
    result = faked({**document, **{key: value for key, value in change.items() if key == "plugins"}})
    assert begun.items() <= numbered(result).items()
    assert len(result.trials) == TRIALS + 2


@pytest.mark.parametrize(("change", "line", "holds"), cases(GOES_ON, "losses.new"))
def test_where_scores_stay_comparable_a_changed_study_goes_on_if_it_is_allowed(begun, change, line, holds):
    document, before = changed(change, MORE), journal()
    with pytest.raises(InputError, match=rf"(?s){re.escape(line)}.*allow_changed=True goes on: .*fresh=True"):
        faked(document)
    assert journal() == before
    result = faked(document, allow_changed=True)
    assert begun.items() <= numbered(result).items()
    assert len(result.trials) == MORE
    assert holds is None or holds(result)
    assert [note for note in result.notes if note.startswith(f"changed after {TRIALS} trials: ") and line in note]
    assert lossreg.results(document).notes == result.notes
    again = faked(changed(change, MORE + 2))
    assert numbered(result).items() <= numbered(again).items()
    assert len(again.trials) == MORE + 2
    assert [path.name for path in Path(".lossreg").iterdir()] == ["small"]


@pytest.mark.parametrize(("change", "key"), cases(APART, "search.metric", "model.hidden"))
def test_where_scores_are_not_comparable_the_former_trials_are_kept_apart_if_it_is_allowed(begun, change, key):
    document, before = changed(change, TRIALS), journal()
    with pytest.raises(InputError, match=rf"(?s){re.escape(key)}.*allow_changed=True keeps the former trials apart"):
        faked(document)
    assert journal() == before
    result = faked(document, allow_changed=True)
    assert len(result.trials) == TRIALS
    (aside,) = [path for path in Path(".lossreg").iterdir() if path.name != "small"]
    assert (aside / "journal.log").read_bytes() == before
    assert [note for note in result.notes if str(aside) in note and key in note]
    started = min(trial.started for trial in result.trials)
    assert all(trial.started >= started for trial in result.trials)
    assert StudyFolder(aside, "small").read().user_attrs["lossreg"]["id"] != _id()


def test_another_scale_is_refused_with_what_the_flag_would_do_and_so_is_that_of_a_loss_that_comes_back(begun):
    with pytest.raises(InputError, match=r"learning_rate: .* \(allow_changed=True keeps .* scale of a parameter\)\. "):
        faked(changed({"train.learning_rate": {"low": 1e-3, "high": 3e-3, "log": False}}))
    faked(changed({"losses.focal": None}, TRIALS + 1), allow_changed=True)
    with pytest.raises(InputError, match=r"focal\.gamma: not set -> .* \(allow_changed=True keeps .* scale of a"):
        faked(changed({"losses.focal": {**FOCAL, "gamma": {"low": 1.0, "high": 2.0, "log": True}}}, TRIALS + 1))


@pytest.mark.parametrize(
    ("space", "differs"),
    [
        (Range(0.0, 1.0), False), (Range(0.5, 1.0, log=True), True), (Range(1, 2, integer=True), True),
        (Options((0.0, 1.0)), True), (Fixed(0.5), False), (ByCount(0.0, 1.0), False),
        (PerClassRange(0.1, 9.0, log=True), False), (PerClassRange(0.1, 9.0, log=False), True),
    ],
)  # fmt: skip
def test_a_search_space_is_held_against_what_trials_drew_from(space, differs):
    alpha = {"focal.alpha.tau": FloatDistribution(0.0, 1.0), "focal.alpha.red": FloatDistribution(0.1, 1.0, log=True)}
    before = {"focal.alpha": FloatDistribution(0.0, 1.0), **alpha}
    assert choices.rescaled({"losses.focal.alpha": space}, before) == ["losses.focal.alpha"] * differs


def _id():
    return StudyFolder(Path(".lossreg/small"), "small").read().user_attrs["lossreg"]["id"]


def test_every_key_of_a_study_file_has_an_effect_and_the_tests_change_it():
    keys = {
        f"{section}.{name}" if hasattr(field.annotation, "model_fields") else section
        for section, field in StudySpec.model_fields.items()
        for name in (fields(field.annotation) if hasattr(field.annotation, "model_fields") else [""])
    }
    effects = {key: changes.effect_of(key)[0] for key in keys}
    tried = {key: effect for effect, cases in ((Effect.NONE, FREE), (Effect.LATER, [case[0] for case in GOES_ON]),
             (Effect.APART, [case[0] for case in APART])) for case in cases for key in case}  # fmt: skip
    for key, effect in effects.items():
        assert effect in Effect
        names = {name for name in tried if name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")}
        assert names or key in UNTRIED, key


# keys that iris has no use for; their effect is that of their section
UNTRIED = {
    "name", "data.target", "data.weight", "data.task", "data.drop", "data.encoding", "data.sheet", "data.positive",
    "data.exposure", "data.group", "data.time", "data.split", "data.image_size", "data.image_channels",
    "data.drop_unreadable", "model.build", "model.filters", "model.kernel_size", "model.hp", "model.start",
    "model.head", "train.callbacks",
    "search.trials", "search.direction", "search.predictions",
    "verdict.enabled", "tracking.uri", "tracking.enabled", "storage.url", "storage.dead_after", "storage.patience",
}  # fmt: skip


def test_several_changes_are_told_one_in_a_line_with_what_each_would_do(begun):
    document = changed({"train.epochs": 5, "search.metric": "log_loss", "losses.gce": None})
    with pytest.raises(InputError) as told:
        faked(document)
    lines = str(told.value).splitlines()
    assert lines[1:] == [
        "  train.epochs: 3 -> 5 (allow_changed=True goes on: later trials are trained so)",
        "  search.metric: accuracy -> log_loss (allow_changed=True keeps the former trials apart: scores of another "
        "metric cannot be compared)",
        "  losses.gce: left out (allow_changed=True goes on: its trials stay). ",
        "Take the change back, give the study another name, add allow_changed=True, or start over with fresh=True.",
    ]
    assert [note for note in plan(document, allow_changed=True).notes if "kept apart: search.metric" in note]
    assert journal()
    outlined = plan(changed({"train.epochs": 5}), allow_changed=True)
    assert outlined.notes[0] == "later trials only: train.epochs: 3 -> 5 (later trials are trained so)"


def test_naming_the_metric_that_a_study_has_by_default_is_no_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = changed({"search.metric": None})
    result = faked(default)
    named = faked(changed({"search.metric": result.metric}))
    assert numbered(named) == numbered(result)


def test_a_loss_that_was_left_out_comes_back_as_the_same_loss_and_not_as_another(begun):
    faked(changed({"losses.gce": None}), allow_changed=True)
    with pytest.raises(InputError, match=r"losses\.gce\.loss: not set -> poly_loss.*former trials apart"):
        faked(changed({"losses.gce": {"loss": "poly_loss"}}))
    result = faked(changed({}, MORE), allow_changed=True)
    assert begun.items() <= numbered(result).items()
    assert [trial for trial in result.trials if trial.candidate == "gce" and trial.number >= TRIALS]


def test_interrupted_trials_run_again_with_their_parameters_where_these_are_still_in_range(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(KeyboardInterrupt):
        faked(BEGUN, progress=Stops(5))
    study = StudyFolder(Path(".lossreg/small"), "small").read()
    cut = [trial.params for trial in study.get_trials(deepcopy=False) if trial.state.name == "RUNNING"]
    assert cut
    narrow = {"low": 0.5, "high": 1.0}
    result = faked(changed({"losses.focal": {**FOCAL, "gamma": narrow}, "losses.new": {"loss": "poly_loss"}},
                   MORE), allow_changed=True)  # fmt: skip
    assert len(result.trials) == MORE
    done = [{"loss": trial.candidate, **trial.params} for trial in result.trials]
    for params in cut:
        fits = params["loss"] != "focal" or 0.5 <= params["focal.gamma"] <= 1.0
        assert sum(params.items() <= other.items() for other in done) == fits


def test_a_study_that_has_begun_keeps_its_positive_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(
        f"{a},{b},{'ja' if a + b > 1 else 'nein'}" for a, b in np.random.default_rng(0).normal(size=(80, 2))
    )
    Path("rows.csv").write_text("a,b,y\n" + rows)
    losses = {"cross_entropy": {}, "binary_focal": {}}
    begun = {**BEGUN, "data": {"source": "rows.csv", "target": "y"}, "losses": losses}
    with monkeypatch.context() as patch:  # as earlier versions chose: the last in alphabetical order
        patch.setattr(positive, "choose", lambda pair, asked, former: positive.Positive(1, ""))
        assert list(faked(begun).data["classes"]) == ["ja", "nein"]
    result = faked(changed({}, TRIALS + 2, begun))
    assert list(result.data["classes"]) == ["ja", "nein"]
    assert any(note.startswith("Positive class (index 1): nein, as when the study began") for note in result.notes)
    named = changed({"data.positive": "nein"}, TRIALS + 4, begun)
    assert len(faked(named).trials) == TRIALS + 4
    with pytest.raises(InputError, match=r"data.positive: not set -> ja .*keeps the former trials apart"):
        faked(changed({"data.positive": "ja"}, TRIALS, begun))
    anew = faked(changed({}, TRIALS, begun), fresh=True)
    assert list(anew.data["classes"]) == ["nein", "ja"]


def test_rows_that_are_given_are_given_again_and_held_against_the_former_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(80, 2))
    rows, losses = (x, (x.sum(axis=1) > 0).astype(int)), {"cross_entropy": {}, "binary_focal": {}}
    document = {**BEGUN, "data": {"validation": 0.3}, "losses": losses}
    result = faked(document, data=rows)
    assert result.data["rows"] == {"train": 44, "validation": 20, "test": 16}
    more = faked(changed({}, TRIALS + 2, document), data=rows)
    assert len(more.trials) == TRIALS + 2
    assert plan(changed({}, TRIALS + 4, document), data=rows).done == TRIALS + 2
    told = {"na_values": [5, "?"], "columns": {"x0": "number"}, "positive": 0}
    outlined = plan({**document, "name": "other", "data": told}, data=rows)
    assert outlined.asked["columns"] == "x0 number"
    assert outlined.asked["read with"] == 'na_values [5, "?"], positive 0'
    assert "Positive class (index 1): 0, as data.positive says." in outlined.notes
    assert len(run.verdict(changed({}, TRIALS, document), 2, data=rows).trials) == TRIALS + 2
    other = (x + 1, rows[1])
    with pytest.raises(InputError, match=r"the rows that are given \(digest"):
        faked(changed({}, TRIALS + 4, document), data=other)
    with pytest.raises(InputError, match=r"data.source: is missing"):
        faked(document)
    with pytest.raises(InputError, match=r"data.source: the rows are given as data= too"):
        faked(BEGUN, data=rows)
    unnamed = [study.of({"data": {}}, (), each).name for each in (rows, rows, other)]
    assert unnamed[0] == unnamed[1] != unnamed[2]


@pytest.mark.parametrize(("key", "array"), [("group", [0, 1, 2, 3]), ("time", [3, 1, 2, 0]), ("split", list("abca"))])
def test_other_arrays_that_say_how_rows_are_cut_make_another_unnamed_study(key, array):
    arrays = {"x": np.eye(4), "y": np.array([0, 1, 0, 1]), "beside": np.array(array)}
    reversed_ones = {**arrays, "beside": np.array(array[::-1] if key != "split" else array[1:] + array[:1])}
    first, again, other = (
        study.of({"data": {key: "beside"}}, (), rows).name for rows in (arrays, dict(arrays), reversed_ones)
    )
    assert first == again != other


class Shuffled:
    """A stream as TensorFlow has them, which gives its rows in another order whenever it is read."""

    element_spec = (np.zeros(2), np.zeros(()))

    def __init__(self):
        self.reads = 0

    def cardinality(self):
        return 60

    def as_numpy_iterator(self):
        self.reads += 1
        x = np.random.default_rng(0).normal(size=(60, 2))
        return iter([(x[i], i % 2) for i in np.random.default_rng(self.reads).permutation(60)])


@pytest.mark.parametrize("document", [{"data": {}}, {"name": "mine", "data": {}}])
def test_a_stream_is_read_once_for_the_name_of_a_study_and_its_rows(document):
    rows = Shuffled()
    spec = study.of(document, ["search.trials=3"], rows)
    digests = {study_data.load_data(study.of(spec, ["search.trials=4"]))[0].digest for _ in range(2)}
    assert len(digests) == 1
    assert rows.reads == 1


def test_a_dry_run_shows_how_the_rows_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame({"a": np.arange(40) * 0.5, "b": np.arange(40) % 7, "y": ["p", "q"] * 20})
    for name in ("rows", "test", "validation"):
        rows.to_csv(f"{name}.csv", index=False)
    told = {"source": "rows.csv", "target": "y", "test": "test.csv", "validation": "validation.csv", "drop": ["b"]}
    asked = plan({**BEGUN, "data": told, "losses": {"cross_entropy": {}}}).asked
    assert (asked["test rows"], asked["validation rows"]) == ("test.csv", "validation.csv")
    assert asked["read with"] == 'drop ["b"]'


def test_a_dry_run_shows_how_images_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(24):
        path = Path("pictures", "ab"[i % 2], f"{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (9, 9), np.uint8)).save(path)
    told = {"source": "pictures", "image_size": [8, 8], "image_channels": 1, "drop_unreadable": True}
    outlined = plan({**BEGUN, "data": told, "losses": {"cross_entropy": {}}})
    assert outlined.asked["read with"] == "image_size [8, 8], image_channels 1, drop_unreadable true"
    assert {"test rows", "validation rows"}.isdisjoint(outlined.asked)


def test_changed_data_begin_anew_and_the_trials_on_the_former_ones_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def table(seed):
        rows = "\n".join(f"{a},{b},{int(a + b > 0)}" for a, b in np.random.default_rng(seed).normal(size=(80, 2)))
        Path("rows.csv").write_text("a,b,y\n" + rows)

    losses = {"cross_entropy": {}, "binary_focal": {}}
    document = {**BEGUN, "data": {"source": "rows.csv", "target": "y"}, "losses": losses}
    table(0)
    faked(document)
    table(1)
    with pytest.raises(InputError, match=r"the data of .* \(digest .*keeps the former trials apart: scores on other"):
        faked(document)
    result = faked(document, allow_changed=True)
    assert len(result.trials) == TRIALS
    assert len(list(Path(".lossreg").iterdir())) == 2
    assert [note for note in result.notes if note.startswith("begun anew, apart from the former run in ")]


@pytest.mark.long
def test_mlflow_tells_of_a_change_and_has_the_trials_before_and_after_or_a_run_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracker, "Process", Inline)
    monkeypatch.setattr(study_plots, "figures", lambda result: {})
    tracked = {"tracking": {"uri": "sqlite:///mlflow.db", "experiment": "small"}}
    faked({**BEGUN, **tracked})
    went_on = faked({**changed({"train.epochs": 5}, MORE), **tracked}, allow_changed=True)
    apart = faked({**changed({"search.metric": "log_loss"}), **tracked}, allow_changed=True)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")  # MLflow keeps stores by their address
    experiment = client.get_experiment_by_name("small").experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    for result, words, count in ((went_on, "changed after 14 trials: train", MORE), (apart, "begun anew", TRIALS)):
        parent = client.get_run(result.tracking["run_id"])
        assert words in parent.data.tags["mlflow.note.content"]
        children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert len(children) == count
    assert went_on.tracking["run_id"] != apart.tracking["run_id"]


@pytest.mark.long
def test_the_model_and_the_verdict_of_a_trial_before_a_change_are_those_of_its_own_parameters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keep = {"search.keep": "all"}
    lossreg.tune(changed(keep, 6))
    now = changed({"losses.gce": None, "losses.focal": {**FOCAL, "gamma": 0.0}, **keep}, 6)
    now["verdict"] = {"enabled": True, "repeats": 2, "outer": 0}
    result = lossreg.tune(now, allow_changed=True)
    for trial in result.trials:
        model = lossreg.load_trial(now, trial.number).model
        rows = np.zeros((2, 4), "float32")
        assert np.allclose(model(rows), lossreg.load_trial(now, trial.number).model(rows))
    assert {trial.candidate for trial in result.trials} == {"cross_entropy", "focal", "gce"}
    winner = result.verdict.winner
    trial = next(trial for trial in result.trials if trial.number == winner.trial)
    assert trial.candidate == "focal"
    assert winner.recipe == trial.recipe


def test_what_is_searched_of_model_and_optimizer_may_become_narrower_and_not_wider(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = numbered(faked(SEARCHED))
    document = changed(NARROWER, MORE, SEARCHED)
    with pytest.raises(InputError) as told:
        faked(document)
    assert {line.split(":")[0].strip() for line in str(told.value).splitlines()[1:-1]} == set(NARROWER)
    assert str(told.value).count("goes on: it is searched within the former values") == len(NARROWER)
    with pytest.raises(InputError, match="keeps the former trials apart"):
        faked(changed({"model.hidden": {"choices": [[4], [16]]}}, MORE, SEARCHED))
    result = faked(document, allow_changed=True)
    assert before.items() <= numbered(result).items()
    assert set(later(result, "model.hidden")) == {"[8]", "[6]"}
    assert set(later(result, "batch_size")) == {16, 64}
    assert all(0.1 <= rate <= 0.2 for rate in later(result, "model.dropout"))
    assert all(0.2 <= value <= 0.3 for value in later(result, "optimizer.momentum"))


def test_a_trial_is_repeated_as_it_was_recorded():
    spec = study.of(changed({"losses.focal": {**FOCAL, "gamma": 0.5}, **NARROWER}, begun=SEARCHED))

    proposer = preparation.prepare(spec, rehearsed=False).proposer
    params = {"focal.gamma": 4.5, "learning_rate": 0.5, "optimizer.momentum": 0.25, "batch_size": 16,
              "model.hidden": "[8]", "model.dropout": 0.3}  # fmt: skip
    repeated = proposer.repeated("focal", params, {"gamma": 4.5, "alpha": None}, 0.5)
    assert repeated.params["gamma"] == 4.5
    assert repeated.learning_rate == 0.5
    assert repeated.optimizer_settings == {"momentum": 0.25}
    assert repeated.architecture.batch_size == 16
