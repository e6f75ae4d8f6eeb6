"""Trains vowels_rnn: a recurrent snnTorch net with Synaptic neurons on JapaneseVowels, exported by TorchScript."""

from __future__ import annotations

import snntorch as snn
import torch
from common import Data, Export, Parts, StepNet, batches, decode, finish, make_repeatable, parser, unroll
from datasets import VOWELS, vowels
from torch import Tensor, nn

STEPS = 29
HOW = Export("torchscript", 17, STEPS, "max")


class Net(StepNet):
    """A recurrent layer, all to all, then a layer with synaptic currents; a leaky integrator reads out."""

    static_input = False
    state_names = ("spk1", "mem1", "syn2", "mem2", "mem3")
    next_names = ("spk1_out", "mem1_out", "syn2_out", "mem2_out", "mem3_out")
    state_shapes = ((96,), (96,), (64,), (64,), (9,))

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(12, 96)
        self.rlif1 = snn.RLeaky(beta=0.85, linear_features=96, reset_mechanism="subtract")
        self.fc2 = nn.Linear(96, 64)
        self.syn2 = snn.Synaptic(alpha=0.6, beta=0.8, reset_mechanism="zero")
        self.fc3 = nn.Linear(64, 9)
        self.li3 = snn.Leaky(beta=0.9, reset_mechanism="none")

    def neurons(self) -> dict[str, nn.Module]:
        return {"rlif1": self.rlif1, "syn2": self.syn2}

    def stem(self, x: Tensor) -> Tensor:
        return self.fc1(x)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1, syn2, mem2, mem3 = states
        spk1, mem1 = self.rlif1(current, spk1, mem1)
        spk2, syn2, mem2 = self.syn2(self.fc2(spk1), syn2, mem2)
        _, mem3 = self.li3(self.fc3(spk2), mem3)
        return mem3, spk1, mem1, syn2, mem2, mem3


def train(net: Net, data: Data, epochs: int) -> None:
    """Cross-entropy on the highest membrane of the read-out; noise on the inputs, as there are only 270 utterances."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for batch in batches(data, 45):
            x = torch.from_numpy(batch.x)
            outputs = unroll(net, x + 0.3 * torch.randn_like(x), STEPS)
            scores = decode(outputs, HOW.decoder, torch.from_numpy(batch.lengths))
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(batch.y), label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
        schedule.step()


def main() -> None:
    options = parser(__doc__ or "", epochs=100).parse_args()
    make_repeatable(options)
    data, test = vowels()
    net = Net()
    train(net, data, options.epochs)
    finish("vowels_rnn", net, HOW, Parts(test, test, data.take(slice(0, None, 2)), VOWELS), options)


if __name__ == "__main__":
    main()
