"""Chromium for the browser tests, and what must hold on every page that they open."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from app_server import Server

ARTEFACTS = Path(__file__).parents[2] / ".artifacts"
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
REMEDY = "no Chromium: run apt-get install chromium, or name its binary in CHROMIUM"


def chromium() -> str | None:
    """The binary: CHROMIUM, else what is installed, else what apt-get can install."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found or not shutil.which("apt-get") or getattr(os, "geteuid", lambda: 1)() != 0:
        return found
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "chromium"]):
        subprocess.run(command, capture_output=True, timeout=600, check=False)
    return shutil.which("chromium")


@pytest.fixture(scope="module")  # its event loop must end before other tests want one
def browser():
    binary = chromium()
    if binary is None:
        if os.environ.get("CI") == "true":
            pytest.fail(REMEDY)
        pytest.skip(REMEDY)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=binary, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("home"), pace=1.0) as running:
        yield running
        assert "Traceback" not in running.said()


#: What a mouse cannot reach, because something else lies over its middle.
COVERED = """() => [...document.querySelectorAll('button, a, input, summary')].filter((e) => {
  const seen = e.checkVisibility({ opacityProperty: true }) && e.getClientRects().length
  if (e.tabIndex < 0 || !seen || getComputedStyle(e).pointerEvents === 'none') return false
  e.scrollIntoView({ block: 'center' })
  const { x, y, width, height } = e.getBoundingClientRect()
  const top = document.elementFromPoint(x + width / 2, y + height / 2)
  const label = top?.contains(e) && top.closest('label')
  return width && height && !(top && (e.contains(top) || label))
}).map((e) => e.outerHTML.slice(0, 120))"""


def assert_usable(page):
    """No violation that axe knows, nothing wider than the window, nothing under something else."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.wait_for_timeout(400)  # a card that fades in is not yet what it will be
    assert page.evaluate(COVERED) == []
    found = Axe().run(page).response["violations"]
    assert not [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found]


class Visit:
    """Opens the page as somebody new, and remembers what went wrong or went out."""

    def __init__(self, browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.wrong: list[str] = []
        self.contexts = []

    def __call__(self, width=1280, height=800, theme="light", query="", tab="train", **options):
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        self.contexts.append(context)
        return self.open(context, theme, query, tab)

    def open(self, context, theme="light", query="", tab="train"):
        """One more page of the same visitor; the first act is where one lands."""
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._went_out)
        asked = "" if tab == "start" else f"&tab={tab}"
        page.goto(f"{self.url}/?__theme={theme}{asked}{query}")
        first = {"train": "#curves svg", "sweep": "#sweep-grid svg"}
        page.wait_for_selector(first.get(tab, ".soft-bars"))
        return page

    def close(self) -> None:
        """Close what was opened, and say what went wrong."""
        for context in self.contexts:
            context.close()
        assert not self.wrong

    def _went_out(self, request) -> None:
        inside = (self.url, "data:", "blob:", self.url.replace("http", "ws"))
        if not request.url.startswith(inside):
            self.wrong.append(f"request to {request.url}")


@pytest.fixture
def visit(browser, server):
    made = Visit(browser, server.url)
    yield made
    made.close()


@pytest.fixture
def keep(request):
    """Keep a picture of a page in .artifacts/."""
    ARTEFACTS.mkdir(exist_ok=True)

    def save(page, name, full=True) -> None:
        page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=full)

    return save
