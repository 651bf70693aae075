"""The Train page in Chromium: what a class does with it, on a desk and on a phone."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET

import pytest
from app_server import Server
from conftest import Visit, assert_usable
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def status(page):
    return page.locator("#status .status")


def run(page, text="Run"):
    expect(page.locator("#do-main")).to_have_text(text)
    page.click("#do-main")


def points(page) -> int:
    return int(page.get_attribute("#curves", "data-n") or 0)


def set_knob(page, ident, value):
    page.fill(ident, str(value))
    expect(page.locator(".front[data-link]")).to_have_attribute(
        "data-link", re.compile(f"={re.escape(str(value))}(&|$)")
    )


def slow_run(page, steps=20_000):
    """A training that lasts until it is stopped, for what happens meanwhile."""
    page.click(".drawer summary")
    set_knob(page, "#f-steps", steps)
    set_knob(page, "#f-images", 400)
    run(page)
    expect(status(page)).to_contain_text("Running")


def test_nothing_is_empty_on_arrival(visit, keep):
    page = visit()
    expect(page.locator("#pins tbody tr")).to_have_count(2)
    expect(page.locator("[data-verdict=BEATS]")).to_contain_text("beats labels only by")
    expect(page.locator("#image svg.chart").first).to_have_attribute(
        "aria-label", re.compile("Teacher .*%, Distilled .*%")
    )
    assert page.locator("#samples button").count() == 60
    assert page.get_by_role("tab", selected=True).inner_text() == "Train"
    keep(page, "train-arrival")


def test_a_run_grows_and_ends_in_a_verdict(visit, keep):
    page = visit()
    before, begun = points(page), time.monotonic()
    run(page)
    page.wait_for_function(
        f"+document.querySelector('#curves').dataset.n > {before}", timeout=5000
    )
    first = time.monotonic() - begun
    expect(status(page)).to_contain_text("Running, step")
    expect(page.locator("#finding")).to_contain_text("is learning")
    expect(status(page)).to_contain_text("Finished", timeout=20_000)
    assert points(page) == before + 61 and first < 3
    expect(page.locator("#finding")).to_contain_text("Learning rates are not tuned")
    expect(page.locator("#do-main")).to_have_text("Run again")
    expect(page.locator("#pins tbody tr").nth(2)).to_contain_text("T = 4")
    keep(page, "train-finished")
    page.click("#do-main")  # the same recipe once more: a run of its own, told apart
    expect(page.locator("#pins tbody tr")).to_have_count(4)
    expect(status(page)).to_contain_text("Finished", timeout=20_000)
    expect(page.locator("#pins tbody tr").nth(3)).to_contain_text("(2)")


def settled(page):
    """How many points there are, once the event that was under way has come too."""
    for _ in range(20):
        held = points(page)
        page.wait_for_timeout(800)
        if points(page) == held:
            return held
    raise AssertionError("it runs on")


def test_pause_step_stop_and_continue(visit):
    page = visit()
    set_knob(page, "#f-kd-temperature", 2)
    slow_run(page)
    run(page, "Pause")
    expect(status(page)).to_contain_text("Paused at step")
    held = settled(page)
    page.wait_for_timeout(500)
    assert points(page) == held
    page.click("#do-second")
    page.wait_for_function(f"+document.querySelector('#curves').dataset.n === {held + 1}")
    run(page, "Continue")
    expect(status(page)).to_contain_text("Running")
    begun = time.monotonic()
    page.click("#do-third")
    expect(status(page)).to_contain_text("kept.")
    assert time.monotonic() - begun < 1.5  # a second, and what a browser's clock adds
    kept = points(page)
    assert kept > held and page.locator("#pins tbody tr").count() == 3
    expect(page.locator("#finding")).to_contain_text("at step")
    run(page, "Continue")
    expect(status(page)).to_contain_text("Running")
    page.wait_for_function(f"+document.querySelector('#curves').dataset.n > {kept}")
    page.click("#do-third")
    expect(status(page)).to_contain_text("kept.")


def test_the_first_step_starts_a_run(visit):
    page = visit()
    set_knob(page, "#f-kd-temperature", 3)
    page.click("#do-second")
    expect(status(page)).to_contain_text("Paused at step 0")
    label = re.compile("paused at step 0")
    expect(page.locator("#curves svg.chart")).to_have_attribute("aria-label", label)
    settled(page)  # a click that comes before the first one is answered would be ignored
    page.click("#do-second")
    expect(status(page)).to_contain_text("Paused at step 5")
    page.click("#do-third")
    expect(status(page)).to_contain_text("Stopped at step 5")


def test_a_reload_finds_the_run(visit):
    page = visit()
    set_knob(page, "#f-kd-temperature", 6)
    slow_run(page)
    page.reload()
    expect(status(page)).to_contain_text("Running", timeout=10_000)
    expect(page.locator("#f-kd-temperature")).to_have_value("6")
    other = visit.open(page.context)  # a second tab has the same list
    expect(status(other)).to_contain_text("Running")
    other.click("#do-third")
    expect(status(page)).to_contain_text("kept.")


def test_a_notice_does_not_hide_the_run(visit):
    page = visit(query="&temperature=1e9")
    notice = page.locator("#status .notice")
    expect(notice).to_contain_text("was set to 1")
    slow_run(page, 2000)
    expect(notice).to_have_count(0)
    page.reload()  # the form is the address's again, the run is not
    expect(notice).to_contain_text("was set to 1")
    expect(status(page)).to_contain_text("Running, step")
    page.click("#do-third")
    expect(status(page)).to_contain_text("kept.")
    page.locator(".run-bar button", has_text="Continue").click()
    expect(status(page)).to_contain_text("Finished", timeout=30_000)
    expect(page.locator("#do-main")).to_have_text("Run")  # which is the form's
    set_knob(page, "#f-kd-temperature", 5)
    expect(status(page)).to_contain_text("Ready.")


def test_the_pace_can_be_left_and_taken_up(browser, tmp_path):
    with Server(tmp_path / "home", pace=40.0) as server:
        visit = Visit(browser, server.url)
        page = visit()
        pace = page.locator("[data-do=pace]")
        expect(status(page)).to_contain_text("About 40 s, slowed down.")
        run(page)
        expect(status(page)).to_contain_text("Running")
        run(page, "Pause")
        expect(status(page)).to_contain_text("Paused at step")
        run(page, "Continue")
        expect(pace).to_have_text("Full speed")
        pace.click()
        expect(status(page)).to_contain_text("Finished", timeout=30_000)
        expect(pace).to_have_text("Slow down")
        set_knob(page, "#f-kd-temperature", 2)
        expect(status(page)).to_contain_text("At full speed.")
        run(page)
        expect(status(page)).to_contain_text("Finished", timeout=30_000)
        pace.click()
        set_knob(page, "#f-kd-temperature", 3)
        run(page)
        page.wait_for_timeout(2500)
        page.click("#do-third")
        expect(status(page)).to_contain_text("Stopped at step")
        visit.close()


def test_two_visitors_do_not_disturb_each_other(visit):
    one, two = visit(), visit(390, 844)
    slow_run(one, 30_000)
    expect(two.locator("#pins tbody tr")).to_have_count(2)
    slow_run(two, 30_000)  # the same recipe: the second joins the training under way
    two.click("#do-third")  # others watch, so only the own view ends
    expect(status(two)).to_contain_text("kept.")
    expect(status(one)).to_contain_text("Running")
    one.click("#do-third")
    expect(status(one)).to_contain_text("kept.")


def test_the_queue_says_who_is_ahead(browser, tmp_path):
    with Server(tmp_path / "home", pace=1.0) as server:  # nobody else's runs are under way
        visit = Visit(browser, server.url)
        queue(visit)
        visit.close()


def queue(visit):
    pages = []
    for temperature in range(10, 16):  # two workers take two runs each
        page = visit()
        set_knob(page, "#f-kd-temperature", temperature)
        page.click(".drawer summary")
        set_knob(page, "#f-steps", 50_000)
        set_knob(page, "#f-images", 400)
        run(page)
        expect(status(page)).to_contain_text(re.compile("Running|Waiting"))
        pages.append(page)
    expect(status(pages[4])).to_contain_text("You are next.")
    expect(status(pages[5])).to_contain_text("1 ahead of you.")
    run(pages[5], "Leave the queue")
    expect(pages[5].locator("#pins tbody tr")).to_have_count(2)
    pages[0].click("#do-third")
    expect(status(pages[4])).to_contain_text("Running", timeout=10_000)


@pytest.mark.parametrize(
    ("ident", "value", "said"),
    [
        ("#f-kd-temperature", "nan", "Temperature goes from 0.01 to"),
        ("#f-kd-temperature", "-3", "Temperature goes from 0.01 to"),
        ("#f-kd-alpha", "", "needs a value"),
        ("#f-images", "1e400", "Images goes from 1 to"),
        ("#f-images", "<img src=x onerror=alert(1)>", "Images goes from 1 to"),
        ("#f-images", "${alert(1)}", "Images goes from 1 to"),
    ],
)
def test_a_bad_value_is_one_sentence(visit, ident, value, said):
    page = visit()
    page.fill(ident, value)
    run(page)
    expect(page.locator("#status .notice")).to_contain_text(said)
    expect(page.locator(ident)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#pins tbody tr")).to_have_count(2)
    assert page.locator("[data-testid=toast-body]").count() == 0


def test_a_clicked_image_shows_every_opinion(visit):
    page = visit()
    page.locator("#samples button").nth(7).click()
    expect(page.locator("#samples button").nth(7)).to_have_attribute("aria-pressed", "true")
    label = page.locator("#answers svg")
    expect(label).to_have_attribute("aria-label", re.compile("Teacher.*Labels only.*T = 8"))
    hot = page.locator("#image svg.chart").first.get_attribute("aria-label")
    page.click("[data-do=heat]")
    expect(page.locator("#image")).to_contain_text("Show at T = 8")
    assert page.locator("#image svg.chart").first.get_attribute("aria-label") != hot


def test_the_list_can_be_turned_and_emptied(visit, keep):
    page = visit()
    page.locator("#pins [data-do=baseline]").click()
    expect(page.locator("#finding")).to_contain_text("loses")
    page.locator("#pins tr").nth(1).locator("[data-do=remove]").click()
    expect(page.locator("#pins tbody tr")).to_have_count(1)
    page.click("#do-ghost")
    expect(status(page)).to_contain_text("Nothing pinned yet")
    keep(page, "train-empty")
    page.click("#do-ghost")
    expect(page.locator("#pins tbody tr")).to_have_count(1)


def test_an_address_carries_the_knobs(visit):
    page = visit(query="&method=kd&temperature=1e9&images=200&steps=nan")
    expect(page.locator("#f-images")).to_have_value("200")
    expect(page.locator("#f-kd-temperature")).to_have_value("1000000")
    expect(page.locator("#status .notice")).to_contain_text("was set to 1")
    expect(page.locator("#status .notice")).to_contain_text("Steps in the address is nan")
    expect(status(page)).to_contain_text("Ready. About 1 s")
    page.click("#copy")
    page.wait_for_url(re.compile("images=200"))


def test_there_are_no_more_labels_than_images(visit):
    page = visit()
    page.click(".drawer summary")
    labelled = page.locator("#f-labelled")
    expect(labelled).to_have_value("50")  # all of them
    for images in ("200", "100"):
        page.fill("#f-images", images)
        expect(labelled).to_have_value(images)
    set_knob(page, "#f-labelled", 60)
    for images, shown in (("40", "40"), ("80", "60")):  # what was asked for comes back
        page.fill("#f-images", images)
        expect(labelled).to_have_value(shown)
    page.fill("#f-labelled", "81")
    expect(labelled).to_have_attribute("aria-invalid", "true")
    run(page)
    said = page.locator("#status .notice")
    expect(said).to_contain_text("Labelled goes from 0 to 80 in whole numbers; 81 does not fit")
    page.fill("#f-labelled", "0")
    page.select_option("#f-method", "scratch")
    run(page)
    expect(said).to_contain_text("Labels only has nothing to learn from: Labelled is 0.")
    expect(page.locator("#pins tbody tr")).to_have_count(2)


@pytest.mark.parametrize("width", [1280, 768])
def test_more_opens_below_the_picture(visit, width):
    page = visit(width, 800)
    places = ("#curves", "#do-main", "#f-images", ".drawer summary")

    def tops():
        return [page.locator(place).bounding_box()["y"] for place in places]

    before, height = tops(), page.evaluate("document.body.scrollHeight")
    page.click(".drawer summary")
    expect(page.locator("#f-steps")).to_be_visible()
    assert tops() == before, "what one looks at stays in its place"
    assert page.evaluate("document.body.scrollHeight") - height < (450 if width > 1000 else 800)
    first, second = (page.locator(f"#f-{name}").bounding_box() for name in ("steps", "seeds"))
    beside = abs(first["y"] - second["y"]) < 20
    assert beside == (width > 1000), "as many columns as there is room for"


def test_only_a_method_with_a_teacher_asks_for_one(visit):
    page = visit()
    page.click(".drawer summary")
    for method, asked in (("kd", True), ("scratch", False), ("label-smoothing", False)):
        page.select_option("#f-method", method)
        expect(page.locator("#f-teacher")).to_be_visible(visible=asked)


def test_figures_can_be_kept_and_read(visit):
    page = visit()
    with page.expect_download() as kept:
        page.click("#tools [data-save]")
    root = ET.parse(kept.value.path()).getroot()
    assert root.tag.endswith("svg") and "--teacher" in "".join(root.itertext())
    page.click("#tools summary")
    expect(page.locator("#tools table")).to_be_visible()
    page.click("#more-about button")
    expect(page.locator("#more-about .forest")).to_be_visible()
    assert page.locator("#details svg[role=img][aria-label]").count() >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 390])
def test_it_fits_and_everybody_can_use_it(visit, keep, width, theme):
    page = visit(width, 844, theme)
    page.click("#more-about button")
    page.click(".drawer summary")
    expect(page.locator("#more-about .forest")).to_be_visible()
    page.wait_for_function(
        """() => [...document.querySelectorAll('.more-about svg.chart')]
        .every((e) => e.getBoundingClientRect().right <= innerWidth)""",
        timeout=30_000,
    )
    assert_usable(page)
    keep(page, f"train-{width}-{theme}")


def test_a_phone_shows_the_picture_before_the_knobs(visit):
    page = visit(390, 844)
    top = {
        k: page.locator(k).bounding_box()["y"]
        for k in (".head-row h1", "#do-main", "#curves", "#form")
    }
    assert list(top) == sorted(top, key=top.get) and top["#curves"] + 320 < 844
    sides = page.locator(".run-bar button:visible").evaluate_all(
        "all => all.map(b => b.getBoundingClientRect().height)"
    )
    assert min(sides) >= 44


def test_on_a_phone_the_table_fits_while_a_run_grows(visit, keep):
    page = visit(390, 844)
    set_knob(page, "#f-kd-temperature", 9)
    slow_run(page)
    page.wait_for_function(
        "document.querySelector('#pins tr.live .against').innerText.length > 20"
    )
    for table in (
        "#pins table",
        "#pins .scroll",
    ):  # nothing to scroll, and nothing behind its edge
        box = page.locator(table).bounding_box()
        assert page.evaluate(f"document.querySelector('{table}').scrollWidth") <= box["width"]
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    keep(page, "train-390-running")
    page.click("#do-third")
    expect(status(page)).to_contain_text("kept.")


def test_the_keyboard_is_enough(visit):
    page = visit(reduced_motion="reduce")
    page.focus("#f-kd-temperature")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert float(page.input_value("#f-kd-temperature")) > 4
    page.focus("#do-main")
    page.keyboard.press("Enter")
    expect(page.locator("#do-main")).to_have_text("Pause")
    assert page.evaluate("document.activeElement.id") == "do-main"
    expect(status(page)).to_contain_text("Finished", timeout=20_000)


def test_the_focus_stays_in_the_bar(visit):
    page = visit()
    set_knob(page, "#f-kd-temperature", 11)
    slow_run(page)
    for button, then, focused in (
        ("#do-third", "Continue", "do-main"),  # Stop goes
        ("#do-ghost", "Run", "do-ghost"),  # Reset becomes Bring them back
    ):
        page.focus(button)
        page.keyboard.press("Enter")
        expect(page.locator("#do-main")).to_have_text(then)
        page.wait_for_function(f"document.activeElement.id === '{focused}'")


def test_a_restarted_server_finds_the_list(browser, tmp_path):
    server = Server(tmp_path / "home", pace=1.0)
    context = browser.new_context()
    page = context.new_page()
    with server:
        page.goto(f"{server.url}/?tab=train")
        set_knob(page, "#f-kd-temperature", 7)
        slow_run(page)
        page.wait_for_function("+document.querySelector('#curves').dataset.n > 124")
        kept = points(page)
    with server:  # its workers ended with it, and kept what there was
        page.goto(f"{server.url}/?tab=train")
        expect(status(page)).to_contain_text("kept.", timeout=10_000)
        assert points(page) >= kept
        run(page, "Continue")
        expect(status(page)).to_contain_text("Running")
    context.close()


def test_the_footer_opens_the_calls_for_scripts_and_has_no_picture(visit, keep):
    page = visit()
    footer = page.locator("footer")
    assert footer.inner_text().strip() == "Use via API"
    assert not any(one.is_visible() for one in footer.locator("img").all())
    footer.scroll_into_view_if_needed()
    keep(page, "train-footer", full=False)
    footer.get_by_role("button", name="Use via API").click()
    expect(page.locator(".api-docs")).to_contain_text("/compare")


def test_a_server_that_is_gone_is_said_once_in_the_pages_words(browser, tmp_path, keep):
    server = Server(tmp_path / "home", pace=1.0)
    page = browser.new_page()
    with server:
        page.goto(f"{server.url}/?tab=train")
        page.wait_for_selector("#curves svg")
        expect(page.locator("#gone")).to_be_hidden()
    page.click("#do-main")
    expect(page.locator("#gone")).to_be_visible(timeout=10_000)  # Gradio asks every two seconds
    expect(page.locator("#gone")).to_contain_text("cannot be reached; your runs are kept")
    page.wait_for_timeout(1500)
    shown = page.locator("[data-testid=toast-body]")
    assert not any(one.is_visible() for one in shown.all())
    keep(page, "train-gone", full=False)
    with server:  # the same port: the page finds it by itself
        expect(page.locator("#gone")).to_be_hidden(timeout=20_000)
        expect(page.locator("#pins tbody tr")).to_have_count(2)
    page.close()


def test_a_method_is_made_visible_without_and_with_a_training(visit, keep):
    page = visit(query="&method=pkt&steps=50&seeds=2&teacher=mlp-8&generations=2")
    expect(page.locator("#formula .katex").first).to_be_visible()
    expect(page.locator("#card")).to_contain_text("Probabilistic knowledge transfer")
    page.select_option("#f-method", "rkd")  # the card follows, nothing is trained
    expect(page.locator("#card")).to_contain_text("Relational KD")
    page.click("#code summary")
    expect(page.locator("#code pre")).to_contain_text("def loss(")
    page.select_option("#f-method", "pkt")
    page.select_option("#f-student", "mlp-64-64")
    default = re.compile("Compared: hidden2 with hidden2")
    expect(page.locator("[data-method=pkt] svg[role=img]")).to_have_attribute(
        "aria-label", default
    )
    page.click("#pairs [data-who='0'][data-layer=hidden1]")
    page.focus("#pairs [data-who='1'][data-layer=hidden1]")
    page.keyboard.press("Enter")
    both = "hidden1:hidden1+hidden2:hidden2"
    expect(page.locator(".pairing")).to_have_attribute("data-pairs", both)
    assert page.input_value("#f-pkt-layers") == "hidden2:hidden2+hidden1:hidden1"
    page.click("#pairs [data-default]")
    expect(page.locator("#f-pkt-layers")).to_have_value("")
    run(page)
    expect(status(page)).to_contain_text("Finished", timeout=20_000)
    said = re.compile("Teacher mlp-64-64: .* within a class.*The two correlate by")
    expect(page.locator("#inside svg")).to_have_attribute("aria-label", said)
    chain = re.compile("Who taught whom: Teacher mlp-8, .*; then .* mlp-64-64, .*weights")
    expect(page.locator("#lineage svg")).to_have_attribute("aria-label", chain)
    assert_usable(page)
    keep(page, "train-inside")


def test_own_data_are_taken_in_trained_on_and_nobody_elses(visit, keep, server, tmp_path):
    """A wrong file is one sentence and leaves all as it was; a right one is trained on."""
    file = tmp_path / "mine.csv"
    rows = [f"{i % 3 + i / 100},{i},{('<i>a</i>', 'b', 'c')[i % 3]}" for i in range(60)]
    file.write_text("\n".join(["x,y,class", *rows]))
    page = visit()
    page.locator("#form summary").click()
    page.select_option("#f-data", "own")
    wrong = {"name": "page.csv", "mimeType": "text/csv", "buffer": b"<html>"}
    page.set_input_files("#f-file", wrong)
    expect(page.locator("#form .said")).to_contain_text("two columns")
    page.set_input_files("#f-file", str(file))
    expect(page.locator("#form .said")).to_contain_text("60 samples")
    expect(page.locator("#f-images")).to_have_value("36")
    assert page.locator("#form .classes input").count() == 3
    assert page.locator("#f-student option", has_text="cnn").count() == 0
    page.fill("#f-seeds", "2")
    page.locator("#do-main").click()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=30_000)
    expect(page.locator("#chart")).to_contain_text("12 test samples")
    expect(page.locator("#image")).to_contain_text("Test sample")
    assert page.locator("#wide i:text-is('a')").count() == 0
    assert_usable(page)
    keep(page, "own-data")
    assert "data=own" not in page.locator("#form .front").get_attribute("data-link")
    (kept,) = server.home.glob("visitors/*/*.csv")
    answer = page.request.get(f"{server.url}/gradio_api/file={kept}")
    assert answer.status in (403, 404)
    other = visit()
    expect(other.locator("#pins")).not_to_contain_text("your data")
    page.reload()
    expect(page.locator("#pins")).to_contain_text("your data")
    expect(page.locator("#f-data")).to_have_value("own")
