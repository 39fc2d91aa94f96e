"""The page of a study in a real browser: no error, no request, readable on a phone, in the dark and on paper."""

from __future__ import annotations

import pytest
import sample_study as sample
import sample_verdict

from lossreg.reporting import page

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    result = sample.study(60, verdict=sample_verdict.study("better, because of the loss").verdict)
    path = tmp_path_factory.mktemp("page") / "toy.html"
    path.write_text(page.html(result, "toy.toml"), encoding="utf-8")
    return path


def wait_until(one, condition):
    """Wait for a condition in the page, which itself forbids that text is run as code later on."""
    one.evaluate(
        f"new Promise((done) => {{ (function look() {{ {condition} ? done() : setTimeout(look, 50); }})(); }})"
    )


@pytest.fixture
def opened(browser, file):
    """A function of width and scheme that opens the page, and what it asked for and complained of."""
    pages = []

    def at(width, scheme):
        one = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        one.set_default_timeout(120_000)
        pages.append(one)
        told, asked = [], []
        one.on("console", lambda message: told.append(message.text))
        one.on("pageerror", lambda error: told.append(str(error)))
        one.on("request", lambda request: asked.append(request.url))
        one.goto(file.as_uri())
        wait_until(one, "window.Plotly !== undefined")
        one.evaluate("figures.forEach(draw)")
        wait_until(one, "figures.every((figure) => figure.querySelector('.main-svg'))")
        return one, told, asked

    yield at
    for one in pages:
        one.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_opens_without_an_error_and_asks_for_nothing(opened, file, width, scheme):
    one, told, asked = opened(width, scheme)
    assert told == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert one.evaluate("document.documentElement.scrollWidth") <= width
    assert one.locator("h1").bounding_box()["y"] < 200


@pytest.mark.parametrize("width", [400, 1280])
def test_names_of_differences_are_left_of_the_line_at_zero(opened, width):
    one, *_ = opened(width, "light")
    names = [name.bounding_box() for name in one.locator("header .figure .ytick text").all()]
    zero = one.locator("header .figure .shapelayer path").first.bounding_box()
    assert names
    assert all(name["x"] >= 0 and name["x"] + name["width"] < zero["x"] for name in names)


def test_on_a_phone_code_is_broken_into_lines_below_its_button(opened):
    one, *_ = opened(400, "light")
    assert one.evaluate("[...document.querySelectorAll('pre')].every((pre) => pre.scrollWidth <= pre.clientWidth)")
    [top, *_] = one.locator(".code").all()
    button, code = top.locator(".copy").bounding_box(), top.locator("pre").bounding_box()
    assert button["y"] + button["height"] <= code["y"]


def test_ink_follows_the_theme(opened):
    colour = "getComputedStyle(document.querySelector('.figure text')).fill"
    light, dark = (opened(1280, scheme)[0] for scheme in ("light", "dark"))
    assert {light.evaluate(colour), dark.evaluate(colour)} == {"rgb(27, 31, 36)", "rgb(230, 233, 236)"}
    dark.emulate_media(color_scheme="light")
    wait_until(dark, f"{colour} === 'rgb(27, 31, 36)'")


def test_on_paper_every_picture_is_drawn_in_black_and_fits(opened):
    one, told, _ = opened(1280, "dark")
    one.emulate_media(media="print")
    one.evaluate("dispatchEvent(new Event('beforeprint'))")
    wait_until(one, "figures.every((figure) => figure.querySelector('.main-svg').clientWidth <= PAPER_WIDTH)")
    assert one.evaluate("getComputedStyle(document.querySelector('.figure text')).fill") == "rgb(0, 0, 0)"
    assert told == []


def test_what_is_printed_once_it_is_loaded_has_its_pictures(browser, file):
    one = browser.new_page()
    one.goto(file.as_uri(), wait_until="load")
    one.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert one.evaluate("figures.every((figure) => figure.querySelector('.main-svg'))")
    one.close()


def test_on_paper_all_columns_of_the_leaderboard_are_there(opened):
    one, *_ = opened(680, "light")
    one.emulate_media(media="print")
    table, paper = one.locator("table").bounding_box(), one.locator("main").bounding_box()
    assert table["x"] + table["width"] <= paper["x"] + paper["width"]
    assert one.evaluate("getComputedStyle(document.querySelector('.wide')).overflowX") == "visible"
    assert one.locator("th").last.is_visible()


def test_an_error_of_the_pictures_is_told_as_it_is(browser, file, tmp_path):
    broken = tmp_path / "broken.html"
    text = file.read_text(encoding="utf-8")
    broken.write_text(text.replace("figures.forEach(reserve);", 'throw new Error("no room");'), encoding="utf-8")
    one = browser.new_page()
    one.goto(broken.as_uri())
    one.wait_for_selector(".failure", state="visible", timeout=120_000)
    assert one.locator(".failure").inner_text() == "The pictures cannot be drawn: no room"
    one.close()
