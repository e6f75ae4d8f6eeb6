"""N-MNIST recordings out of slayerPytorch's small set, as frames of a millisecond."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np

from snncc.arrays import Array

STEPS = 300


def nmnist(archive: Path, count: int) -> tuple[Array, Array]:
    """The first samples as spikes (samples, steps, polarity, y, x), and their labels.

    An event has five bytes: x, y, and 24 bits of which the first is the polarity and the others microseconds.
    Several events of a pixel within a millisecond count as one.
    """
    with ZipFile(archive) as files:
        lines = files.read("train1K.txt").decode().splitlines()[1 : count + 1]
        known = np.array([[int(each) for each in line.split()] for line in lines])
        x = np.zeros((count, STEPS, 2, 34, 34), np.uint8)
        for row, sample in enumerate(known[:, 0]):
            found = np.frombuffer(files.read(f"{sample}.bs2"), np.uint8).reshape(-1, 5).astype(np.int64)
            micros = ((found[:, 2] & 127) << 16) | (found[:, 3] << 8) | found[:, 4]
            seen = found[micros < STEPS * 1000]
            when = micros[micros < STEPS * 1000] // 1000
            x[row, when, seen[:, 2] >> 7, seen[:, 1], seen[:, 0]] = 1
    return x, known[:, 1]
