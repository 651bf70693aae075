"""Imports point down only, each outside library has one door, and there is no cycle."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "workbench"
ROOT = PACKAGE.parent

#: From the bottom up, as the design has it: a module imports from lower layers, or from its own
#: where `BESIDE` says so.
LAYERS = [
    {"base", "functional"},
    {"methods", "specimens", "models", "data", "vision"},
    {"recipe", "events", "evaluation", "laws", "adamw", "byhand", "said", "half"},
    {"recipes"},
    {"engine", "inside"},
    {"runs", "external"},
    {"jobs", "sweep", "assets", "check", "zoo"},
    {"words"},
    {"charts", "plots"},
    {"ui", "notebook", "lessons", "bench"},
    {"app", "notebooks", "__main__"},
]
#: What design names in one layer, and the order inside it.
BESIDE = {
    ("functional", "base"),
    ("models", "vision"),
    ("data", "vision"),
    ("laws", "evaluation"),
    ("recipe", "events"),
    ("inside", "engine"),
    ("plots", "charts"),
    ("assets", "sweep"),
    ("notebook", "lessons"),
    ("ui", "lessons"),
    ("bench", "lessons"),
    ("sweep", "jobs"),
    ("zoo", "check"),
}
DOORS = {
    "gradio": {"ui", "app"},
    "gradio_client": {"ui", "app"},
    "matplotlib": {"plots"},
    "torchvision": {"vision"},
    "PIL": {"data", "plots"},
    "ipywidgets": {"notebook"},
    "IPython": {"notebook"},
    "nbclient": {"lessons"},
    "nbformat": {"lessons"},
    "transformers": {"models"},
    "torchdistill": {"torchdistill_loop"},
}
#: app.py opens the app: in ui/, a name with _ only says that a file is no page.
OPENS = {("app", "ui")}
#: `app.py --check` asks whether a port is free, and serving asks for the check: both inside a
#: function, when used.
LAZY = {("workbench.ui._serve", "workbench.ui._check")}
RANK = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def files():
    found = [path for path in PACKAGE.rglob("*.py") if "assets/runs" not in path.as_posix()]
    return found + [path for path in [ROOT / "app.py"] if path.exists()]


def dotted(path):
    """The module's name; `app` for app.py."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit(module):
    """The part of the package that a module belongs to: a file or folder just below workbench."""
    parts = module.split(".")
    if parts[0] != "workbench":
        return parts[0]
    return parts[1] if len(parts) > 1 else ""


def imports(tree, typing=False):
    """(module, name or None, line) of every import; those for types alone only if asked."""
    skip = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not typing:
            skip |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            yield from ((node.module, alias.name, node.lineno) for alias in node.names)


def target(module, name):
    """The module that an import means: `from workbench import runs` means workbench.runs."""
    deeper = f"{module}.{name}" if name else module
    path = ROOT / Path(*deeper.split("."))
    return deeper if path.with_suffix(".py").exists() or path.is_dir() else module


def trees():
    return [(path, dotted(path), ast.parse(path.read_text("utf-8"))) for path in files()]


TREES = trees()
every_file = pytest.mark.parametrize(
    ("path", "module", "tree"), TREES, ids=[module for _, module, _ in TREES]
)


def test_every_part_of_the_package_has_a_layer():
    parts = {unit(module) for _, module, _ in TREES} - {""}
    assert parts <= set(RANK), "say in LAYERS where this belongs"
    assert all((PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists() for name in parts
               if name != "app")  # fmt: skip


@every_file
def test_imports_point_down_only(path, module, tree):
    here = unit(module)
    if here == "":
        pytest.skip("the public door names things of every layer, and loads them when used")
    for imported, name, line in imports(tree):
        if imported.split(".")[0] != "workbench":
            continue
        there = unit(target(imported, name))
        if there in ("", here):
            continue
        down = RANK[there] < RANK[here] or (here, there) in BESIDE
        assert down, f"{path}:{line}: {here} imports {there}, which is not below it"


@every_file
def test_each_outside_library_has_one_door(path, module, tree):
    names = set(module.split("."))
    for imported, _, line in imports(tree, typing=True):
        allowed = DOORS.get(imported.split(".")[0])
        assert allowed is None or names & allowed, f"{path}:{line}: imports {imported}"


@every_file
def test_nobody_imports_anothers_private_names(path, module, tree):
    for imported, name, line in imports(tree, typing=True):
        if imported.split(".")[0] != "workbench":
            continue
        parts = [*imported.split(".")[1:], *([name] if name else [])]
        for i, part in enumerate(parts):
            if part.startswith("_") and not part.startswith("__"):
                family = ["workbench", *parts[:i]]
                inside = module.split(".")[: len(family)] == family
                if (unit(module), parts[0]) in OPENS:
                    continue
                assert inside and len(family) > 1, f"{path}:{line}: takes {'.'.join(parts)}"


@every_file
def test_nobody_uses_anothers_private_names(path, module, tree):
    """`engine._under` is as private as an import of it."""
    known = {}
    for imported, name, _ in imports(tree, typing=True):
        meant = target(imported, name)
        if meant.split(".")[0] == "workbench" and (name is None or meant != imported):
            known[(name or imported).split(".")[-1]] = meant
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            taken = private and node.value.id in known and known[node.value.id] != module
            assert not taken, f"{path}:{node.lineno}: takes {node.value.id}.{node.attr}"


def test_there_is_no_cycle_among_modules():
    edges = {module: set() for _, module, _ in TREES}
    for _, module, tree in TREES:
        for imported, name, _ in imports(tree):
            meant = target(imported, name)
            if meant in edges and meant != module and (module, meant) not in LAZY:
                edges[module].add(meant)
    edges["workbench"] = set()  # its names load when they are used
    done, under = set(), []

    def visit(module):
        if module in done:
            return
        assert module not in under, " imports ".join([*under[under.index(module) :], module])
        under.append(module)
        for other in sorted(edges[module]):
            visit(other)
        under.pop()
        done.add(module)

    for module in edges:
        visit(module)


def test_importing_the_package_loads_nothing():
    tree = next(tree for _, module, tree in TREES if module == "workbench")
    top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert {alias.name for node in top for alias in node.names} <= {
        "annotations", "importlib", "TYPE_CHECKING", "Any"
    }  # fmt: skip


@every_file
def test_nothing_is_unpickled(path, module, tree):
    for imported, _, line in imports(tree):
        assert imported.split(".")[0] not in ("pickle", "dill", "joblib"), f"{path}:{line}"
    text = ast.unparse(tree)
    assert "torch.load(" not in text and "allow_pickle=True" not in text


def test_a_wrong_import_is_noticed(tmp_path, monkeypatch):
    """The checks above can fail."""
    tree = ast.parse("from workbench.runs import Run\nimport gradio\nfrom workbench import engine")
    found = list(imports(tree))
    assert [unit(target(m, n)) for m, n, _ in found] == ["runs", "gradio", "engine"]
    with pytest.raises(AssertionError, match="engine imports runs"):
        test_imports_point_down_only("x.py", "workbench.engine", tree)
    with pytest.raises(AssertionError, match="imports gradio"):
        test_each_outside_library_has_one_door("x.py", "workbench.engine", tree)
    for text in (
        "from workbench.engine import _under",
        "from workbench.models._network import Conv",
    ):
        with pytest.raises(AssertionError, match="takes"):
            test_nobody_imports_anothers_private_names("x.py", "workbench.runs", ast.parse(text))
    used = ast.parse("from workbench import engine\nengine._under('a', {})")
    with pytest.raises(AssertionError, match=r"takes engine\._under"):
        test_nobody_uses_anothers_private_names("x.py", "workbench.runs", used)
