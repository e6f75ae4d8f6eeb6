"""Weights fit a number of bytes with the least loss that samples show; what cannot be is said."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc import allocation
from snncc import chip as chips
from snncc.allocation import _alike, _chosen, _Tried, bytes_of, weight_bits
from snncc.cli import app
from snncc.diagnostics import CompileError
from snncc.estimation import estimate
from snncc.preparation import Choices

MODELS = Path(__file__).parents[1] / "models"
STOCK, SAMPLES = MODELS / "digits_stock.onnx", MODELS / "digits_stock.samples.npz"


def test_the_mixture_is_the_best_of_all_that_fit() -> None:
    rng = np.random.default_rng(3)
    widths = (8, 4, 2, "ternary")
    for _ in range(30):
        tried = {
            name: _Tried(
                widths,
                (0, *np.sort(-rng.integers(1, 60, 3))[::-1].tolist()),
                (0.0, *rng.random(3).tolist()),
            )
            for name in "abc"
        }
        most = int(rng.integers(40, 200))
        sums = [
            (sum(each.losses[k] for each, k in zip(tried.values(), at, strict=True)), at)
            for at in product(range(4), repeat=3)
            if 200 + sum(each.bytes[k] for each, k in zip(tried.values(), at, strict=True)) <= most
        ]
        found = _chosen(tried, 200, most)
        if found is None:
            assert not sums
            continue
        loss = sum(each.losses[widths.index(found.get(name, 8))] for name, each in tried.items())
        assert loss == pytest.approx(min(sums)[0])


@pytest.mark.parametrize(("text", "value"), [("100", 100), ("8KiB", 8192), ("1.5 kB", 1500), ("2MiB", 1 << 21)])
def test_sizes_have_units(text: str, value: int) -> None:
    assert bytes_of(text) == value


def test_the_weights_fit_and_are_as_compiled_by_hand() -> None:
    model, chip = snncc.import_model(STOCK), chips.load("mesh64")
    data = np.load(SAMPLES)["x"][:30]
    text = weight_bits(model, chip, Choices(), data, 4000)
    program = snncc.compile(model, "mesh64", samples=data, weight_bits=text)
    wide = estimate(snncc.compile(model, "mesh64", samples=data)).quantities["weights"]
    assert estimate(program).quantities["weights"] <= 4000 < wide
    assert weight_bits(model, chip, Choices(), data, int(wide)) == "8"


def test_an_estimate_is_of_the_weights_that_are_chosen(tmp_path: Path) -> None:
    samples = tmp_path / "few.npz"
    np.savez(samples, x=np.load(SAMPLES)["x"][:10])
    common = "-t", "mesh64", "--samples", str(samples)

    def said(*arguments: str) -> list[str]:
        done = CliRunner().invoke(app, ["estimate", str(STOCK), *common, *arguments])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    *found, chosen = said("--weight-bytes", "4000")
    bits = chosen.removeprefix("chosen for 4000: --weight-bits ")
    assert bits.startswith("8,")
    assert found == said("--weight-bits", bits)
    folder = CliRunner().invoke(app, ["estimate", str(tmp_path), "--weight-bytes", "5kB"])
    assert folder.exit_code == 2
    assert "--weight-bytes" in folder.stderr


def test_networks_that_lost_other_neurons_are_not_mixed() -> None:
    one, other = (snncc.compile(STOCK, "host", prune_neurons=share) for share in (0.25, 0.5))
    assert _alike(one.network, one.network, "lif1")
    assert not _alike(one.network, other.network, "lif1")
    assert not _alike(one.network, other.network, "lif2")


def said(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["compile", str(STOCK), "-o", "nowhere", *map(str, arguments)])
    assert done.exit_code == 2
    return done.stderr


def test_what_cannot_be_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said("--weight-bytes", "8KiB") == (
        "error[samples-needed]: --weight-bytes: what fewer bits lose is measured on samples, and there are none\n"
        "  = hint: give inputs from the training data: --samples FILE.npz\n"
    )
    assert said("--weight-bytes", "8 pages") == (
        "error[weight-bytes]: --weight-bytes: '8 pages' is no size\n"
        "  = hint: give bytes, or a number of kB, MB, KiB, MiB\n"
    )
    assert said("--weight-bytes", "9" * 400) == (
        f"error[weight-bytes]: --weight-bytes: '{'9' * 20}' is more than 1,125,899,906,842,624 bytes\n"
        "  = hint: leave it out: all fits\n"
    )
    assert said("--weight-bytes", "8KiB", "--weight-bits", "4", "--samples", SAMPLES) == (
        "error[bad-option]: --weight-bytes: is given beside --weight-bits, which it chooses\n"
        "  = hint: leave one of them out\n"
    )
    monkeypatch.setattr(allocation, "_WIDTHS", (4, "ternary"))
    with pytest.raises(CompileError) as found:
        weight_bits(snncc.import_model(STOCK), chips.load("mesh64"), Choices(), np.load(SAMPLES)["x"][:5], 100)
    assert str(found.value) == (
        "error[weight-bytes]: --weight-bytes: 100 bytes are too few: the fewest bits take 2,688 on mesh64\n"
        "  = hint: allow 2,688 bytes, or train a smaller network"
    )
