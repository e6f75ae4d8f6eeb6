"""Regions written as short programs, `h = Mul(v, 0.9)`, with numbers and named arrays as float32 constants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snncc.frontends.onnx.region import Node, Region

_LINE = re.compile(r"(\w+)\s*=\s*(\w+)\((.*)\)$")


def region(
    text: str,
    states: Mapping[str, str] | None = None,
    streams: tuple[str, ...] = ("x",),
    exports: tuple[str, ...] = ("s",),
    shape: tuple[int, ...] = (3,),
    initial: Mapping[str, Any] | None = None,
    feedback: Mapping[str, str] | None = None,
    **constants: npt.ArrayLike,
) -> Region:
    """A region of the ops in `text`; by default `v1` is the next value of the state `v`."""
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    arrays = {name: each.astype(np.float32) if each.dtype == np.float64 else each for name, each in arrays.items()}
    nodes: list[Node] = []
    for line in filter(None, (line.strip() for line in re.split(r"[\n;]", text))):
        found = _LINE.match(line)
        assert found, line
        output, op, arguments = found.groups()
        inputs: list[str] = []
        attributes: dict[str, float | int] = {}
        for argument in (part.strip() for part in arguments.split(",")):
            if "=" in argument:
                key, value = argument.split("=")
                attributes[key.strip()] = int(value) if value.strip().lstrip("-").isdigit() else float(value)
            elif re.match(r"-?[\d.]", argument):
                arrays[argument] = np.asarray(float(argument), np.float32)
                inputs.append(argument)
            else:
                inputs.append(argument)
        nodes.append(Node(op, f"{op}_{len(nodes)}", tuple(inputs), (output,), attributes))
    pairs = tuple((states if states is not None else {"v": "v1"}).items())
    start = {name: np.asarray(value, np.float32) for name, value in (initial or {}).items()}
    return Region("cell", shape, tuple(nodes), streams, pairs, exports, arrays, start, feedback or {})
