"""A small trace as a file holds it, taken from the example of SPEC.md with a time-reference event after it."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[4] / "shared" / "tinyodin" / "traces"
RECORDED = sorted(FOLDER.glob("*.json.gz"))


def plain() -> dict[str, Any]:
    """A sound trace, as JSON has it."""
    weights = np.zeros((256, 256), np.int8)
    weights[7, 0], weights[0, 1] = 2, 5
    zeros = [0] * 256
    return {
        "format": "tinyodin-trace-1",
        "name": "example",
        "kind": "tiny",
        "seed": 0,
        "note": "",
        "config": {"open_loop": 0, "aer_src_ctrl": 0, "max_neur": 1},
        "host": {"gap": 1, "drop": 1},
        "receiver": {"k": 1},
        "stop_cycle": None,
        "neurons": {"thr": [5] * 256, "leak": [0] * 256, "disable": [0] * 256, "v0": [3, *zeros[1:]]},
        "weights": {
            "encoding": "base64-int8",
            "shape": [256, 256],
            "order": "[pre][post]",
            "data": base64.b64encode(weights.tobytes()).decode(),
        },
        "in": {"addr": [7, 511], "not_before": [0, 60]},
        "expect": {
            "in_req": [0, 60],
            "in_ack": [4, 67],
            "in_ack_fall": [8, 71],
            "out_cycle": [11, 27],
            "out_addr": [0, 1],
            "pop_cycle": [9, 23, 37],
            "pop_word": [7, 0, 1],
            "idle_cycle": [42, 71],
            "end": "idle",
            "end_cycle": 71,
            "v_end": zeros,
            "checkpoints": [{"after_event": 0, "cycle": 8, "v": [3, *zeros[1:]]}],
        },
        "info": {"push": 1},
    }


def write(folder: Path, content: Any) -> Path:
    """The file `t.json.gz`."""
    path = folder / "t.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode(), compresslevel=1))
    return path


def put(content: Any, field: str, value: Any) -> None:
    """Set, or with `...` remove, the value at a path such as `expect.v_end.3`."""
    *parents, last = (int(key) if key.isdigit() else key for key in field.split("."))
    for key in parents:
        content = content[key]
    if value is ...:
        del content[last]
    else:
        content[last] = value
