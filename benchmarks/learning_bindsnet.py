"""Lets BindsNET's Diehl and Cook network learn pictures, and prints the CPU seconds; learning.py runs it.

python learning_bindsnet.py PICTURES.npy NEURONS STEPS
"""

from __future__ import annotations

import sys
import time
import types
from typing import Any


class Absent(types.ModuleType):
    """Stands for a package that BindsNET imports for data sets and pictures, which are not used here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}") or type(name, (), {})


ABSENT = ("ale_py", "cv2", "gymnasium", "skimage", "skimage.transform", "torchvision", "torchvision.datasets")
for each in (*ABSENT, "torchvision.transforms", "torchvision.datasets.folder", "torchvision.utils"):
    sys.modules[each] = Absent(each)
    sys.modules[each].__path__ = []

import numpy as np  # noqa: E402  after the packages that stand for others
import torch  # noqa: E402  which have to be there first
from bindsnet.encoding import poisson  # noqa: E402  likewise
from bindsnet.models import DiehlAndCook2015  # noqa: E402  likewise


def main() -> None:
    path, neurons, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = DiehlAndCook2015(784, n_neurons=neurons, inpt_shape=(1, 28, 28))
    pictures = torch.from_numpy(np.load(path).astype(np.float32) / 255 * 250).view(-1, 1, 28, 28)
    learn(network, pictures[:2], steps)
    begun = time.process_time()
    learn(network, pictures, steps)
    print(time.process_time() - begun)


def learn(network: Any, pictures: Any, steps: int) -> None:
    """A white pixel spikes at 250 Hz: in a quarter of the steps of 1 ms."""
    for picture in pictures:
        spikes = poisson(picture, time=steps, dt=1.0)
        network.run(inputs={"X": spikes.view(steps, 1, 1, 28, 28)}, time=steps)
        network.reset_state_variables()


if __name__ == "__main__":
    main()
