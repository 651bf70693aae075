"""What the tabs share: a visitor's token, what a page is told and tells, which tab opens."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import gradio as gr

from workbench import words
from workbench.base import BadInput, Trouble
from workbench.ui import _form, pages

S = TypeVar("S")
#: How many open pages are remembered.
SESSIONS = 1000


class Sessions(Generic[S]):
    """What a tab remembers of every open page, the oldest forgotten first."""

    def __init__(self, new: Callable[[], S]) -> None:
        self.new = new
        self.found: OrderedDict[str, S] = OrderedDict()

    def __call__(self, request: gr.Request) -> S:
        """The session of a request."""
        key = str(request.session_hash)
        found = self.found.setdefault(key, self.new())
        self.found.move_to_end(key)
        while len(self.found) > SESSIONS:
            self.found.popitem(last=False)
        return found


def failure(do: Callable[[], object]) -> str:
    """Do it; what goes wrong is one sentence, and nothing if all went well."""
    try:
        do()
    except (BadInput, Trouble) as error:
        return words.sentence(error)
    except Exception:
        logging.getLogger(__name__).exception("a page failed")
        return words.BROKEN
    return ""


def widths(text: object, known: tuple[int, ...]) -> tuple[int, ...]:
    """Widths of columns that a screen can have, "480,296"; what is known where none are."""
    try:
        found = tuple(min(2400, max(200, int(float(v)))) for v in str(text)[:40].split(","))
    except (ValueError, OverflowError):
        return known
    return found if len(found) == len(known) else known


def sent(form: object, known: str) -> str:
    """What a form says; before it has been filled, what it will be filled with."""
    if form is None or form == "":
        return known
    return form if isinstance(form, str) else ""


def changes(
    found: Mapping[str, Any], last: Mapping[str, Any], buttons: Sequence[str], parts: Sequence[str]
) -> list[Any] | None:
    """What differs from the last drawing, buttons first; None if nothing does."""
    some = found["labels"] != last.get("labels")
    values = [found[name] if some else gr.skip() for name in buttons]
    for name in parts:
        new = isinstance(found[name], str) and found[name] != last.get(name)
        values.append(found[name] if new else gr.skip())
        some = some or new
    return values if some else None


def kept_token() -> gr.BrowserState:
    """The token's component of the app under construction; made by the first page that asks."""
    demo = gr.context.Context.root_block
    assert demo is not None
    for block in demo.blocks.values():
        if isinstance(block, gr.BrowserState):
            return block
    return gr.BrowserState("", storage_key="workbench_visitor", secret="distillation")


def landing(request: gr.Request) -> Any:
    """The tab that an address asks for; else the one that is open."""
    query = dict(request.query_params)
    name = "train" if _form.means(query) else query.get("tab")  # Gradio keeps `page` for itself
    return gr.Tabs(selected=name) if name in pages() else gr.skip()
