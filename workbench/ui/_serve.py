"""Opens the app: builds the pages, finds the port, says in a sentence what is not in order."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import words

if TYPE_CHECKING:
    import gradio as gr

PORT = 7860
_HERE = Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> int:
    """`python app.py`: 0 when all went well, else one sentence: 2 for bad input, 1 for trouble."""
    given = _parser().parse_args(argv)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        with _quick_end():
            port = _port(given.port)
            if given.check:
                from workbench.ui._check import check

                return check(port)
            demo = serve(given.host, port)
            print(words.serving(str(demo.local_url)), flush=True)
        return stay(demo)
    except Exception as error:
        from workbench.base import BadInput, Trouble

        if not isinstance(error, (BadInput, Trouble)):
            raise
        print(error, file=sys.stderr)
        return 2 if isinstance(error, BadInput) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py", description=words.ABOUT)
    parser.add_argument("--port", help=words.PORT_HELP.format(PORT))
    parser.add_argument("--host", help=words.HOST_HELP)
    parser.add_argument("--check", action="store_true", help=words.CHECK_HELP)
    return parser


def _port(given: str | None) -> int:
    from workbench.base import BadInput

    source = "GRADIO_SERVER_PORT" if given is None else "--port"
    text = (os.environ.get(source) or str(PORT)) if given is None else given
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise BadInput(words.bad_port(source, text))
    return int(text)


def free(host: str, port: int) -> bool:
    """Whether nobody listens there; `Trouble` if this user may not."""
    from workbench.base import Trouble

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            if os.name == "posix":  # as the server does: what is only winding down does not count
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return True
    except (OSError, UnicodeError) as error:  # the latter for a name that cannot be one
        if isinstance(error, PermissionError) and 0 < port < 1024 and os.name == "posix":
            raise Trouble(words.port_forbidden(port, PORT)) from None
        return False


def gpu(function: Any) -> Any:
    """Mark a function for ZeroGPU Spaces, where at least one must exist; elsewhere itself."""
    try:
        import spaces  # type: ignore[import-not-found]
    except ImportError:
        return function
    return spaces.GPU(function)


def serve(host: str | None, port: int) -> gr.Blocks:
    """Open the app."""
    from workbench.base import BadInput, Trouble
    from workbench.runs import usable_home

    usable_home()
    on_space = bool(os.environ.get("SPACE_ID"))
    source = "--host" if host else "GRADIO_SERVER_NAME"
    host = host or os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else "127.0.0.1")
    if not free(host, 0):  # any port
        raise BadInput(words.bad_host(source, host))
    if not free(host, port):
        raise Trouble(words.port_taken(port))
    demo = build()
    from workbench.ui import _visitor

    _visitor.forget()
    try:
        open_(demo, server_name=host, server_port=port, prevent_thread_lock=True)
    except OSError as error:
        raise Trouble(words.port_taken(port)) from error
    return demo


def stay(demo: gr.Blocks) -> int:
    """Train what is asked for until the app is ended."""
    from workbench.ui import _desk

    _desk.warm()
    try:
        demo.block_thread()
    finally:
        _desk.pool().close()
    return 0


@contextmanager
def _quick_end() -> Iterator[None]:
    """Ctrl-C ends the process at once inside: nothing is to be kept yet.

    An exception would not do: libraries that are being imported catch it, and break.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def build() -> gr.Blocks:
    """All pages as tabs of one page, and the calls for scripts."""
    gpu(_warm_gpu)
    import gradio as gr

    from workbench.ui import _api, _tabs, pages

    hour = (3600, 3600)  # what was sent and never read is deleted then
    look: dict[str, Any] = {"analytics_enabled": False, "fill_width": True, "delete_cache": hour}
    with gr.Blocks(title=words.TITLED, **look) as demo:
        gr.HTML(_top(), elem_id="top", js_on_load=None, apply_default_css=False)
        with gr.Tabs() as tabs:
            for name, page in sorted(pages().items(), key=lambda item: item[1].order):
                with gr.Tab(page.title, id=name):
                    page.fill()
        demo.load(_tabs.landing, None, tabs, show_progress="hidden", api_visibility="private")
        _api.expose()
    demo.queue(max_size=200, default_concurrency_limit=None)
    return demo


def _warm_gpu() -> str:
    """Does nothing; a ZeroGPU Space must have one function that could use its GPU."""
    return "ready"


def open_(demo: gr.Blocks, **where: Any) -> Any:
    """Launch with all that every launch needs; nothing of it leaves this machine."""
    from starlette.middleware import Middleware

    from workbench.ui._api import Strict
    from workbench.ui._form import LARGEST_FILE
    from workbench.ui.theme import theme

    return demo.launch(
        app_kwargs={"middleware": [Middleware(Strict)]},
        theme=theme(),
        head=head(),
        run_history=False,
        max_file_size=LARGEST_FILE,  # own data; what they hold is checked when they are read
        state_session_capacity=500,
        ssr_mode=False,
        show_error=False,
        footer_links=["api"],
        quiet=True,
        share=False,
        **where,
    )


def head() -> str:
    """The styles and the script of every page."""
    from workbench.charts import PICTURE
    from workbench.ui.theme import HEAD

    styles = sorted(_HERE.glob("*.css"))  # what all share, then what a page brings
    style = "".join(path.read_text(encoding="utf-8") for path in styles)
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    space = os.environ.get("SPACE_ID")
    here = f"https://huggingface.co/spaces/{space}" if space else ""
    names = f"const PICTURE={json.dumps(PICTURE)},HERE={json.dumps(here)};"
    return f"{HEAD}<style>{style}</style><script>{{{names}{script}}}</script>"


def _top() -> str:
    mark = (
        '<svg width="26" height="20" aria-hidden="true"><rect y="2" width="16" height="16" '
        'fill="var(--teacher)"/><circle cx="21" cy="14" r="4" fill="var(--kd)"/></svg>'
    )
    copy = (
        f'<button type="button" class="link" id="copy" data-name="{words.COPY_LINK}" '
        f'data-done="{words.COPIED}">{words.COPY_LINK}</button>'
    )
    mode = (
        f'<button type="button" class="link" id="mode" data-dark="{words.DARK}" '
        f'data-light="{words.LIGHT}">{words.DARK}</button>'
    )
    gone = f'<p id="gone" class="notice" role="alert">{words.GONE}</p>'
    brand = f'<div class="brand">{mark}{words.BRAND}</div>'
    return f'{gone}{brand}<div class="bar-end">{copy}{mode}</div>'
