"""What a visitor waits for, in a real browser."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

from workbench.bench.clock import Row, absent, seconds
from workbench.bench.goals import BROWSER
from workbench.bench.processes import serving


def browser(rounds: int) -> dict[str, Row]:
    """Seconds of wall time; not measured, with the reason, where there is no browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return absent(BROWSER, "playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    binary = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if binary is None:
        return absent(BROWSER, "no Chromium is installed")
    with serving() as address, sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        visits = [_visit(opened, address) for _ in range(rounds + 1)][1:]  # the first one warms
        opened.close()
    return {name: seconds(times) for name, *times in zip(BROWSER, *visits, strict=True)}


def _visit(opened: Any, address: str) -> tuple[float, float, float]:
    """Page to first picture, click to first point, and the slider's median, of a new visitor."""
    context = opened.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".soft-bars [data-bar]")
    first = time.perf_counter() - start
    page.wait_for_selector("#start-T")
    moved = page.evaluate(MOVES)
    page.wait_for_timeout(1000)  # the workers have imported torch
    point = page.evaluate(CLICK)
    context.close()
    return first, point / 1000, moved / 1000


#: Moves the slider sixty times, layout included: the median in milliseconds.
MOVES = """() => {
  const slider = document.querySelector('#start-T'), all = []
  for (let i = 0; i < 60; i++) {
    slider.value = 4 * i / 59
    const begun = performance.now()
    slider.dispatchEvent(new Event('input'))
    document.querySelector('.soft-bars').getBBox()
    all.push(performance.now() - begun)
  }
  return all.sort((a, b) => a - b)[30]
}"""
#: Skips the guess and waits for the first point of the curves: milliseconds.
CLICK = """() => new Promise((tell) => {
  const begun = performance.now()
  document.querySelector('[data-skip]').click()
  const look = () => +document.querySelector('#race')?.dataset.n > 0
    ? tell(performance.now() - begun) : requestAnimationFrame(look)
  look()
})"""
