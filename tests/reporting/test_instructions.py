"""What to type next: the commands and the code that pages print, held against the commands and journals themselves."""

from __future__ import annotations

import dataclasses
import shlex

import optuna
import pytest
import sample_study as sample
import sample_verdict

from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.reporting import description, instructions, page
from lossreg.search import history, more
from lossreg.storage.reached import Reached
from lossreg.storage.trials import ATTRIBUTE

GIVEN = {"source": "data="}
URL = "postgresql://me:secret-word@db.example/toy"


def command(result, study="toy.toml"):
    return shlex.split(instructions.next_step(result, study).command)


def test_the_command_repeats_what_set_and_more_changed():
    overrides = ["train.epochs=9", 'search.metric="f1"', "search.trials=48"]
    changed = ["--set", "train.epochs=9", "--set", 'search.metric="f1"', "--set", "search.trials=48"]
    result = sample.study(3, overrides=[*overrides, "name=toy"])
    assert command(result) == ["lossreg", "tune", "toy.toml", *changed, "--set", "name=toy-again"]
    interrupted = dataclasses.replace(result, overrides=overrides, reached=Reached(3, 48, False, False))
    assert command(interrupted) == ["lossreg", "tune", "toy.toml", *changed]
    more = dataclasses.replace(interrupted, extended_to=48)
    assert command(more) == ["lossreg", "tune", "toy.toml", *changed[:-2]], "which the study keeps"
    assert command(dataclasses.replace(more, reached=None))[-4:] == [*changed[-2:], "--set", "name=toy-again"]
    running = dataclasses.replace(interrupted, reached=Reached(3, 48, True, False))
    assert command(running) == ["lossreg", "watch", "toy.toml"]


@pytest.mark.parametrize(
    ("begun", "reached", "wanted"),
    [
        ({"outer": None}, {}, ["verdict.outer=0"]),
        ({"outer": None, "repeats": None}, {"outer": 5, "repeats": 6}, ["verdict.outer=5"]),
        ({"outer": 5}, {"outer": 5, "repeats": 6}, []),
        ({"repeats": 10}, {"repeats": 40}, ["verdict.repeats=40"]),
        ({"enabled": False}, {}, ["verdict.enabled=true"]),
        ({}, {"margin": 0.01}, ["verdict.margin=0.01"]),
        ({"repeats": 20}, {"repeats": 18}, []),
        ({"outer": 5}, {"repeats": 0}, []),
    ],
)
def test_the_commands_repeat_a_verdict_that_was_asked_for_later(begun, reached, wanted):
    result = sample_verdict.study("better, because of the loss", **reached)
    result = dataclasses.replace(result, spec=result.spec | {"verdict": {"outer": 0} | begun})
    options = [part for override in wanted for part in ("--set", override)]
    assert command(result) == ["lossreg", "tune", "toy.toml", *options, "--set", "name=toy-again"]
    [other] = [one for one in instructions.next_step(result, "toy.toml").sentences if "other test" in one]
    further = ["--set", "name=toy-seed-1", "--set", "search.seed=1"]
    assert shlex.split(other.split("`")[1]) == ["lossreg", "tune", "toy.toml", *options, *further]


@pytest.mark.parametrize(
    ("data", "changes", "is_at_random"),
    [
        ({}, {}, True),
        ({"test": 0.2}, {}, True),
        ({"test": 0}, {"rows": {"test": 0}, "outer": 5}, True),
        ({"test": 0}, {"rows": {"test": 0}}, False),
        ({"test": "test.csv"}, {}, False),
        ({"time": "day"}, {}, False),
        ({"split": "part"}, {}, False),
        ({}, {"has_given_test": True}, False),
    ],
)
def test_another_seed_is_proposed_where_it_gives_other_test_rows(data, changes, is_at_random):
    spec = {"data": data, "search": {"seed": 4}, "verdict": {"outer": changes.get("outer", 0)}}
    result = sample.study(3, spec=spec, file="toy.toml")
    result = dataclasses.replace(result, data=result.data | changes)
    assert ("search.seed=5" in " ".join(instructions.next_step(result).sentences)) is is_at_random


def test_a_study_in_a_shared_storage_is_repeated_by_a_worker_under_another_name():
    result = sample.study(3, is_shared=True, file="toy.toml")
    assert command(result) == ["lossreg", "worker", "toy.toml", "--set", "name=toy-again"]
    for text in (description.markdown(result), page.html(result)):
        assert "lossreg worker toy.toml --set name=toy-again" in text


def test_a_study_of_rows_from_python_has_no_command_and_says_why():
    result = sample.study(3, spec={"data": GIVEN})
    assert instructions.next_step(result).command == ""
    for text in (description.markdown(result), page.html(result)):
        assert "given from Python" in text
        assert "lossreg tune" not in text
        assert "has the study as a file" not in text
    interrupted = instructions.next_step(dataclasses.replace(result, reached=Reached(3, 48, False, False)))
    assert (interrupted.title, interrupted.command) == ("Go on with the study", "")
    [sentence] = interrupted.sentences
    assert "the same `name`" in sentence


def test_pages_say_what_is_to_be_put_in():
    result = sample.study(3, overrides=["storage.url=postgresql://me:***@db/toy"])
    assert {instructions.MASKED, instructions.NO_FILE} <= {*instructions.next_step(result).sentences}
    whole = instructions.next_step(sample.study(3, file="toy.toml")).sentences
    assert not {instructions.MASKED, instructions.NO_FILE} & {*whole}


def test_a_study_knows_what_set_was_given_without_passwords():
    spec = studies.from_dict({"data": {"source": "a.csv"}, "name": "toy"}, ["train.epochs=9", "losses.focal.gamma=2"])
    spec = studies.of(spec, [f"storage.url={URL}"])
    assert spec.overrides[:2] == ("train.epochs=9", "losses.focal.gamma=2")
    assert "secret-word" not in str(spec.overrides)
    assert spec.is_shared
    alone = studies.from_dict({"data": {"source": "a.csv"}})
    assert (alone.overrides, alone.is_shared) == ((), False)


def test_overrides_that_are_no_list_are_still_refused():
    with pytest.raises(InputError, match="must be a list of texts"):
        studies.from_dict({"data": {"source": "a.csv"}}, "train.epochs=9")


def test_the_journal_has_what_the_command_takes(tmp_path):
    study = optuna.create_study(study_name="toy")
    kept = {"metric": "accuracy", "direction": "maximize", "task": "binary", "losses": {}, "baseline": "mse"}
    study.set_user_attr(ATTRIBUTE, kept | {"overrides": ["train.epochs=9"], "is_shared": True})
    study.set_user_attr(more.NUMBER, 48)
    result = history.result(study, tmp_path)
    assert (result.overrides, result.is_shared) == (["train.epochs=9", "search.trials=48"], True)
    assert result.extended_to == 48
    study.set_user_attr(history.OVERRIDES, ["verdict.repeats=40"])
    assert history.result(study, tmp_path).overrides == ["verdict.repeats=40", "search.trials=48"]
    # a verdict has the outer folds of the former one unless it is given others
    study.set_user_attr(ATTRIBUTE, kept | {"overrides": ["train.epochs=9", "verdict.outer=5"]})
    assert history.result(study, tmp_path).overrides == ["verdict.outer=5", "verdict.repeats=40", "search.trials=48"]
    study.set_user_attr(history.OVERRIDES, None)  # damaged
    searched = {"spec": {"search": {"trials": 64}}, "shapes": {"units": "8 to 16"}, "spaces": {}}
    study.set_user_attr(ATTRIBUTE, kept | searched)
    for trials, wanted in ((96, ["search.trials=96"]), (64, [])):
        study.set_user_attr("lossreg:budget", trials)
        assert history.result(study, tmp_path).overrides == wanted
    study = optuna.create_study(study_name="toy")
    study.set_user_attr(more.NUMBER, 48)
    study.set_user_attr(ATTRIBUTE, kept)  # of an earlier version
    assert history.result(study, tmp_path).overrides == ["search.trials=48"]


def test_of_a_study_that_was_renamed_no_command_takes_the_file_which_has_another():
    result = sample.study(3, overrides=["name=other"], folder=".lossreg/other", file="toy.toml")
    for names in ((), ("", ".lossreg/other")):
        code = " ".join(code for _, code in instructions.loading(result, *names))
        assert ("lossreg model" in code, "toy.toml" in code, code.count(".lossreg/other")) == (False, False, 2)
    running = dataclasses.replace(result, reached=Reached(3, 48, True, False))
    assert command(running, "") == ["lossreg", "watch", ".lossreg/other"]
    assert "lossreg model other.toml" in dict(instructions.loading(result, "other.toml"))["As a Keras model, in a file"]


def loaded(result):
    return dict(instructions.loading(result, "toy.toml")).get(instructions.MLFLOW, "")


def test_mlflow_s_model_is_named_only_where_it_is_known_and_the_recommended_trial_s():
    result = sample.study(3, tracking={"uri": "http://127.0.0.1:5000", "run_id": "1"})
    assert loaded(result) == ""  # nothing says that it was registered
    known = {**result.tracking, "model": "models:/toy/2", "model_trial": result.recommended.number}
    of_recommended = dataclasses.replace(result, tracking=known)
    assert 'mlflow.set_tracking_uri("http://127.0.0.1:5000")' in loaded(of_recommended)
    assert 'mlflow.pyfunc.load_model("models:/toy/2")' in loaded(of_recommended)
    assert loaded(dataclasses.replace(result, tracking={**known, "model_trial": 99})) == ""
    hidden = loaded(dataclasses.replace(result, tracking={**known, "uri": "http://me:***@127.0.0.1"}))
    assert "models:/toy/2" in hidden
    assert "***" not in hidden


def test_page_report_and_description_name_the_same_model():
    tracking = {"uri": "http://127.0.0.1:5000", "model": "models:/toy/2"}
    result = sample.study(3, tracking=tracking)
    result = dataclasses.replace(result, tracking=tracking | {"model_trial": result.recommended.number})
    texts = page.html(result), description.markdown(result), description.markdown(result, 8000, title=False)
    assert all("models:/toy/2" in text and "candidate" not in text for text in texts)
