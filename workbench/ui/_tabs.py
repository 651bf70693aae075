"""What the tabs share: the visitor's token in the browser, and which tab an address opens."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.ui import _form, pages


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
