"""Trains digits_resnet: a SpikingJelly residual net of IF, LIF and PLIF neurons on digits, exported by dynamo."""

from __future__ import annotations

import torch
from common import Data, Export, Parts, StepNet, advance, batches, decode, finish, make_repeatable, parser, unroll
from datasets import DIGITS, digits
from spikingjelly.activation_based.neuron import IFNode, LIFNode, ParametricLIFNode
from spikingjelly.activation_based.surrogate import ATan
from torch import Tensor, nn

STEPS = 8
HOW = Export("dynamo", 18, STEPS, "count", dynamic_batch=True)


class Net(StepNet):
    """Two stages of convolutions with batch norm; in each, the spikes skip one convolution and join its output."""

    state_names = ("v_stem", "v_res1", "v_conv3", "v_res2", "v_out")
    next_names = ("v_stem_next", "v_res1_next", "v_conv3_next", "v_res2_next", "v_out_next")
    state_shapes = ((16, 8, 8), (16, 8, 8), (32, 4, 4), (32, 4, 4), (10,))

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.neuron1 = IFNode(v_reset=None, surrogate_function=ATan(), detach_reset=True)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=True)
        self.bn2 = nn.BatchNorm2d(16)
        self.neuron2 = LIFNode(tau=2.0, v_reset=0.0, surrogate_function=ATan(), detach_reset=True)
        self.pool1 = nn.AvgPool2d(2)
        self.conv3 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(32)
        self.neuron3 = ParametricLIFNode(init_tau=2.0, v_reset=None, surrogate_function=ATan(), detach_reset=True)
        self.conv4 = nn.Conv2d(32, 32, 3, padding=1, bias=True)
        self.bn4 = nn.BatchNorm2d(32)
        self.neuron4 = LIFNode(
            tau=1.5, decay_input=False, v_reset=0.0, surrogate_function=ATan(), detach_reset=True
        )  # fmt: skip
        self.pool2 = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(32 * 2 * 2, 10)
        self.neuron5 = IFNode(v_reset=None, surrogate_function=ATan(), detach_reset=True)

    def neurons(self) -> dict[str, nn.Module]:
        return {f"neuron{i}": getattr(self, f"neuron{i}") for i in range(1, 6)}

    def stem(self, x: Tensor) -> Tensor:
        return self.bn1(self.conv1(x))

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        v1, v2, v3, v4, v5 = states
        s1, v1 = advance(self.neuron1, current, v1)
        s2, v2 = advance(self.neuron2, self.bn2(self.conv2(s1)) + s1, v2)
        s3, v3 = advance(self.neuron3, self.bn3(self.conv3(self.pool1(s2))), v3)
        s4, v4 = advance(self.neuron4, self.bn4(self.conv4(s3)) + s3, v4)
        s5, v5 = advance(self.neuron5, self.fc(self.flatten(self.pool2(s4))), v5)
        return s5, v1, v2, v3, v4, v5


def shifted(x: Tensor) -> Tensor:
    """Pixels with noise, so that 1,437 images do not run dry."""
    return (x + 0.1 * torch.randn_like(x)).clamp(0, 1)


def train(net: Net, data: Data, epochs: int) -> None:
    """Cross-entropy on the spike counts."""
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for batch in batches(data, 64):
            counts = decode(unroll(net, shifted(torch.from_numpy(batch.x)), STEPS), "count")
            loss = nn.functional.cross_entropy(counts, torch.from_numpy(batch.y), label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()


def main() -> None:
    args = parser(__doc__ or "", epochs=30)
    args.add_argument("--split", type=int, choices=range(5), default=0, help="fold held out for testing")
    options = args.parse_args()
    make_repeatable(options)
    data, test = (Data(part.x.reshape(-1, 1, 8, 8), part.y) for part in digits(options.split))
    net = Net()
    train(net, data, options.epochs)
    finish("digits_resnet", net, HOW, Parts(test, test, data.take(slice(0, 200)), DIGITS), options)


if __name__ == "__main__":
    main()
