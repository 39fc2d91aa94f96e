"""The MLflow UI on a store that the tracker wrote, seen in a real browser."""

from __future__ import annotations

import itertools
import subprocess

import pytest
import sample_study as sample
import sample_verdict
from mlflow_server import wait_for

from lossreg import tracking
from lossreg.reporting import verdict
from lossreg.tracking import Tracker, entities, ui

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A study of 24 trials in a store of its own, and where it is."""
    uri = tracking.check(f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}", {})
    result = sample.study(24, verdict=sample_verdict.study("worse").verdict)
    tracker = Tracker(uri, "toy")
    where = tracker.sync(result)
    assert not tracker.error
    return uri, result, where


@pytest.fixture(scope="module")
def server(tracked, tmp_path_factory):
    """MLflow's server, as `lossreg ui` starts it; its address."""
    port = tracking.free_port()
    settings = ui.environment(tracked[0])
    with subprocess.Popen(ui.command(port), cwd=tmp_path_factory.mktemp("server"), env=settings) as process:
        address = f"http://127.0.0.1:{port}"
        wait_for(address, process)
        yield address
        process.terminate()


@pytest.fixture
def page(browser, request, tmp_path):
    """A fresh page; what it shows at the end of the test is kept as `<test>.png`."""
    page = browser.new_page(viewport={"width": 1700, "height": 1300})
    page.set_default_timeout(60_000)
    yield page
    picture = tmp_path / f"{request.node.name}.png"
    page.screenshot(path=picture)
    page.close()
    assert picture.stat().st_size > 10_000


NO_LOGIN = "/mlflow/users/current"  # which a server without logins answers with 404
VIEWS = ["machine_learning", "genai_development"]
SETTINGS = itertools.product([(1280, 800), (1920, 1080)], ["light", "dark"], VIEWS)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_verdict_is_on_the_first_screen_of_the_parent(tracked, server, browser, setting):
    (size, scheme, view), (_, result, where) = setting, tracked
    context = browser.new_context(viewport=dict(zip(("width", "height"), size, strict=True)), color_scheme=scheme)
    page, asked, wrong = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: wrong.append((request.url, request.failure)))
    page.on("response", lambda response: wrong.append((response.url, response.status)) if response.status >= 400 else 0)
    page.on("console", lambda told: wrong.append((told.location["url"], told.text)) if told.type == "error" else 0)
    page.on("pageerror", lambda error: wrong.append((page.url, str(error))))
    page.goto(tracking.page(server, where).replace(VIEWS[0], view))
    sentence = page.get_by_text(verdict.decision(result, result.verdict)).first
    sentence.wait_for(timeout=60_000)
    box = sentence.bounding_box()
    assert 0 <= box["x"] < size[0]
    assert 0 <= box["y"] <= box["y"] + box["height"] <= size[1]
    page.get_by_text("Metrics (").first.wait_for(timeout=60_000)
    context.close()
    assert not [url for url in asked if not url.startswith((server, "data:", "blob:"))]
    assert not [one for one in wrong if not one[0].endswith(NO_LOGIN)]


def test_the_parents_page_has_description_data_and_children(tracked, server, page):
    _, result, where = tracked
    page.goto(tracking.page(server, where))
    page.get_by_text("Show more").first.click()
    for row in result.ranking():
        page.get_by_role("cell", name=row.candidate, exact=True).first.wait_for()
    page.get_by_text("validation scores of selected trials").first.wait_for()
    page.get_by_text("breast_cancer (0a1b2c3d-train)").first.wait_for()
    page.get_by_role("link", name=entities.run_name(result.trials[-1])).first.wait_for()


def test_the_list_shows_the_parent_and_unfolds_to_the_children(tracked, server, page):
    page.goto(f"{server}/#/experiments/{tracked[2]['experiment_id']}/runs")
    parent = page.get_by_role("gridcell").filter(has=page.get_by_role("link", name="toy", exact=True))
    parent.locator("svg").first.click()
    for name in map(entities.run_name, tracked[1].trials[-3:]):
        page.get_by_role("gridcell").get_by_role("link", name=name).first.wait_for()


def test_a_child_has_curves_by_epoch(tracked, server, page):
    page.goto(tracking.page(server, tracked[2]))
    page.get_by_role("link", name=entities.run_name(tracked[1].trials[-1])).first.click()
    page.get_by_text("Model metrics").first.click()
    for name in ("train_accuracy", "train_loss", "val_accuracy", "val_loss"):
        page.get_by_text(name, exact=True).first.wait_for()


def test_a_plot_of_the_parent_is_shown(tracked, server, page):
    page.goto(tracking.page(server, tracked[2]).replace("?", "/artifacts/plots/history.png?"))
    page.locator("img[src*='history'], img[src^='blob:']").first.wait_for()


def test_a_study_is_written_over_http_too(server, page):
    result = sample.study(12)
    tracker = Tracker(server, "over-http")
    where = tracker.sync(result)
    assert not tracker.error
    assert Tracker(server, "over-http").sync(result, where["run_id"]) == where
    page.goto(tracking.page(server, where).replace("?", "/artifacts/plots/curves.png?"))
    page.locator("img[src*='curves'], img[src^='blob:']").first.wait_for()
    page.goto(tracking.page(server, where))
    page.get_by_role("link", name=entities.run_name(result.trials[-1])).first.wait_for()
