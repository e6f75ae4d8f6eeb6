"""Trains fashion_conv: a convolutional snnTorch net with hard reset on Fashion-MNIST, exported by dynamo."""

from __future__ import annotations

import time
from pathlib import Path

import snntorch as snn
import torch
from common import Data, Export, Parts, StepNet, batches, decode, finish, make_repeatable, parser
from datasets import FASHION, FASHION_FOLDER, fashion
from torch import Tensor, nn

STEPS = 4
HOW = Export("dynamo", 20, STEPS, "mean")


class Net(StepNet):
    """Two convolutions, each with batch norm and average pooling before its neurons; a leaky integrator reads out."""

    state_names = ("mem1", "mem2", "mem3", "mem4")
    next_names = ("mem1_out", "mem2_out", "mem3_out", "mem4_out")
    state_shapes = ((32, 14, 14), (64, 7, 7), (128,), (10,))

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.pool1 = nn.AvgPool2d(2)
        self.lif1 = snn.Leaky(beta=0.8, reset_mechanism="zero")
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.pool2 = nn.AvgPool2d(2)
        self.lif2 = snn.Leaky(beta=0.8, reset_mechanism="zero")
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(64 * 7 * 7, 128)
        self.lif3 = snn.Leaky(beta=0.8, reset_mechanism="zero")
        self.fc2 = nn.Linear(128, 10)
        self.lif4 = snn.Leaky(beta=0.9, reset_mechanism="none")

    def neurons(self) -> dict[str, nn.Module]:
        return {"lif1": self.lif1, "lif2": self.lif2, "lif3": self.lif3}

    def stem(self, x: Tensor) -> Tensor:
        return self.pool1(self.bn1(self.conv1(x)))

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        mem1, mem2, mem3, mem4 = states
        spk1, mem1 = self.lif1(current, mem1)
        spk2, mem2 = self.lif2(self.pool2(self.bn2(self.conv2(spk1))), mem2)
        spk3, mem3 = self.lif3(self.fc1(self.flatten(spk2)), mem3)
        _, mem4 = self.lif4(self.fc2(spk3), mem4)
        return mem4.clone(), mem1, mem2, mem3, mem4


def augmented(x: Tensor) -> Tensor:
    """Mirror half of the images, and move the batch by up to one pixel."""
    mirrored = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    right, down = torch.randint(-1, 2, (2,)).tolist()
    return mirrored.roll((down, right), (2, 3))


def over_time(neuron: snn.Leaky, currents: Tensor) -> list[Tensor]:
    """The spikes and the membrane of one layer at every step, each (steps, batch, ...)."""
    mem = torch.zeros_like(currents[0])
    answers: list[tuple[Tensor, Tensor]] = []
    for current in currents:
        spk, mem = neuron(current, mem)
        answers.append((spk, mem))
    return [torch.stack(part) for part in zip(*answers, strict=True)]


def layer_by_layer(net: Net, x: Tensor) -> Tensor:
    """What unrolling gives, but each layer runs all steps before the next.

    Batch norm then sees all steps at once. Step by step it would normalise each of them by itself, which it cannot
    do after training: that costs several points of accuracy.
    """

    def at_once(part: nn.Module, spikes: Tensor) -> Tensor:
        return part(spikes.flatten(0, 1)).unflatten(0, (STEPS, -1))

    spikes, _ = over_time(net.lif1, net.stem(x).expand(STEPS, -1, -1, -1, -1))
    spikes, _ = over_time(net.lif2, at_once(nn.Sequential(net.conv2, net.bn2, net.pool2), spikes))
    spikes, _ = over_time(net.lif3, at_once(nn.Sequential(net.flatten, net.fc1), spikes))
    _, membrane = over_time(net.lif4, at_once(net.fc2, spikes))
    return membrane


def train(net: Net, data: Data, epochs: int) -> None:
    """Cross-entropy on the mean membrane of the read-out."""
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    size = 128
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * (len(data.y) // size))
    for epoch in range(epochs):
        start, total = time.monotonic(), 0.0
        for batch in batches(data, size):
            scores = decode(layer_by_layer(net, augmented(torch.from_numpy(batch.x))), "mean")
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(batch.y))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        mean_loss = total / (len(data.y) // size)
        print(f"epoch {epoch + 1}: loss {mean_loss:.4f}, {time.monotonic() - start:.0f} s", flush=True)


def main() -> None:
    args = parser(__doc__ or "", epochs=10)
    args.add_argument("--data", type=Path, default=FASHION_FOLDER, help="folder of the four idx files")
    options = args.parse_args()
    make_repeatable(options)
    data, test = fashion(options.data)
    net = Net()
    train(net, data, options.epochs)
    kept, samples = test.take(slice(0, 300)), data.take(slice(0, 150))
    finish("fashion_conv", net, HOW, Parts(test, kept, samples, FASHION), options)


if __name__ == "__main__":
    main()
