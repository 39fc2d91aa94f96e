"""A study in Markdown, JSON, CSV and tables for the terminal."""

from __future__ import annotations

import ast
import csv
import dataclasses
import io
import json
import math
import re
import shlex
from collections import Counter

import pytest
import sample_study as sample
import sample_verdict
from rich.console import Console

import lossreg
from lossreg import InputError
from lossreg.cli import outline
from lossreg.contract import recipes
from lossreg.contract.params import Choice, Int
from lossreg.contract.spec import LossSpec
from lossreg.registry import registry
from lossreg.registry.discovery import PluginReport
from lossreg.reporting import description, leaderboard, report, tables, trial_table, usage, values, verdict, watcher
from lossreg.search.outline import Outline
from lossreg.storage.confirmation import Confirmation
from lossreg.storage.study_result import StudyResult
from lossreg.storage.verdict import Answer, Reevaluated, Verdict
from lossreg.terminal import plain_text
from lossreg.tracking import entities

OPTIMISM = (
    "The leaderboard has validation scores of selected trials, each the best of several, and therefore optimistic. "
    "No test row was used for these scores."
)


def printed(what, width=120):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(what)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def result():
    return sample.study(12)


# ------------------------------------------------------------------------------- Markdown


def test_the_page_has_leaderboard_settings_counts_data_and_caveat(result):
    page = description.markdown(result)
    rows, names = [line for line in page.splitlines() if line.startswith("| ")], [r.candidate for r in result.ranking()]
    board, settings = rows[2 : 2 + len(names)], rows[-len(names) :]
    assert [row.split(" | ")[1] for row in board] == [row.split(" | ")[0][2:] for row in settings] == names
    for row in result.ranking():
        assert recipes.wrapped(row.best.recipe, description.WIDTH) in page
    for part in (OPTIMISM, "9 complete, 1 pruned, 1 failed, 1 diverged", "breast_cancer", "0a1b2c3d", "12.5 s"):
        assert part in page
    assert all(note in page for note in result.notes)


def test_a_page_with_a_verdict_begins_with_it():
    result = sample_verdict.study("no difference, ahead", notes=("a note of the verdict",))
    page = description.markdown(result)
    parts = [verdict.decision(result, result.verdict), *verdict.evidence(result, result.verdict),
             result.recommended.recipe, report.heading(result), "| loss |"]  # fmt: skip
    places = [page.index(plain_text.markdown(part) if part.endswith(".") else part) for part in parts]
    assert places == sorted(places)
    assert page.startswith(
        "# toy\n\n**Train with focal(gamma=2.1) or cross_entropy: no difference between them is shown.**"
    )
    assert "- a note of the verdict" in page


def test_mlflow_s_description_says_in_two_lines_what_to_train_with_and_how_to_load_it():
    """MLflow shows no more of it until more is asked for."""
    result = sample_verdict.study("worse")
    tracking = {"uri": "http://127.0.0.1:5000", "model": "models:/toy/3", "model_trial": result.recommended.number}
    result = dataclasses.replace(result, tracking=tracking, file="my toy.toml")
    page = description.markdown(result, 8000, title=False)
    assert page.split("\n\n")[0].splitlines() == [
        f"**{plain_text.markdown(verdict.decision(result, result.verdict))}**  ",
        '`import mlflow; mlflow.set_tracking_uri("http://127.0.0.1:5000")`  ',
        f'`model = mlflow.pyfunc.load_model("models:/toy/3")  # trial {result.recommended.number}`',
    ]
    titles = re.findall("^## (.*)$", page, re.MULTILINE)
    assert [title.split()[0] for title in titles] == [
        "Question", "Leaderboard", "Parameters", "Load", "Recipes", "Repeat", *["Notes"] * ("Notes" in page), "Facts",
    ]  # fmt: skip
    assert "```sh\nlossreg tune 'my toy.toml' --set verdict.outer=0 --set name=toy-again\n```" in page
    assert f"trained with learning rate {values.number(result.recommended.learning_rate)}, " in page
    assert "mlflow" not in description.markdown(dataclasses.replace(result, tracking={"uri": "x"}), 8000, title=False)


def test_the_time_of_a_study_is_the_same_before_and_after_mlflow_was_waited_for():
    before = sample.study(3, seconds={"total": 12.5, "training": 8.0, "tracking_waited": 0.5})
    after = sample.study(3, seconds={"total": 16.0, "training": 8.0, "tracking_waited": 4.0})
    assert report.took(before) == report.took(after) == "12.0 s (training 8.0, other 4.0)"


def test_code_of_a_description_can_be_pasted():
    result = sample.study(12)
    tracking = {"uri": "http://127.0.0.1:5000", "model": "models:/toy/3", "model_trial": result.recommended.number}
    result = dataclasses.replace(result, tracking=tracking, file="toy.toml")
    page = description.markdown(result, 8000, title=False)
    on_top = "\n".join(re.findall("^`(.*mlflow.*)`", page, re.MULTILINE))
    blocks = [on_top, *re.findall(r"```python\n(.*?)\n```", page, re.DOTALL)]
    for block in blocks:
        compile(block, "block", "exec")
    called = [call.split("(")[0] for block in blocks for call in block.splitlines() if "(" in call]
    assert {"import mlflow; mlflow.set_tracking_uri", "model = mlflow.pyfunc.load_model", "lossreg.get"} <= set(called)


def test_a_description_has_all_that_the_recommended_trial_was_trained_with():
    result = sample_verdict.study("worse")
    trial, optimizer = result.recommended, {"name": "sgd", "nesterov": True, "momentum": {"low": 0.5, "high": 0.9}}
    result.spec = {"train": {"optimizer": optimizer, "batch_size": {"choices": [16, 64]}, "schedule": "cosine"}}
    trial.params.update({"optimizer.momentum": 0.7, "batch_size": 64})
    page = description.markdown(result, 8000, title=False)
    line = page[: page.index(f"`{trial.recipe}`")].splitlines()[-2]
    assert line == (
        f"Recommended, trial {trial.number}, trained with learning rate {values.number(trial.learning_rate)}, "
        "optimizer.momentum 0.7, batch_size 64, sgd, nesterov True, schedule cosine, "
        f"{trial.epoch} epochs:"
    )


def test_a_description_names_the_folder_of_a_study_and_breaks_its_long_command():
    overrides = ["search.trials=48", "data.id=a --b", f"data.source={'x' * 60}"]
    result = dataclasses.replace(sample.study(3), folder="/data/my studies", file="toy.toml", overrides=overrides)
    page = description.markdown(result)
    assert "`/data/my studies`" in page
    assert "`lossreg results '/data/my studies'`" in page
    [command] = re.findall(r"```sh\n(lossreg tune .*?)\n```", page, re.DOTALL)
    given = [part for override in overrides for part in ("--set", override)]
    assert shlex.split(command.replace("\\\n", "")) == [
        "lossreg",
        "tune",
        "toy.toml",
        *given,
        "--set",
        "name=toy-again",
    ]
    assert max(map(len, command.splitlines())) < 90
    assert "## Go on" not in description.markdown(dataclasses.replace(result, is_shared=True))


def test_vectors_are_short_in_tables_and_whole_in_recipes():
    alpha = [n / 7 for n in range(1, 11)]
    trial = sample.trial(0, loss_params={"gamma": 2.0, "alpha": alpha})
    page = description.markdown(sample.study(0, losses={"focal": "focal"}, trials=[trial]))
    assert "gamma=2, alpha=\\[0.143, 0.286, 0.429, ... of 10\\]" in page
    assert repr(alpha[-1]) in page
    assert values.brief(alpha[:4]) == values.short(alpha[:4])


def test_a_file_s_name_is_never_markup():
    page = description.markdown(dataclasses.replace(sample.study(3), file="a\n```\n<img src=x>.toml"))
    assert "\n```\n<img" not in page


@pytest.mark.parametrize(("case", "is_opened"), [("worse", True), ("not enough data", False)])
def test_test_rows_are_untouched_only_if_nothing_opened_them(case, is_opened):
    result = sample_verdict.study(case)
    assert ("No test row was used" in report.caveat(result)) != is_opened
    assert ("to expect on new rows" in report.caveat(result)) == is_opened
    assert report.caveat(result) in description.markdown(result)
    result.verdict = None
    assert report.caveat(result) == OPTIMISM


def test_the_recipe_is_the_one_of_the_recommended_trial():
    result = sample_verdict.study("worse")
    result.trials[1] = sample.trial(1, "focal", score=0.999)
    assert report.recipe_heading(result) == "Recommended, trial 0"
    assert description.markdown(result).index(result.trials[0].recipe) < description.markdown(result).index("0.999")
    result.verdict = None
    assert report.recipe_heading(result) == "Highest validation score (f1_macro)"


def test_scores_within_the_noise_of_the_first_are_marked():
    members = {"scores": [0.93, 0.95, 0.97, 0.95], "spread": 0.02}
    scores = {"cross_entropy": 0.95, "focal": 0.941, "gce_mild": 0.939}
    trials = [sample.trial(n, name, score=score, **members) for n, (name, score) in enumerate(scores.items())]
    study = sample.study(0, trials=trials)
    assert [leaderboard.rank(study, row) for row in study.ranking()] == ["1", "~2", "3"]
    page, table = description.markdown(study), " ".join(printed(tables.leaderboard(study)).split())
    assert leaderboard.NOISE.replace("~", r"\~") in page.replace("~:", r"\~:")
    assert leaderboard.NOISE in table
    single = sample.study(0, trials=[dataclasses.replace(t, scores=[], spread=None) for t in trials])
    assert [leaderboard.rank(single, row) for row in single.ranking()] == ["1", "2", "3"]
    assert leaderboard.NOISE not in description.markdown(single)


def test_with_a_verdict_what_fresh_splits_do_not_tell_apart_is_marked():
    trials = [
        sample.trial(n, name, score=0.9 - n / 10) for n, name in enumerate(("focal", "cross_entropy", "gce_mild"))
    ]
    study = sample.study(0, trials=trials)
    study.verdict = sample_verdict.study("worse").verdict
    p_values = {"cross_entropy": 0.2, "focal": None, "gce_mild": 0.01}
    reevaluated = tuple(Reevaluated(name, n, (0.8, 0.9), p) for n, (name, p) in enumerate(p_values.items()))
    study.verdict = dataclasses.replace(study.verdict, reevaluated=reevaluated)
    assert [leaderboard.rank(study, row) for row in study.ranking()] == ["1", "~2", "3"]
    # the verdict decides between the two that it compares: the second is not shown to be worse than the first
    assert "for focal and cross_entropy, the verdict decides" in leaderboard.noise(study)
    assert leaderboard.close(study) == ""
    better = dataclasses.replace(study, verdict=dataclasses.replace(study.verdict, answer=Answer.BETTER))
    assert [leaderboard.rank(better, row) for row in better.ranking()] == ["1", "2", "3"]
    assert leaderboard.close(better) == ""
    # but not in outer folds that tested other losses, nor without a comparison
    for changes in ({"outer": 5}, {"against_baseline": None}):
        other = dataclasses.replace(study.verdict, answer=Answer.BETTER, **changes)
        other = dataclasses.replace(study, verdict=other)
        assert [leaderboard.rank(other, row) for row in other.ranking()] == ["1", "~2", "3"]
        assert "the verdict decides" not in leaderboard.noise(other)
    study.verdict = dataclasses.replace(
        study.verdict, winner=sample_verdict.arm(trials[2]), baseline=study.verdict.winner
    )
    assert leaderboard.close(study) == (
        "focal is first on the leaderboard, but on the 2 fresh splits alone not shown to be better than cross_entropy."
    )
    p_values = [dataclasses.replace(one, p_value=0.2) for one in reevaluated]
    undecided = dataclasses.replace(study.verdict, outer=5, reevaluated=tuple(p_values))
    assert leaderboard.close(dataclasses.replace(study, verdict=undecided)) == (
        "focal is first on the leaderboard, but on the 2 fresh splits alone not shown to be better than any other loss."
    )
    assert leaderboard.close(sample.study(0, trials=trials)) == ""
    assert Verdict.of_stored(json.loads(json.dumps(study.verdict.stored()))) == study.verdict
    assert study.verdict.to_json()["reevaluated"][0] == {
        "candidate": "cross_entropy", "trial": 0, "score": pytest.approx(0.85), "spread": pytest.approx(0.005**0.5),
        "p_value": 0.2,
    }  # fmt: skip


# verdict, outer folds, those that chose focal; the decision, and whether the other one's rank has ~ where focal, and
# where cross_entropy is first: no p-value on fresh splits shows a difference (True is then what they say)
BY_VERDICT = [
    ("better, because of the loss", 0, 0, "focal(gamma=2.1): shown to be better", False, True),
    ("better, because of the loss", 5, 5, "focal(gamma=2.1): shown to be better", False, True),
    ("better, because of the loss", 5, 3, "focal(gamma=2.1): shown to be better", False, True),
    ("better, because of the loss", 5, 2, "the loss chosen in each fold is shown to be better", None, None),
    ("better, because of the loss", 5, 0, "the loss chosen in each fold is shown to be better", None, None),
    ("better, perhaps by its rate", 5, 5, "focal(gamma=2.1): shown to be better", False, True),
    ("better by less than the margin", 0, 0, "focal is better, but not by more than the margin", False, True),
    ("no difference, ahead", 0, 0, "or cross_entropy: no difference between them is shown", True, True),
    ("no difference, ahead", 5, 4, "or cross_entropy: no difference between them is shown", True, True),
    ("no difference, ahead", 5, 1, "or cross_entropy: no difference between them is shown", True, True),
    ("no difference, behind", 5, 4, "the loss chosen in each fold is not shown to be better", True, True),
    ("no difference, behind", 5, 1, "the loss chosen in each fold is not shown to be better", None, None),
    ("equal", 0, 0, "focal is practically equal", True, True),
    ("equal", 5, 5, "the loss chosen in each fold is practically equal", True, True),
    ("worse", 0, 0, "focal is shown to be worse", True, False),
    ("worse", 5, 5, "the loss chosen in each fold is shown to be worse", True, False),
    ("worse", 5, 1, "the loss chosen in each fold is shown to be worse", None, None),
    ("not enough data", 0, 0, "could not be compared", None, None),
]


@pytest.mark.parametrize("p_value", [0.2, 0.01])
@pytest.mark.parametrize("row", BY_VERDICT)
def test_no_rank_and_no_sentence_contradicts_the_decision(row, p_value):
    case, outer, chosen, decision, by_focal, by_baseline = row
    won = {name: count for name, count in (("focal", chosen), ("gce", outer - chosen)) if count}
    for first, expected in (("focal", by_focal), ("cross_entropy", by_baseline)):
        result = sample_verdict.study(case, outer=outer, folds_won=won)
        other = "cross_entropy" if first == "focal" else "focal"
        scores = {trial.number: (0.9, 0.91) if trial.candidate == first else (0.8, 0.81) for trial in result.trials}
        result.confirmation = Confirmation(len(scores), 2, scores, {other: p_value}, ratio=0.25)
        assert decision in verdict.decision(result, result.verdict)
        of_splits = p_value > 0.05 if expected is None else expected
        assert [leaderboard.rank(result, row) for row in result.ranking()] == ["1", "~2" if of_splits else "2"]
        # the sentence is on the splits alone: it is not there where the verdict is on the same two
        is_of_splits = expected is None and of_splits
        assert bool(leaderboard.close(result)) == is_of_splits
        assert ("the 2 fresh splits alone" in leaderboard.close(result)) == is_of_splits
        assert ("the verdict decides" in leaderboard.noise(result)) == bool(expected)


def test_losses_that_the_verdict_does_not_compare_are_still_named():
    trials = [
        sample.trial(n, name, score=0.9 - n / 10) for n, name in enumerate(("focal", "cross_entropy", "gce_mild"))
    ]
    result = sample.study(0, trials=trials)
    result.verdict = sample_verdict.study("better, because of the loss", outer=5, folds_won={"focal": 5}).verdict
    fresh = {trial.number: (trial.score, trial.score) for trial in trials}
    result.confirmation = Confirmation(3, 2, fresh, {"cross_entropy": 0.2, "gce_mild": 0.2}, ratio=0.25)
    assert [leaderboard.rank(result, row) for row in result.ranking()] == ["1", "2", "~3"]
    assert leaderboard.close(result) == (
        "focal is first on the leaderboard, but on the 2 fresh splits alone not shown to be better than gce_mild."
    )
    assert leaderboard.noise(result) in " ".join(description.markdown(result).replace("\\~", "~").split())


def test_a_long_page_is_cut_between_its_parts_not_inside():
    labels = {f"a_label_that_is_long_{n}": "focal" for n in range(60)}
    long = sample.study(0, losses=labels, trials=[sample.trial(n, label) for n, label in enumerate(labels)])
    page = description.markdown(long, 8000)
    assert len(page) <= 8000
    assert page.count("```") % 2 == 0
    assert "| 60 |" in page
    assert "report.md has the rest" in page


def test_a_study_with_nothing_completed_says_so():
    page = description.markdown(sample.study(0, trials=[sample.trial(0, state="failed", reason="boom | pipe")]))
    assert "No trial has completed yet (1 trial, failed)" in page
    assert r"focal failed: boom \| pipe (1 trial)" in page
    assert description.markdown(sample.study(0, trials=[], data={}, seconds={}, trainer={}, notes=[]))


@pytest.mark.parametrize("width", [140, 100, 60])
def test_a_leaderboard_breaks_no_word_and_names_the_columns_that_it_leaves_out(result, width):
    text = printed(tables.leaderboard(result), width)
    words = set(text.split())
    assert max(map(len, text.splitlines())) <= width
    for row, cells in zip(result.ranking(), leaderboard.cells(result), strict=True):
        assert {row.candidate, *cells[2].split(), cells[-3]} <= words
        params = f"gamma={values.short(row.best.loss_params['gamma'])}" if row.candidate == "focal" else "-"
        assert params in words or "Left out for lack of room: parameters" in text


def test_the_rows_of_a_leaderboard_share_one_ranking(monkeypatch):
    calls, ranking = [], StudyResult.ranking
    monkeypatch.setattr(StudyResult, "ranking", lambda result: calls.append(result) or ranking(result))
    fresh = dict.fromkeys(range(3), (0.9, 0.92))
    study = sample.study(3, confirmation=Confirmation(3, 2, fresh))
    assert len(leaderboard.cells(study)) == 3
    assert len(calls) == 1


def letters(text):
    """What is left of a page without numbers and blanks."""
    return "".join(word for word in text.split() if not re.fullmatch(r"~?[-+.\d]+", word))


@pytest.mark.parametrize("width", [46, 40, 30, 20])
def test_a_narrow_leaderboard_cuts_no_number_and_no_name(width):
    scores = {"cross_entropy": 0.2673, "focal": 0.4402, "gce_mild": 0.4512}
    trials = [
        sample.trial(n, name, score=score, scores=[score - 0.07, score, score + 0.07], spread=0.0741)
        for n, (name, score) in enumerate(scores.items())
    ]
    study = sample.study(0, trials=trials)
    text = printed(tables.leaderboard(study), width)
    assert max(map(len, text.splitlines())) <= width
    assert {"0.267", "0.440", "0.451", "0.074"} <= set(text.split())
    assert all(name in letters(text) for name in scores)
    table, _, left_out = " ".join(text.split()).partition("Left out for lack of room: ")
    gains = {leaderboard.gain(study, row) for row in study.ranking()}
    assert gains <= set(table.split()) or "gain" in left_out
    assert "parameters" in left_out


def test_names_are_broken_and_text_is_kept_where_there_is_room_for_no_word():
    name, columns = "a_loss_with_a_long_name", {"": "left", "first": "left", "second": "left", "score": "right"}
    text = printed(tables.table("", columns, [(name, "y" * 30, "z" * 30, "12.345")]), 26)
    assert max(map(len, text.splitlines())) <= 26
    assert (text.count("y"), text.count("z")) == (30, 30)
    assert "".join(re.findall("[a-x_]+", text.partition("\u2500 \n")[2].partition("Left")[0])) == name
    assert "Left out for lack of room: score." in " ".join(text.split())


def test_names_and_values_beside_each_other_are_not_cut_on_a_narrow_terminal():
    values = {"learning rate": "0.0001 to 0.01, log", "data": "a_table_with_a_long_name.csv"}
    text = printed(tables.pairs({**values, "metric": ""}), 20)
    assert max(map(len, text.splitlines())) <= 20
    assert Counter("".join(text.split())) == Counter("".join("".join(map("".join, values.items())).split()))


def test_names_on_the_page_of_a_loss_are_not_cut_on_a_narrow_terminal():
    text = printed(tables.page(registry.default().find("focal")), 30)
    assert "…" not in text


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_gain_is_positive_when_better(direction):
    trials = [sample.trial(0, "cross_entropy", score=0.5), sample.trial(1, "focal", score=0.75)]
    gains = {
        row.candidate: leaderboard.gain(sample.study(0, trials=trials, direction=direction), row)
        for row in sample.study(0, trials=trials, direction=direction).ranking()
    }
    assert gains == {
        "cross_entropy": "baseline",
        "focal": "+0.25000" if direction == "maximize" else "-0.25000",
        "gce_mild": "-",
    }


@pytest.mark.parametrize(
    ("loss_params", "expected"),
    [
        ({}, 'lossreg.get("focal", from_logits=True)'),
        ({"gamma": 2.0, "alpha": None}, 'lossreg.get("focal", gamma=2.0, alpha=None, from_logits=True)'),
        ({"alpha": [0.5, 1.23456789]}, 'lossreg.get("focal", alpha=[0.5, 1.23456789], from_logits=True)'),
        (
            {"m": 3, "kind": "soft", "flag": True},
            "lossreg.get(\"focal\", m=3, kind='soft', flag=True, from_logits=True)",
        ),
        ({"eps": 1e-9}, 'lossreg.get("focal", eps=1e-09, from_logits=True)'),
    ],
)
def test_a_recipe_is_python_ready_to_paste(loss_params, expected):
    line = sample.trial(0, loss_params=loss_params).recipe
    assert line == expected
    call = ast.parse(line, mode="eval").body
    kept = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert kept == {**loss_params, "from_logits": True}


LONG = [
    {f"parameter_{number}": [number + 0.123456789, 2.0, None] for number in range(6)},
    {"alpha": [0.1234567] * 40, "kind": "of, [several (words, ", "text": "it's\n" * 9},
    {"gamma": 2.0},
    {"a_name_that_leaves_no_room": "x" * 120, "b": 1},
]


@pytest.mark.parametrize("loss_params", LONG, ids=range(len(LONG)))
def test_recipes_on_a_page_are_python_in_lines_that_stay_in_view(loss_params):
    params = {"learning_rate": 0.1, **{f"optimizer.setting_{number}": 0.1 for number in range(6)}}
    trial = sample.trial(0, loss_params=loss_params, params=params)
    page = description.markdown(sample.study(0, losses={"focal": "focal"}, trials=[trial]))
    blocks = re.findall(r"```python\n(.*?)\n```", page, re.DOTALL)
    blocks = [block for block in blocks if "lossreg.get(" in block]
    assert len(blocks) == 1 + (len(trial.recipe) > 100)
    of_code = ["import lossreg", trial.recipe]
    wanted = [ast.dump(ast.parse("\n".join(lines))) for lines in (of_code[1:], of_code)]
    assert [ast.dump(ast.parse(block)) for block in blocks] == wanted[-len(blocks) :]
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(len(line) <= 100 or "x" * 120 in line for line in lines)
    assert f"# {trial.candidate}, learning rate" in blocks[-1]


def test_constants_of_a_loss_are_numbers_in_its_recipe():
    constants = {"class_counts": (900.0, 100.0), "class_priors": (0.9, 0.1)}
    trial = sample.trial(0, "class_balanced_ce", loss_params={"one_minus_beta": 0.01}, constants=constants)
    line = trial.recipe
    assert "class_counts=[900.0, 100.0], class_priors=[0.9, 0.1]" in line
    loss = eval(line, {"lossreg": lossreg})
    assert loss.needs == constants
    page = description.markdown(sample.study(0, losses={"class_balanced_ce": "class_balanced_ce"}, trials=[trial]))
    assert recipes.wrapped(line, description.WIDTH) in page
    assert usage.ROWS in page
    gone = sample.trial(0, loss="of_a_plugin_that_is_gone", loss_params={"a": 1}, constants={"target_mean": 3.0})
    assert gone.recipe == 'lossreg.get("of_a_plugin_that_is_gone", a=1, target_mean=3.0, from_logits=True)'


def test_constants_that_an_older_version_did_not_keep_are_no_numbers():
    trial = sample.trial(0, loss="huber", loss_params={"delta": 1.0}, constants={"target_scale": None})
    assert usage.NOT_KEPT in usage.notes(trial)
    with pytest.raises(InputError, match="target_scale must be a number"):
        eval(trial.recipe, {"lossreg": lossreg})


def test_a_function_of_the_users_own_is_called_by_its_name():
    trial = sample.trial(0, loss="my_loss", loss_params={"scale": 2.0}, distribution="")
    assert trial.recipe == "lossreg.get(my_loss, scale=2.0, from_logits=True)"
    expression = 'lossreg.wrap(my_loss, target="count", activation="exp", outputs="1")'
    trial = sample.trial(0, loss="own", loss_params={}, distribution="", expression=expression)
    assert trial.recipe == f"lossreg.get({expression}, from_logits=True)"


def test_a_recipe_longer_than_a_tag_is_left_out_of_it_whole():
    counts = {"class_counts": tuple(float(n) for n in range(1, 2000))}
    trial = sample.trial(7, "ldam", loss_params={"max_m": 0.5, "s": 1.0}, constants=counts)
    assert eval(trial.recipe, {"lossreg": lossreg}).needs == counts
    tag = entities.trial_tags(trial, "parent")["lossreg.get"]
    assert tag == f"{len(trial.recipe):,} characters: see trial 7 in trials.csv"
    page = description.markdown(sample.study(0, losses={"ldam": "ldam"}, trials=[trial], baseline="ldam"), 8000)
    assert "**ldam**" in page
    assert "report.md has the rest" in page


def test_what_was_searched_besides_the_loss_is_shown():
    params = {"loss": "focal", "focal.gamma": 1.0, "learning_rate": 0.1, "batch_size": 32, "optimizer.momentum": 0.9}
    trial = sample.trial(0, params=params, learning_rate=0.1)
    assert usage.besides(trial) == ["learning rate 0.1", "batch_size 32", "optimizer.momentum 0.9"]
    study = sample.study(0, trials=[trial])
    assert "optimizer.momentum 0.9" in description.markdown(study)
    assert "optimizer.momentum 0.9" in printed(tables.leaderboard(study), 200)


def test_a_loss_that_was_pruned_away_is_said():
    study = sample.study(0, trials=[sample.trial(0, "cross_entropy"), sample.trial(1, "focal", "pruned")])
    assert [line.split(":")[0] for line in report.failures(study)] == ["focal"]
    assert watcher.standing(study).endswith("1 pruned")


def test_scores_of_several_members_are_shown_with_their_spread():
    several = sample.trial(0, score=0.953, scores=[0.941, 0.953, 0.965], spread=0.012)
    study = sample.study(0, trials=[several, sample.trial(1, "gce_mild", score=0.9)])
    study.spec = {"train": {"epochs": 6}, "data": {"folds": 3}, "search": {"seeds": 1}}
    assert values.scored(several) == "0.953 +- 0.012"
    assert values.scored(None) == "-"
    page = description.markdown(study)
    for text in (page, printed(tables.leaderboard(study))):
        assert "0.953 +- 0.012" in text
    assert "the mean of 3 folds, +- their standard deviation" in page
    assert study.to_json()["best"]["spread"] == study.to_json()["losses"][0]["spread"] == 0.012
    assert study.to_json()["best"]["scores"] == several.scores
    assert trial_table.rows(study)[0]["spread"] == leaderboard.rows(study)[0]["spread"] == 0.012


def test_epochs_that_were_not_trained_are_counted():
    short = sample.trial(0, epochs=4, epoch=2)
    study = sample.study(0, trials=[short, sample.trial(1)])
    assert report.epochs(study) == "10 of 12 epochs trained"
    assert "2 trials, all complete, 10 of 12 epochs trained" in description.markdown(study)
    assert (trial_table.rows(study)[0]["epoch"], trial_table.rows(study)[0]["epochs"]) == (2, 4)
    assert report.epochs(sample.study(0, trials=[sample.trial(1)])) == ""


def test_a_state_that_all_trials_share_is_no_list_of_states():
    states = {(): "no trials", ("failed",): "1 trial, failed", ("complete", "failed"): "2 trials: 1 complete, 1 failed"}
    for each, words in states.items():
        study = sample.study(0, trials=[sample.trial(n, state=state) for n, state in enumerate(each)])
        assert report.counts(study) == words


def test_a_result_is_shown_in_one_line():
    shown = repr(sample.study(12))
    assert len(shown) < 120
    assert "toy: 12 trials over 3 losses, highest accuracy" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (
            {"total": 28.7, "training": 11.9, "search": 1.4, "search_spent": 2.0, "verdict": 6.1, "tracking": 20.8},
            "28.7 s (training 11.9, choosing and writing trials 1.4, verdict 6.1, other 9.3; "
            "MLflow 20.8 at the same time)",
        ),
        (
            {"total": 12.5, "training": 8.0, "search": 0.5, "tracking": 0.0},
            "12.5 s (training 8.0, choosing and writing trials 0.5, other 4.0)",
        ),
        ({"total": 8.53, "training": 8.0, "search": 0.5}, "8.5 s (training 8.0, choosing and writing trials 0.5)"),
        ({"total": 3.0}, "3.0 s"),
        ({}, "no time"),
    ],
)
def test_times_add_up_to_that_of_the_study_beside_which_mlflow_writes(seconds, text):
    result = sample.study(0, seconds=seconds)
    assert report.took(result) == text
    assert report.ended(result) == " in ".join([report.counts(result), *([text] if seconds else [])])


@pytest.mark.parametrize(
    ("task", "classes", "text"),
    [
        ("binary", {"no": 5, "yes": 3}, "Labels are class indices: no = 0, yes = 1."),
        ("multiclass", {"0": 5, "1": 3, "2": 3}, "Labels are class indices, 0 to 2."),
        ("multilabel", {"news": 5, "sport": 3}, "Labels are one column of 0 and 1 per label: news, sport."),
        ("segmentation", {"0": 5, "1": 3}, "Labels are masks of 0 and 1."),
        ("count", {}, "Train on the target in its own units."),
    ],
)
def test_a_recipe_says_which_labels_it_expects(task, classes, text):
    result = sample.study(task=task, data={**sample.study().data, "classes": classes})
    assert usage.labels(result) == text
    assert text in description.markdown(result).replace("\\", "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.123456789, "0.12346"), (None, "-"), (math.inf, "-"), (math.nan, "-"), (3, "3"), (True, "True")],
)
def test_numbers_for_people(value, shown):
    assert values.number(value) == shown


# ------------------------------------------------------------------------------ JSON, CSV


def test_the_json_document_has_what_is_promised(result):
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert {
        "study",
        "metric",
        "direction",
        "trials",
        "best",
        "baseline",
        "losses",
        "seconds",
        "tracking",
        "trainer",
    } <= set(document)
    assert document["trials"] == {"complete": 9, "pruned": 1, "failed": 1, "diverged": 1}
    assert {"trial", "loss", "params", "score"} <= set(document["best"])
    assert {"loss", "params", "score"} <= set(document["baseline"])
    assert all({"name", "best_score", "trials", "params"} <= set(row) for row in document["losses"])


def test_tables_as_csv_keep_every_trial_and_no_infinity(result):
    result.trials.append(sample.trial(99, score=math.inf, seconds=math.nan))
    rows = list(csv.DictReader(io.StringIO(trial_table.to_csv(trial_table.rows(result)))))
    result.trials.pop()
    assert [int(row["trial"]) for row in rows] == [*range(12), 99]
    assert (rows[-1]["score"], rows[-1]["seconds"]) == ("", "")
    assert float(rows[0]["score"]) == result.trials[0].score
    assert trial_table.to_csv([]) == "\n"


# -------------------------------------------------------------------------------- tables


def test_the_leaderboard_has_a_row_a_label_best_first(result):
    text = printed(tables.leaderboard(result))
    places = [text.index(f" {row.candidate} ") for row in result.ranking()]
    assert places == sorted(places)
    assert "higher is better" in text
    assert "gamma=" in text


def test_labels_are_never_markup():
    odd = sample.study(0, losses={"[red]x[/]": "focal"}, trials=[sample.trial(0, "[red]x[/]")])
    assert "[red]x[/]" in printed(tables.leaderboard(odd))


@pytest.mark.parametrize("entry", registry.default().specs(), ids=lambda entry: entry.spec.name)
def test_the_page_of_a_loss_tells_all(entry):
    text = " ".join(printed(tables.page(entry), width=200).split())
    spec = entry.spec
    for part in (
        spec.name,
        spec.summary,
        spec.reference,
        spec.formula,
        *spec.aliases,
        *spec.tasks,
        spec.target,
        entry.plugin,
    ):
        assert " ".join(part.split()) in text
    for param in spec.params:
        assert param.name in text
        assert tables.search_range(param) in text
    assert f'lossreg.get("{spec.name}"' in text


def test_the_example_builds_the_loss_and_searches_it():
    import tomllib

    from lossreg.config.search_space import parse

    for entry in registry.default().specs():
        lines = tables.example(entry.spec)
        call = ast.parse(lines[0]).body[0].value
        (loss,) = (keyword.value for keyword in call.keywords if keyword.arg == "loss")
        assert eval(ast.unparse(loss), {"lossreg": lossreg}).spec == entry.spec
        table = tomllib.loads("\n".join(lines[2:]))["losses"][entry.spec.name]
        assert set(table) == {param.name for param in entry.spec.params}
        for param in entry.spec.params:
            parse(table[param.name], param, 3)


def test_choices_and_whole_numbers_are_shown():
    spec = LossSpec(
        name="odd", function="a:b", tasks=("binary",), summary="s", reference="r", level="batch",
        score_range=(-3.0, 3.0),
        params=(Int("n", 2, 1, 9), Choice("kind", "a", ("a", "b"))),
    )  # fmt: skip
    text = printed(tables.page(registry.Entry(spec, "mine")))
    for part in (
        "1 to 9",
        "a, b",
        "batch-level",
        "exact for raw scores in (-3.0, 3.0)",
        'choices = ["a", "b"]',
        "not installed",
    ):
        assert part in text


def test_a_refused_plugin_is_shown_with_the_reason():
    text = printed(tables.plugins([PluginReport("bad", "bad-dist", "1.2", error="ImportError: no [module]")]))
    for part in ("bad", "bad-dist 1.2", "refused: ImportError: no [module]"):
        assert part in text


def test_the_plan_shows_data_spaces_and_lanes():
    planned = Outline(
        study="x", task="binary", metric="accuracy", direction="maximize", data=sample.study().data,
        rows=[("focal", "focal", "lossreg 0.1.0", {"gamma": "0 to 5", "alpha": "one per class"}),
              ("ce", "cross_entropy", "", {})],
        baseline="ce", learning_rate="0.0001 to 0.01 log", trials=64, done=3, epochs=30, lanes=32, blocks=2,
        refused={"ce": "too wide"}, notes=["a note"], asked={"early stopping": "after 5 epochs"},
    )  # fmt: skip
    text = printed(outline.page(planned))
    for part in ("breast_cancer", "gamma: 0 to 5", "0.0001 to 0.01 log", "64 of 30 epochs, 3 done",
                 "at a time       32 models",
                 "early stopping  after 5 epochs", "a note", "ce (cross_entropy)",
                 "ce is trained by model.fit, one model at a time: too wide",
                 "nothing was trained or written"):  # fmt: skip
        assert part in text
