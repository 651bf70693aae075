"""Run a lesson's notebook and clean it: what is committed reads the same on every machine.

The notebook is its own source. Building runs every cell in a fresh kernel and keeps the outputs
in their still forms: pictures as PNG with words, no widget state, no live HTML, no clock. So it
shows on GitHub and prints; `current` says whether a file is what building would make of it.
"""

from __future__ import annotations

import copy
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.base import Trouble
from workbench.lessons._claim import unproved

WIDGET = "application/vnd.jupyter.widget-view+json"
#: Stands before an answer as long as its cell was not run.
FOLDED = "The answer to the guess above:"
#: Seconds that one cell may take.
PATIENCE = 120
_KERNEL = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def build(path: Path) -> bool:
    """Run the notebook, clean it, write it; whether the file changed."""
    import nbformat

    before = path.read_text(encoding="utf-8")
    made = clean(run(path))
    after = nbformat.writes(made) + "\n"
    if _still_true(nbformat.reads(before, as_version=4), made):
        after = before  # pictures differ by a pixel between versions of matplotlib
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before


def current(path: Path) -> list[str]:
    """What a rebuild would change: one sentence each, nothing if the file is current."""
    import nbformat

    there = nbformat.read(path, as_version=4)
    wrong = unclean(there)
    wrong += [f"{path.name}: the text says {n}, which no claim proves" for n in unproved(there)]
    made = clean(run(path))
    for old, new in zip(there.cells, made.cells, strict=True):
        if _words(old) != _words(new):
            wrong.append(f"{path.name}: cell {old.id} shows something else than when it is run")
    return wrong


def run(path: Path) -> Any:
    """The notebook of a file with the outputs of a fresh kernel."""
    import nbformat

    return execute(nbformat.read(path, as_version=4), path)


def execute(notebook: Any, path: Path) -> Any:
    """Run every cell in place, in the folder of `path` and from an empty home."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    before = {k: os.environ.get(k) for k in ("WORKBENCH_HOME", "WORKBENCH_FAST")}
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"WORKBENCH_HOME": home, "WORKBENCH_FAST": "1"}
        try:
            resources = {"metadata": {"path": str(path.parent)}}
            NotebookClient(notebook, timeout=PATIENCE, resources=resources).execute()
        except CellExecutionError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            plain = re.sub(r"\x1b\[[0-9;]*m", "", lines[-1])
            raise Trouble(f"{path.name}: a cell failed; {plain}") from None
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
    return notebook


def clean(notebook: Any) -> Any:
    """The notebook without what differs between machines or needs a kernel."""
    import nbformat

    found = copy.deepcopy(notebook)
    found.metadata = type(found.metadata)(copy.deepcopy(_KERNEL))
    count = 0
    for cell in found.cells:
        kept = {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
        cell.metadata = type(cell.metadata)(kept)
        if "answer" in kept.get("tags", []):
            # its still would answer the guess above; what is folded shows its first words
            cell.metadata["jupyter"] = {"outputs_hidden": True}
            cell.outputs.insert(0, nbformat.v4.new_output("display_data", {"text/plain": FOLDED}))
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = _joined(out for out in cell.outputs if out.get("name") != "stderr")
        for out in cell.outputs:
            if out.output_type == "execute_result":
                out.execution_count = count
            if "data" in out:
                _still(out)
    return found


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """What is printed as one output: how a kernel cuts it up depends on how busy it is."""
    found: list[Any] = []
    for out in outputs:
        if found and out.output_type == found[-1].output_type == "stream":
            found[-1].text += out.text
        else:
            found.append(out)
    return found


def _still(out: Any) -> None:
    """The forms of an output that need neither kernel nor trust."""
    out.data.pop(WIDGET, None)
    if "image/png" in out.data:  # a viewer that cleans HTML would show an empty box instead
        out.data.pop("text/html", None)
        out.data["image/png"] = out.data["image/png"].strip()
    if "text/html" in out.data:
        page = re.sub(r"<style>.*?</style>", "", out.data["text/html"], flags=re.S)
        out.data["text/html"] = page


def unclean(notebook: Any) -> list[str]:
    """What a committed notebook must not hold: one sentence each."""
    wrong = []
    if dict(notebook.metadata) != _KERNEL:
        wrong.append("its metadata are not the plain ones")
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    if counts != list(range(1, len(counts) + 1)):
        wrong.append("its cells were not run in order")
    ids = [cell.id for cell in notebook.cells]
    if len(set(ids)) < len(ids) or not all(re.fullmatch(r"lesson-\d\d-\w+", i) for i in ids):
        wrong.append("its cells need fixed ids, lesson-01-07")
    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            if out.output_type == "error" or out.get("name") == "stderr":
                wrong.append(f"cell {cell.id} ends in an error or a warning")
            if WIDGET in out.get("data", {}):
                wrong.append(f"cell {cell.id} keeps a widget")
    return wrong


def _words(cell: Any) -> list[Any]:
    """What a cell shows, apart from digits, which differ a little between processors."""
    shown = []
    for out in cell.get("outputs", []):
        text = out.get("text") or out.get("data", {}).get("text/plain", "")
        shown.append((out.output_type, sorted(out.get("data", {})), re.sub(r"\d+", "0", text)))
    return shown


def _still_true(old: Any, new: Any) -> bool:
    """Whether the old file is clean and shows, to the last digit, what the new one shows."""
    if unclean(old) or len(old.cells) != len(new.cells):
        return False
    return all(
        a.source == b.source and a.metadata == b.metadata and _exact(a) == _exact(b)
        for a, b in zip(old.cells, new.cells, strict=True)
    )


def _exact(cell: Any) -> list[Any]:
    """What a cell shows, in words."""
    return [
        (
            sorted(out.get("data", {})),
            out.get("text"),
            out.get("metadata"),
            {k: v for k, v in out.get("data", {}).items() if k != "image/png"},
        )
        for out in cell.get("outputs", [])
    ]
