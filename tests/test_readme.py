"""The README's commands and its Python, run as they stand there, with the snncc that is installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the models, in which `build/` may appear."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_command(clone: Path) -> None:
    """All but the installation, which continuous integration runs in an environment of its own."""
    (line,) = re.findall(r"^    pip install \. && (snncc .*)$", README, re.MULTILINE)
    command = re.sub(r"\bsnncc (?=compile|simulate|verify)", f"'{sys.executable}' -m snncc ", line)
    out = run(["bash", "-euc", command], clone)
    assert re.search(r"^accuracy +99\.17%$", out, re.MULTILINE)
    assert "equal: 360 samples" in out


def test_the_second_command_is_what_continuous_integration_runs() -> None:
    assert re.search(r'^    pip install -e "\.\[test\]" && pytest -n 2$', README, re.MULTILINE)
    assert run([str(ROOT / ".ci" / "readme"), "2"], ROOT) == 'pip install -e ".[test]" && pytest -n 2\n'


def test_the_python(clone: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    out = run([sys.executable, "-c", program], clone)
    assert re.match(r"0\.99\d+\nTrue\n$", out)
    assert (clone / "build" / "digits" / "network.c").exists()


def test_every_command_of_the_list_is_there() -> None:
    listed = re.findall(r"^    snncc (\w+) ", README, re.MULTILINE)
    known = run([sys.executable, "-m", "snncc", "--help"], ROOT)
    assert listed
    assert [name for name in listed if not re.search(rf"\b{name}\b", known)] == []
