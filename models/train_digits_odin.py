"""Trains digits_odin: integrate-and-fire neurons for an event-driven chip with 4-bit weights, exported by dynamo.

A chip like tinyODIN tests thresholds at every event, not once a step. So the net sees its images at several time
resolutions: the same spikes in 16 steps and in four times as many, where hardly two fall into one step. It then
depends little on which events share a step, and so on the order of those that do.
"""

from __future__ import annotations

import math

import torch
from common import Data, Export, Parts, StepNet, advance, batches, decode, finish, make_repeatable, parser, unroll
from datasets import DIGITS, digits
from spikingjelly.activation_based.neuron import IFNode
from spikingjelly.activation_based.surrogate import ATan
from torch import Tensor, nn
from torch.nn.utils import parametrize

STEPS = 16
SPIKES = 4  # of the brightest pixel
HIDDEN = 118
PRICE = 1e-3  # of one hidden spike, in the loss
HOW = Export("dynamo", 18, STEPS, "count")
GOLDEN = (math.sqrt(5) - 1) / 2


class FourBits(nn.Module):
    """Weights of -7..7 times a scale of each neuron's own; gradients pass as if there were no rounding."""

    def forward(self, weight: Tensor) -> Tensor:
        scale = weight.abs().amax(dim=1, keepdim=True) / 7
        return weight + (torch.round(weight / scale) * scale - weight).detach()


class Net(StepNet):
    """64 pixels that send spikes, 118 hidden and 10 output neurons without leak, all reset to zero."""

    state_names = ("v1", "v2")
    next_names = ("v1_next", "v2_next")
    state_shapes = ((HIDDEN,), (10,))
    static_input = False

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, HIDDEN, bias=False)
        self.if1 = IFNode(v_reset=0.0, surrogate_function=ATan(), detach_reset=True)
        self.fc2 = nn.Linear(HIDDEN, 10, bias=False)
        self.if2 = IFNode(v_reset=0.0, surrogate_function=ATan(), detach_reset=True)
        nn.init.normal_(self.fc1.weight, 0.02, 0.3)
        nn.init.normal_(self.fc2.weight, 0.02, 0.2)

    def neurons(self) -> dict[str, nn.Module]:
        return {"if1": self.if1, "if2": self.if2}

    def stem(self, x: Tensor) -> Tensor:
        return self.fc1(x)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        v1, v2 = states
        s1, v1 = advance(self.if1, current, v1)
        s2, v2 = advance(self.if2, self.fc2(s1), v2)
        return s2, v1, v2


def spikes(pixels: Tensor, steps: int, phase: Tensor) -> Tensor:
    """(images, steps, 64) spikes of pixels in 0..1: up to SPIKES each, evenly spaced, shifted by `phase` in 0..1."""
    count = torch.round(pixels * SPIKES)
    x = torch.zeros(len(pixels), steps, pixels.shape[1])
    for index in range(SPIKES):
        at = ((index + phase) / count.clamp(min=1) * steps).long().clamp(max=steps - 1)
        x.scatter_add_(1, at[:, None], (count > index).float()[:, None])
    return x.clamp(max=1)


def encoded(data: Data) -> Data:
    """The images as they are shipped: each pixel has a phase of its own, so that spikes spread over the steps."""
    pixels = torch.from_numpy(data.x)
    phase = (torch.arange(pixels.shape[1]) * GOLDEN % 1).expand_as(pixels)
    return Data(spikes(pixels, STEPS, phase).numpy(), data.y)


def train(net: Net, data: Data, epochs: int) -> None:
    """Cross-entropy on the spike counts, and a price on hidden spikes: each one costs the chip a sweep."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    fired: list[Tensor] = []
    hook = net.if1.register_forward_hook(lambda _, __, output: fired.append(output))
    for _ in range(epochs):
        for index, batch in enumerate(batches(data, 64)):
            pixels = torch.from_numpy(batch.x)
            pixels = (pixels + 0.1 * torch.randn_like(pixels)).clamp(0, 1)
            steps = STEPS if index % 2 else 4 * STEPS
            counts = decode(unroll(net, spikes(pixels, steps, torch.rand_like(pixels)), steps), "count")
            price = torch.stack(fired).sum() / len(counts)
            fired.clear()
            loss = nn.functional.cross_entropy(counts, torch.from_numpy(batch.y), label_smoothing=0.05) + PRICE * price
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    hook.remove()


def main() -> None:
    args = parser(__doc__ or "", epochs=150)
    args.add_argument("--split", type=int, choices=range(5), default=0, help="fold held out for testing")
    options = args.parse_args()
    make_repeatable(options)
    data, test = digits(options.split)
    net = Net()
    for layer in (net.fc1, net.fc2):
        parametrize.register_parametrization(layer, "weight", FourBits())
    train(net, data, options.epochs)
    for layer in (net.fc1, net.fc2):
        parametrize.remove_parametrizations(layer, "weight")
    test = encoded(test)
    finish("digits_odin", net, HOW, Parts(test, test, encoded(data.take(slice(0, 200))), DIGITS), options)


if __name__ == "__main__":
    main()
