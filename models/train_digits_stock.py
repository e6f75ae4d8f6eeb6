"""Trains digits_stock: two snnTorch Leaky layers whose neurons Loihi has of its own, exported by TorchScript.

One threshold and one decay a layer, hard resets to 0, and no biases: what Lava's LIF does, and nothing else. A first
layer without biases also lets a static image be given as biases, which is how it reaches Loihi 1.
"""

from __future__ import annotations

import snntorch as snn
import torch
from common import Data, Export, Parts, StepNet, batches, decode, finish, make_repeatable, parser, unroll
from datasets import DIGITS, digits
from torch import Tensor, nn

STEPS = 16
HOW = Export("torchscript", 17, STEPS, "count")


class Net(StepNet):
    """64 pixels, 96 hidden and 10 output neurons that are reset to 0."""

    state_names = ("mem1", "mem2")
    next_names = ("mem1_next", "mem2_next")
    state_shapes = ((96,), (10,))

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 96, bias=False)
        self.lif1 = snn.Leaky(beta=0.9, reset_mechanism="zero")
        self.fc2 = nn.Linear(96, 10, bias=False)
        self.lif2 = snn.Leaky(beta=0.9, reset_mechanism="zero")

    def neurons(self) -> dict[str, nn.Module]:
        return {"lif1": self.lif1, "lif2": self.lif2}

    def stem(self, x: Tensor) -> Tensor:
        return self.fc1(x)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        mem1, mem2 = states
        spk1, mem1 = self.lif1(current, mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


def train(net: Net, data: Data, epochs: int) -> None:
    """Cross-entropy on the spike counts; noise on the pixels against overfitting."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for batch in batches(data, 64):
            x = torch.from_numpy(batch.x)
            x = (x + 0.1 * torch.randn_like(x)).clamp(0, 1)
            counts = decode(unroll(net, x, STEPS), "count")
            loss = nn.functional.cross_entropy(counts, torch.from_numpy(batch.y), label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()


def main() -> None:
    args = parser(__doc__ or "", epochs=60)
    args.add_argument("--split", type=int, choices=range(5), default=0, help="fold held out for testing")
    options = args.parse_args()
    make_repeatable(options)
    data, test = digits(options.split)
    net = Net()
    train(net, data, options.epochs)
    finish("digits_stock", net, HOW, Parts(test, test, data.take(slice(0, 200)), DIGITS), options)


if __name__ == "__main__":
    main()
