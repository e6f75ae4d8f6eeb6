"""The three data sets that the models are trained on, as arrays."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from common import Data, Origin
from numpy.typing import NDArray

DIGITS = Origin(
    "Optical Recognition of Handwritten Digits, test part (1,797 images of 8x8)",
    "scikit-learn load_digits; UCI Machine Learning Repository, Alpaydin and Kaynak 1998",
    "scikit-learn BSD-3-Clause; UCI data CC BY 4.0",
)
VOWELS = Origin(
    "JapaneseVowels (270 training and 370 test utterances, 12 LPC cepstrum coefficients)",
    "aeon package; UCI Machine Learning Repository, Kudo, Toyama and Shimbo 1999",
    "CC BY 4.0",
)
FASHION = Origin(
    "Fashion-MNIST (60,000 training and 10,000 test images of 28x28)",
    "Zalando Research; Debian package dataset-fashion-mnist",
    "MIT",
)
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # where the Debian package puts it


def digits(split: int) -> tuple[Data, Data]:
    """Training and test data of one of five stratified folds; pixels in [0, 1], images flat."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    raw = load_digits()
    data = Data((raw.data / 16).astype(np.float32), raw.target.astype(np.int64))
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(data.x, data.y)
    train, test = list(folds)[split]
    return data.take(train), data.take(test)


def vowels() -> tuple[Data, Data]:
    """Training and test utterances, (samples, 29 steps, 12), normalised by the training data, zero after their end."""
    from aeon.datasets import load_japanese_vowels

    sets = [load_japanese_vowels(split=split) for split in ("train", "test")]
    frames = np.concatenate([utterance.T for utterance in sets[0][0]])
    mean, deviation = frames.mean(0), frames.std(0)
    steps = max(utterance.shape[1] for utterances, _ in sets for utterance in utterances)

    def padded(utterances: list[NDArray[np.float64]], labels: NDArray[np.str_]) -> Data:
        x = np.zeros((len(utterances), steps, len(mean)), np.float32)
        for row, utterance in zip(x, utterances, strict=True):
            row[: utterance.shape[1]] = (utterance.T - mean) / deviation
        lengths = np.array([utterance.shape[1] for utterance in utterances], np.int64)
        return Data(x, labels.astype(np.int64) - 1, lengths)

    train, test = (padded(*part) for part in sets)
    return train, test


def fashion(folder: Path) -> tuple[Data, Data]:
    """All 60,000 training and 10,000 test images, (samples, 1, 28, 28), pixels in [0, 1]."""

    def read(name: str, offset: int) -> NDArray[np.uint8]:
        return np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=offset)

    def part(prefix: str) -> Data:
        images = read(f"{prefix}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
        labels = read(f"{prefix}-labels-idx1-ubyte.gz", 8)
        return Data(images.astype(np.float32) / 255, labels.astype(np.int64))

    return part("train"), part("t10k")
