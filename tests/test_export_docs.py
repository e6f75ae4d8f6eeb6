"""The pages on exporting do as they are written what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snncc.frontends import read_model
from snncc.layers import Neuron

PYTHON = os.environ.get("SNNCC_EXPORT_PYTHON", sys.executable)  # with the training frameworks
PAGES = sorted((Path(__file__).parents[1] / "docs").glob("export-*.md"))


def code(page: Path) -> str:
    _, _, rest = page.read_text(encoding="utf-8").partition("```python\n")
    block, fence, _ = rest.partition("```")
    assert fence, f"{page.name} has no block of Python"
    return block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_one_short_block_of_python(page: Path) -> None:
    compile(code(page), page.name, "exec")
    assert code(page).count("\n") <= 24
    assert "model.onnx" in code(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_exports_is_read(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "export.py"
    script.write_text(code(page), encoding="utf-8")
    subprocess.run([PYTHON, script.name], cwd=tmp_path, check=True)
    assert read_model(tmp_path / "model.onnx").graph.of_kind(Neuron)
