"""What the tabs share: the visitor's token in the browser, and which tab an address opens."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
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
