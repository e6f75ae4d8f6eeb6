"""Names that try to break out: of generated C, of Markdown, of JSON, of tables, of the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from snncc.cli import app
from snncc.frontends import read_model

from .frontends.onnx.step_graphs import StepGraph

NAMES = {
    "newline": "a\nerror[fake]: b: c",
    "comment end": "*/ int evil; /*",
    "line splice": "a\\\n??/",
    "quotes": "\"'`$(touch evil)",
    "docstring": "a\"\"\"b'''",
    "template": "{{ 7 * 7 }}{% raw %}",
    "bidi": "a\u202eb\u2066c",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "markup": "[red]a[/red][link=evil]b",
    "markup end": "a\\[/]",
    "emoji": ":bomb:",
    "keyword": "int",
    "macro": "INT8_MAX",
    "reserved": "__init__",
    "long": "x" * 5000,
    "path": "../../outside",
    "unicode": "n\u00e4me\u00b2\U0001f9e0",
    "format": "%s%n{0}",
    "empty": " ",
    "digits": "123",
    "link": "[a](javascript:b)<script>c</script>",
}
DRIVING = ("\x1b[2J", "\x1b]0;", "\x9b", "\u202e", "\u2066", "\x07", "\U0001f4a3", "\nerror[fake]", "\x1b]8;")
CODE = (*DRIVING, "*/ int", "{{", "{%", "??/", "](javascript:", "<script>", "`$(touch", '"""')
COLOURED = {"FORCE_COLOR": "1", "COLUMNS": "100", "TERM": "xterm-256color"}


def network(*names: str) -> StepGraph:
    """A layer for each name, whose every tensor, node and state, and the model's input and output, are called so."""
    graph = StepGraph(properties={"snncc.steps": "4"})
    fed = graph.input(f"x{names[0]}", (1, 3))
    for name in names:
        weight = graph.constant(f"{name}.weight", np.ones((3, 3)))
        fed = graph.lif(name, graph.node("Gemm", [fed, weight], f"fc{name}", name=name), (3,))
    graph.output(fed)
    return graph


def snncc(*arguments: str | Path, environment: dict[str, str] | None = None) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments], env=environment)


def harmless(text: str, payloads: tuple[str, ...] = DRIVING) -> None:
    found = [each for each in payloads if each in text]
    assert not found, text


def harmless_files(folder: Path) -> None:
    for path in folder.rglob("*.*"):
        if path.suffix != ".bin":
            harmless(path.read_text(encoding="ascii"), DRIVING if path.suffix == ".json" else CODE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", x=np.ones((2, 4, 3), np.float32))
    return tmp_path


def test_names_stay_names(folder: Path) -> None:
    model = network(*NAMES.values()).save(folder)
    out = folder / "out"
    for environment in ({}, COLOURED):
        for command in (("check", model), ("compile", model, "-o", out), ("verify", out, "-i", folder / "data.npz")):
            done = snncc(*command, environment=environment)
            assert done.exit_code == 0, done.output
            harmless(done.output)
            assert environment or max(map(len, done.output.splitlines())) < 500
    harmless_files(out)
    assert len(json.loads((out / "reference/network.json").read_text())["ops"]) == 2 + 2 * len(NAMES)
    assert sorted(each.name for each in folder.iterdir()) == ["data.npz", "net.onnx", "out"]


@pytest.mark.parametrize("kind", [each for each in NAMES if each not in ("path", "long")])
def test_a_model_s_file_name_is_a_name_too(kind: str, folder: Path) -> None:
    model = network("a").save(folder, f"{NAMES[kind].replace('/', '')}.onnx")
    done = snncc("check", model, environment=COLOURED)
    assert done.exit_code == 0, done.output
    harmless(done.output)
    assert snncc("compile", model, "-o", folder / "out").exit_code == 0
    harmless_files(folder / "out")
    model.write_bytes(b"damaged")
    done = snncc("check", model, environment=COLOURED)
    assert done.exit_code == 1
    harmless(done.output)
    assert len(done.stderr.splitlines()) < 9


@pytest.mark.parametrize("kind", NAMES)
def test_a_diagnostic_is_one_diagnostic(kind: str, folder: Path) -> None:
    graph = network(NAMES[kind])
    graph.node("Softmax", [f"fc{NAMES[kind]}"], f"y{NAMES[kind]}", name=NAMES[kind])
    graph.output(f"y{NAMES[kind]}")
    done = snncc("check", graph.save(folder))
    assert done.exit_code == 1
    harmless(done.output)
    assert [line[:5] for line in done.stderr.splitlines()] == ["error", "  = h"]
    found = json.loads(snncc("check", folder / "net.onnx", "--json").stdout)
    assert len(found["diagnostics"]) == 1


def test_names_that_become_alike_stay_apart(folder: Path) -> None:
    graph = StepGraph(properties={"snncc.steps": "4"})
    fed = graph.input("x", (1, 3))
    weight = graph.constant("w", np.eye(3))
    for name in ("a b", "a_b", "a-b", "A_B", "a\nb"):
        fed = graph.lif(name, graph.node("Gemm", [fed, weight], f"fc {name}"), (3,))
    graph.output(fed)
    path = graph.save(folder)
    assert len(read_model(path).graph.ops) == 12
    assert snncc("compile", path, "-o", folder / "out").exit_code == 0
    assert snncc("verify", folder / "out", "-i", folder / "data.npz").exit_code == 0


@pytest.mark.parametrize("kind", NAMES)
def test_names_in_an_artefact_are_checked(kind: str, folder: Path) -> None:
    """A stranger's artefact may have any name in it; one that no frontend would give is refused, or harmless."""
    from .test_artefact import rewritten

    out = folder / "out"
    assert snncc("compile", network("a").save(folder), "-o", out).exit_code == 0
    text = (out / "reference/network.json").read_text()
    first = next(name for name, op in json.loads(text)["ops"].items() if op["kind"] == "Population")
    rewritten(out, text.replace(json.dumps(first), json.dumps(NAMES[kind])))
    record = ("--record", folder / "trace.npz", "--record-all")
    done = snncc("simulate", out, "-i", folder / "data.npz", *record, environment=COLOURED)
    harmless(done.output)
    assert done.exit_code == (0 if NAMES[kind].isprintable() and kind not in ("long", "path") else 2), done.output
