"""The options and arguments of the command line, with what turns their texts into values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

if TYPE_CHECKING:
    from snncc.conversion import Conversion
    from snncc.layers import Decoder
    from snncc.mapping import Method

MOST_STEPS = 1_000_000
Model = Annotated[Path, typer.Argument(help="A trained network: an .onnx, .nir or .net file.", show_default=False)]
Target = Annotated[
    str, typer.Option("--target", "-t", help="A name that `snncc targets` lists, or a chip's TOML file.")
]
OwnTarget = Annotated[
    str | None,
    typer.Option(
        "--target", "-t", help="Of a model: a name that `snncc targets` lists, or a TOML file [default: host]."
    ),
]
Backend = Annotated[str | None, typer.Option(help="Another backend than the target's own.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Folder = Annotated[Path, typer.Argument(help="A folder that `snncc compile` wrote.", show_default=False)]
DataFile = Annotated[
    Path,
    typer.Option("--input", "-i", help="An .npz file: x, and y, lengths and reward if there are.", show_default=False),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Take the first N samples only.")]
Steps = Annotated[
    int | None,
    typer.Option("--steps", min=1, max=MOST_STEPS, help="Time steps of a static input [default: the model's]."),
]
FewerSteps = Annotated[
    str | None,
    typer.Option(
        "--steps",
        metavar="N|auto|auto:N",
        help="Time steps of a static input [default: the model's]; auto: as few as --loss allows on the samples, with "
        "neurons adapted to them, for any input; auto:N: N.",
    ),
]
Loss = Annotated[
    float | None,
    typer.Option(
        "--loss", metavar="POINTS", help="With --steps auto: points of accuracy that may be lost [default: 2]."
    ),
]
EarlyExit = Annotated[
    bool, typer.Option("--early-exit", help="End a sample once no step can change its class, by counted spikes.")
]
DecoderName = Annotated[
    str | None, typer.Option("--decoder", metavar="count|last|max|mean", help="How outputs over time become scores.")
]
LavaPython = Annotated[
    str | None,
    typer.Option("--lava-python", help="A Python 3.10 for Lava; one that has Lava is used as it is.", metavar="PATH"),
]
States = Annotated[
    list[str] | None,
    typer.Option("--state", metavar="IN=OUT", help="Pair a state input with its output; may be repeated."),
]

Learn = Annotated[
    list[str] | None,
    typer.Option(
        "--learn", metavar="LAYER=RULE", help="Let a layer learn, by a rule of rules/ or a .toml file; may be repeated."
    ),
]

Rate = Annotated[
    float | None,
    typer.Option(
        help="How likely the greatest static value spikes in a step, for a network that reads spikes "
        "[default: 0.25 if it learns].",
    ),
]
SpikeSeed = Annotated[int | None, typer.Option("--seed", help="Of the spikes that static values become [default: 0].")]

NirStyle = Annotated[
    str | None,
    typer.Option("--nir-style", metavar="NAME", help="Who wrote a .nir file, which leaves that open (docs/nir.md)."),
]
Dt = Annotated[float | None, typer.Option("--dt", help="Seconds of a time step of a .nir file.", metavar="SECONDS")]

Bits = Annotated[
    str | None,
    typer.Option(
        "--weight-bits",
        metavar="BITS[,NAME=BITS]",
        help="Bits of a weight, 2 to 8 or `ternary`; others for some synapses or populations: 4,fc2=8 "
        "[default: the chip's widest].",
    ),
]
StateBits = Annotated[
    str | None,
    typer.Option("--state-bits", metavar="BITS[,NAME=BITS]", help="The most bits of a state, of all or of some."),
]
DecayBits = Annotated[
    str | None,
    typer.Option("--decay-bits", metavar="BITS[,NAME=BITS]", help="The most bits of a decay's denominator."),
]
WeightBytes = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Choose the widths: all weights in 8KiB, say, with the least loss on samples."),
]
Prune = Annotated[
    str | None,
    typer.Option(
        "--prune",
        metavar="SHARE[,NAME=SHARE]",
        help="Leave out the weakest synapses, 0.75 of them, say; what is left is fitted to the samples.",
    ),
]
PruneNeurons = Annotated[
    str | None,
    typer.Option(
        "--prune-neurons",
        metavar="SHARE[,NAME=SHARE]",
        help="Leave out the weakest neurons of each population, or channels beside convolutions.",
    ),
]
RequireProof = Annotated[bool, typer.Option("--require-proof", help="Refuse a network whose registers may overflow.")]
Samples = Annotated[
    Path | None, typer.Option(help="Calibration data (.npz), from the training set: chooses the scales.")
]
StockOnly = Annotated[
    bool, typer.Option("--stock-only", help="Refuse neurons that need microcode on Loihi (backend lava).")
]
AllowHardReset = Annotated[
    bool, typer.Option("--allow-hard-reset", help="Reset to 0 where the model subtracts; prints what it costs.")
]
Partition = Annotated[
    str, typer.Option(metavar="auto|sequential", help="How to cut a network into the cores of a chip that has many.")
]
Record = Annotated[Path | None, typer.Option(help="Save the outputs of every step to this .npz file.")]
RecordAll = Annotated[bool, typer.Option("--record-all", help="Save every population's spikes and membranes as well.")]
Arduino = Annotated[bool, typer.Option("--arduino", help="Lay the folder out as a library for the Arduino IDE.")]
Explained = Annotated[
    Path | None,
    typer.Option("--model", help="With --report: the model it was compiled from; says where accuracy went."),
]
Trace = Annotated[Path | None, typer.Option(help="Write what cores and links do in the first sample, for Perfetto.")]
Profile = Annotated[
    bool, typer.Option("--profile", help="Say where a microcontroller's instructions go, layer by layer.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same cut into cores, and the same draws in learning.")]

Convert = Annotated[
    str | None, typer.Option("--convert", metavar="rate", help="Turn an ordinary network (ANN) into a spiking one.")
]
TargetAccuracy = Annotated[
    float | None,
    typer.Option("--target-accuracy", help="With --convert: as few steps as this share of right samples needs."),
]


def conversion(
    method: str | None, samples: Path | None, steps: int | None, target_accuracy: float | None
) -> Conversion | None:
    from snncc.conversion import Conversion

    if method is None and target_accuracy is not None:
        raise typer.BadParameter("needs --convert rate", param_hint="--target-accuracy")
    return None if method is None else Conversion(method, samples, steps, target_accuracy)


def pairs(given: list[str] | None, option: str = "--state", form: str = "IN=OUT") -> list[tuple[str, str]]:
    found = [tuple(each.split("=", 1)) for each in given or []]
    for pair in found:
        if len(pair) != 2 or not all(pair):
            raise typer.BadParameter(f"{'='.join(pair)!r} is not {form}", param_hint=option)
    return [(pair[0], pair[1]) for pair in found]


def taught(learn: list[str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(pairs(learn, "--learn", "LAYER=RULE"))


def whole(steps: str | None) -> int | None:
    """The number of steps where there is nothing to adapt to fewer."""
    if steps is None:
        return None
    digits = (steps.lstrip("0") or "0")[:8]
    if steps.isascii() and steps.isdigit() and 1 <= int(digits) <= MOST_STEPS:
        return int(digits)
    message = f"{steps!r} is no number of steps from 1 to {MOST_STEPS:,}; with --convert, --target-accuracy finds one"
    raise typer.BadParameter(message, param_hint="--steps")


def decoder_of(name: str | None) -> Decoder | None:
    from snncc.layers import Decoder

    if name is None or name in get_args(Decoder):
        return cast("Decoder | None", name)
    raise typer.BadParameter(f"{name!r} is none of count, last, max, mean", param_hint="--decoder")


def partition_of(name: str) -> Method:
    from snncc.mapping import Method

    if name in get_args(Method):
        return cast("Method", name)
    raise typer.BadParameter(f"{name!r} is none of {', '.join(get_args(Method))}", param_hint="--partition")


def only_for_folders(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value:
            raise typer.BadParameter("needs a compiled folder, which says where a program runs", param_hint=name)


def only_for_models(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value is not None and value is not False:
            raise typer.BadParameter("is fixed in a compiled folder; compile again to change it", param_hint=name)


def needs_samples(options: dict[str, Any], samples: Path | None) -> None:
    for name, value in options.items():
        if value is not None and samples is None:
            raise typer.BadParameter("is how --samples are read; there are none", param_hint=name)
