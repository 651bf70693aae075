"""The Sweep page in Chromium: a guess, a map that fills, a cell that opens; also by key."""

from __future__ import annotations

import pytest
from conftest import assert_usable
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

#: Six cells of two students: half a second of training.
SMALL = "&temperature=1,4,16&alpha=0,1&seeds=2&steps=60"


def status(page):
    return page.locator("#sweep-status .status")


def test_a_sweep_fills_while_one_watches_and_its_cell_opens(visit, keep):
    page = visit(tab="sweep", query=SMALL)
    expect(page.locator("#sweep-map .cell")).to_have_count(12)
    expect(page.locator("#sweep-say")).to_contain_text("labels only get")
    expect(page.locator("#sweep-panel .chip")).to_contain_text("BEATS")
    keep(page, "sweep-arrival")
    expect(status(page)).to_contain_text("6 cells × 2 students.")
    page.click("#sweep-do-main")  # a guess comes first
    expect(page.locator("#sweep-say")).to_contain_text("Which cell will be right most often?")
    page.click("#sweep-map [data-cell='1,2']")
    expect(status(page)).to_contain_text("Running, ")
    expect(status(page)).to_contain_text("Finished, 6 cells", timeout=20_000)
    expect(page.locator("#sweep-say")).to_contain_text("You said T = 16, α = 1")
    page.click("#sweep-map [data-cell='1,1']")
    expect(page.locator("#sweep-panel h2")).to_have_text("T = 4, α = 1")
    page.reload()
    expect(status(page)).to_contain_text("Finished, 6 cells")
    expect(page.locator("#sweep-panel h2")).to_have_text("T = 4, α = 1")
    assert_usable(page)
    keep(page, "sweep-finished")
    page.click("text=Open in Train")
    expect(page.locator("#pins tbody tr").last).to_contain_text("Distilled, T = 4, steps 60")
    expect(page.locator("#f-kd-temperature")).to_have_value("4")


def test_a_sweep_on_a_phone_by_keyboard_stops_and_goes_on(visit, keep):
    page = visit(390, 844, "dark", tab="sweep", query=SMALL.replace("60", "6000"))
    page.click("#sweep-do-main")
    # the map of a sweep that is not there yet, in place of the shipped one
    expect(page.locator("#sweep-say")).to_contain_text("Which cell will be right most often?")
    expect(page.locator("#sweep-map .cell")).to_have_count(6)
    page.focus("#sweep-map [data-cell='0,0']")
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#sweep-do-main")).to_have_text("Stop, keep it")
    expect(status(page)).to_contain_text("Running, ")
    page.reload()
    expect(status(page)).to_contain_text("Running, ")
    page.click("#sweep-do-main")
    expect(status(page)).to_contain_text("Stopped, ")
    expect(page.locator("#sweep-do-main")).to_have_text("Continue")
    assert_usable(page)
    keep(page, "sweep-phone")
    page.click("#sweep-do-main")
    expect(status(page)).to_contain_text("Running, ")
    page.click("#sweep-do-main")
    expect(status(page)).to_contain_text("Stopped, ")


def test_what_is_typed_wrong_is_one_sentence(visit):
    page = visit(tab="sweep")
    page.click(".sweep .drawer summary")
    page.fill("#s-across-values", "1, warm")
    expect(page.locator("#sweep-status .notice")).to_have_text(
        "Temperature goes from 0.01 to 1 000 000; warm does not fit."
    )
    page.click("#sweep-do-main")
    expect(page.locator("#sweep-status .notice")).to_contain_text("warm does not fit")
    page.select_option("#s-method", "label-smoothing")
    expect(page.locator("#s-across")).to_have_value("epsilon")
    expect(page.locator("#s-down")).to_have_value("learning_rate")
    expect(page.locator("#sweep-status .notice")).to_have_count(0)
    page.select_option("#s-across", "learning_rate")  # the other one gives way
    expect(page.locator("#s-down")).to_have_value("epsilon")
    expect(page.locator(".sweep .front")).to_have_attribute(
        "data-link", "tab=sweep&method=label-smoothing&across=learning_rate&down=epsilon&seeds=5"
        "&learning_rate=0.0001%2C0.0005%2C0.002%2C0.01%2C0.06%2C0.3"
        "&epsilon=0%2C0.18%2C0.36%2C0.54%2C0.72%2C0.9"
    )  # fmt: skip
