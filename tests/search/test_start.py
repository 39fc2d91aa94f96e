"""Studies whose trials begin from a saved model."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

import lossreg
from lossreg.config import changes
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.search import outline, preparation

RNG = np.random.default_rng(2)
X = RNG.normal(size=(200, 4)).astype(np.float32)
Y = np.where(X[:, 0] + 0.3 * RNG.normal(size=200) > 0, "yes", "no")


def base(outputs=1, width=6, name="base.keras"):
    keras.utils.set_random_seed(width)
    hidden = layers.Dense(width, "relu", trainable=False)
    model = keras.Sequential([keras.Input((4,)), hidden, layers.Dense(outputs, "sigmoid")])
    model.save(name)
    return model


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(X, columns=list("abcd")).assign(target=Y).to_csv("rows.csv", index=False)


def study(losses=("cross_entropy", "weighted_bce"), **model):
    return {
        "name": "tuned",
        "data": {"source": "rows.csv", "target": "target", "preprocess": "none"},
        "model": {"start": "base.keras", **model},
        "train": {"epochs": 2, "learning_rate": 0.01},
        "search": {"trials": 2, "lanes": 2, "keep": "all", "confirm": 0},
        "losses": {name: {} for name in losses},
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }


def frozen_weights(model):
    return next(layer for layer in model.layers if isinstance(layer, layers.Dense)).get_weights()


def test_a_study_fine_tunes_predicts_and_knows_its_file_again():
    model, document = base(), study()
    result = lossreg.tune(document)
    assert [trial.trainer for trial in result.trials] == ["population"] * 2
    assert any("train 7 of 37; 1 layer stays frozen" in note for note in result.notes)
    for number in (0, 1):
        trained, _ = lossreg.load_trial(document, number=number)
        assert all(map(np.array_equal, frozen_weights(trained), frozen_weights(model)))
    other = next(trial.number for trial in result.trials if trial.number != result.recommended.number)
    for number in (result.recommended.number, other):
        trained, _ = lossreg.load_trial(document, number=number)
        shown = lossreg.load_predictor(document, number).predict_proba(pd.DataFrame(X, columns=list("abcd")))
        assert shown[:, 1] == pytest.approx(trained.predict(X, verbose=0)[:, 0], abs=1e-5)
    assert len(lossreg.tune(document).trials) == 2
    base(width=7)
    with pytest.raises(InputError, match=r"the model in base\.keras \(digest \w+ -> \w+\).*begin from other weights"):
        lossreg.tune(document)
    with pytest.raises(InputError, match=r"the model in base\.keras \(digest"):
        lossreg.load_predictor(document, other)
    assert len(lossreg.tune(document, allow_changed=True).trials) == 2
    assert len(list(Path(".lossreg").glob("tuned.*"))) == 1


def test_a_study_goes_on_from_a_file_that_has_been_moved():
    base()
    lossreg.tune(study())
    Path("models").mkdir()
    Path("base.keras").rename("models/moved.keras")
    document = study(start="models/moved.keras")
    result = lossreg.tune(document, ["search.trials=3"])
    assert len(result.trials) == 3
    assert not any("models/moved.keras" in note and "->" in note for note in result.notes)
    for number in range(3):
        assert lossreg.load_trial(document, number=number)[0].output_shape == (None, 1)
    base(width=7)
    with pytest.raises(InputError, match="begin from other weights"):
        lossreg.tune(study(), ["search.trials=3"])


def test_another_base_a_new_head_and_none_at_all_are_other_models():
    base()
    base(width=7, name="other.keras")
    begun = studies.fingerprint(studies.from_dict(study()))
    for model in ({"start": "other.keras"}, {"start": "base.keras", "head": "new"}, {"hidden": [3]}):
        now = studies.fingerprint(studies.from_dict({**study(), "model": model}))
        assert {change.effect for change in changes.of(begun, now)} == {changes.Effect.APART}
    assert studies.as_begun(studies.from_dict(study()), begun, studies.from_dict(study()).document()).model.start


def test_the_document_that_is_kept_is_the_study_again():
    begun = studies.from_dict(study(head="new"))
    later = studies.from_dict({**study(head="new"), "train": {"epochs": 9, "learning_rate": 0.01}})
    again = studies.as_begun(later, studies.fingerprint(begun), begun.document())
    assert (again.model.start, again.model.head, again.train.epochs) == ("base.keras", "new", 2)


def test_a_plan_says_what_it_begins_from_and_one_of_rows_without_a_name_is_named_by_the_file():
    base()
    plan = outline.plan(study())
    assert plan.asked["model"] == "base.keras"
    unnamed = {key: part for key, part in study().items() if key != "name"}
    names = [studies.from_dict(unnamed).name for _ in range(2)]
    base(width=7)
    assert names[0] == names[1] != studies.from_dict(unnamed).name


def test_a_path_is_relative_to_the_study_file_and_may_be_a_path():
    Path("models").mkdir()
    base(name="models/base.keras")
    rows = '[data]\nsource = "../rows.csv"\ntarget = "target"\n'
    Path("models/study.toml").write_text(f'{rows}[model]\nstart = "base.keras"\n')
    spec = studies.load("models/study.toml")
    assert preparation.prepare(spec, rehearsed=False).problem.builder.name == "base.keras"
    assert studies.from_dict(study(start=Path("a") / "base.keras")).model.start == "a/base.keras"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"start": ""}, r"model\.start: must not be empty"),
        ({"start": "base.h5"}, r"model\.start: \"base\.h5\" is no \.keras file.*model\.save"),
        ({"start": 3}, r"model\.start: must be the path of a file, not 3.*model\.save"),
        ({"start": "base.keras", "build": "mlp"}, r"model\.build: belongs to a model that is built, and base\.keras"),
        ({"start": "base.keras", "hidden": [3]}, r"model\.hidden: belongs to a model that is built"),
        ({"start": "base.keras", "hp": "search"}, r"model\.hp: belongs to a model that is built"),
        ({"start": "base.keras", "head": "old"}, r'model\.head: must be one of "kept", "new"'),
        ({"head": "new"}, r'model\.head: belongs to start = "base\.keras"'),
        ({"strat": "base.keras"}, r"model\.strat: unknown key.*Did you mean start"),
    ],
)
def test_keys_that_do_not_fit_are_refused(model, words):
    with pytest.raises(InputError, match=words):
        studies.from_dict({**study(), "model": model})


def test_outputs_that_do_not_fit_are_refused_with_both_numbers_and_a_new_head_fits():
    base(outputs=3)
    document = study(("binary_crossentropy",))
    with pytest.raises(InputError, match=r'model\.start: base\.keras: .* 3 outputs, and 1 is needed.*head = "new"'):
        preparation.prepare(studies.from_dict(document))
    prepared = preparation.prepare(studies.from_dict(study(head="new")))
    assert any("is replaced by a new one with 1 output" in note for note in prepared.notes)
    base(outputs=3)
    document["data"] = {**document["data"], "drop": ["a"]}
    with pytest.raises(InputError, match=r"samples of shape \(4,\), and the data has samples of shape \(3,\)"):
        preparation.prepare(studies.from_dict(document))


def test_losses_of_other_widths_are_named():
    keras.Sequential([keras.Input((4,)), layers.Dense(1)]).save("base.keras")
    pd.DataFrame(X, columns=list("abcd")).assign(target=X[:, 0] - X[:, 1]).to_csv("rows.csv", index=False)
    with pytest.raises(InputError, match=r"1 output, and 2 are needed \(gaussian_nll\)"):
        preparation.prepare(studies.from_dict(study(("mean_squared_error", "gaussian_nll"))))


def test_safe_mode_takes_a_saved_model_without_code():
    base()
    with lossreg.safe_mode():
        assert preparation.prepare(studies.from_dict(study()), rehearsed=False).problem.builder.digest
