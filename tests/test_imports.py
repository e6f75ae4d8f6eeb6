"""The rules about files that the design sets: who may import whom, who may print, what is frozen, what is tested."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]
# A module imports only what stands before it here; within a package the imports need only be free of cycles.
ORDER = (
    *("diagnostics", "files", "arithmetic", "arrays", "graph", "linear", "layers", "describe", "integers"),
    *("records", "fabric", "device", "chip", "rules"),
    *("jit", "runner", "events", "states", "plasticity", "semantics", "exits"),
    *("parameters", "capabilities", "wellformed", "contracts", "mapping", "serial"),
    *("named", "pace", "spike_draws", "data", "encoding", "verify", "artefact"),
    *("packing", "analysis", "chip_rules", "passes", "frontends", "backends"),
    *(
        "program",
        "event_program",
        "conversion",
        "importing",
        "classics",
        "preparation",
        "compiler",
        "workload",
        "courses",
        "checkpoints",
        "training",
        "freezing",
        "estimation",
        "allocation",
        "exploring",
        "explanation",
        "deploy",
    ),
    *("views", "fit_views", "learning_views", "pages", "cli", "__main__"),
)
DATA = (
    *("snncc.diagnostics", "snncc.graph", "snncc.linear", "snncc.layers", "snncc.integers", "snncc.chip"),
    *("snncc.events.ops", "snncc.rules"),
    *("snncc.pace", "snncc.data", "snncc.verify", "snncc.program", "snncc.analysis.proof", "snncc.backends.base"),
)
OUTERMOST = {"snncc"}  # the public names
SPEAKS = "cli"
TESTED_THROUGH = {
    "jit": "passes",
    "arithmetic": "integers",
    "states": "semantics",
    "event_program": "backends",
    "parameters": "contracts",
    "__main__": "readme",
    "views": "cli",
    "fit_views": "cli",
    "classics": "cli",
    "learning_views": "cli",
    "program": "cli",
    "compiler": "cli",
    "preparation": "cli",
    "importing": "cli",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted((ROOT / "snncc").rglob("*.py"))}
each_module = pytest.mark.parametrize("module", FILES)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """The modules of snncc that a file imports, anywhere in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            base = node.module or ""
            for each in node.names:
                inner = f"{base}.{each.name}"
                if inner in FILES or base in FILES:
                    yield inner if inner in FILES else base


def room(module: str) -> str:
    """The part of a module's name that has a place in ORDER."""
    return module.split(".")[1]


@each_module
def test_imports_go_downwards_only(module: str) -> None:
    if module in OUTERMOST:
        return
    own = room(module)
    assert own in ORDER, f"give {own} a place in ORDER, and say in DESIGN section 6 what it is for"
    for other in imported(FILES[module]):
        assert other != "snncc", f"{module} imports the public names"
        inner = room(other) == own and other != module
        below = ORDER.index(room(other)) < ORDER.index(own)
        assert inner or below, f"{module} imports {other}, which is not below it"


@each_module
def test_imports_are_absolute(module: str) -> None:
    found = [node for node in ast.walk(tree(FILES[module])) if isinstance(node, ast.ImportFrom) and node.level]
    assert not found, f"line {found[0].lineno}: a relative import"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = nx.DiGraph((module, other) for module, path in FILES.items() for other in imported(path))
    assert not list(nx.simple_cycles(graph))


@each_module
def test_backends_and_frontends_do_not_know_each_other(module: str) -> None:
    """A kind of file, or of target, is a package of its own; only the list of them knows more than one."""
    kind = module.split(".")
    if len(kind) < 4 or kind[1] not in ("backends", "frontends"):
        return
    for other in imported(FILES[module]):
        theirs = other.split(".")
        foreign = theirs[1] == kind[1] and len(theirs) > 3 and theirs[2] != kind[2]
        assert not foreign, f"{module} imports {other}"


@each_module
def test_only_the_command_line_prints_and_exits(module: str) -> None:
    if module not in OUTERMOST and room(module) == SPEAKS:
        return
    for node in ast.walk(tree(FILES[module])):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            assert node.id not in {"print", "exit", "quit", "input", "SystemExit"}, f"line {node.lineno}: {node.id}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called = f"{node.value.id}.{node.attr}"
            forbidden = {"sys.exit", "os._exit", "sys.stdout", "sys.stderr", "rich.print"}
            assert called not in forbidden, f"line {node.lineno}: {called}"


@each_module
def test_a_docstring_says_in_a_sentence_what_a_module_is_for(module: str) -> None:
    text = ast.get_docstring(tree(FILES[module]))
    assert text, "no docstring"
    assert text.split("\n\n", maxsplit=1)[0].rstrip().endswith("."), "its first paragraph is no sentence"


@each_module
def test_files_and_functions_are_short(module: str) -> None:
    lines = FILES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= 400
    for node in ast.walk(tree(FILES[module])):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 50, f"{node.name} has {length} lines"


@pytest.mark.parametrize("module", DATA)
def test_what_passes_from_stage_to_stage_is_frozen(module: str) -> None:
    for node in ast.walk(tree(FILES[module])):
        if isinstance(node, ast.ClassDef):
            decorators = [ast.unparse(each) for each in node.decorator_list]
            assert all("frozen=True" in each for each in decorators if each.startswith("dataclass")), node.name


@each_module
def test_nothing_outlives_a_call_by_accident(module: str) -> None:
    """No default value is a container that could change, and no function assigns a variable of its module."""
    for node in ast.walk(tree(FILES[module])):
        assert not isinstance(node, ast.Global), f"line {node.lineno}: a global statement"
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            defaults = [*node.args.defaults, *(each for each in node.args.kw_defaults if each)]
            changeable = [each for each in defaults if isinstance(each, (ast.List, ast.Dict, ast.Set))]
            assert not changeable, f"line {node.lineno}: a default that can change"


def test_every_module_is_tested() -> None:
    """A package has a folder of tests, a module a file of its own; or a test, of whatever it is used by, imports it."""
    tests = ROOT / "tests"
    read = {room(other) for path in tests.rglob("*.py") for other in imported(path) if other not in OUTERMOST}
    for own in sorted({room(module) for module in FILES if module not in OUTERMOST}):
        name = TESTED_THROUGH.get(own, own)
        found = [*tests.glob(f"test_{name}.py"), *(tests / name).rglob("test_*.py")]
        assert found or name in read, f"neither tests/test_{name}.py nor tests/{name}/, and no test imports it"
