"""Tiny untrained nets, each with one thing that a reader of step graphs has to get right."""

from __future__ import annotations

import snntorch as snn
import torch
from common import StepNet, advance
from spikingjelly.activation_based.neuron import IFNode, LIFNode, ParametricLIFNode
from torch import Tensor, nn
from torch.nn import functional

Batch = nn.BatchNorm1d | nn.BatchNorm2d


def unsettled(norm: Batch) -> Batch:
    """Batch norm with statistics of its own, as if it had been trained."""
    nn.init.uniform_(norm.running_mean, -0.3, 0.3)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.uniform_(norm.weight, 0.6, 1.4)
    nn.init.uniform_(norm.bias, -0.2, 0.4)
    return norm


class Tiny(StepNet):
    """A net without a stem of its own."""

    x_shape: tuple[int, ...]
    exporters: tuple[str, ...] = ("ts", "dyn")

    def stem(self, x: Tensor) -> Tensor:
        return x


class Conv1d(Tiny):
    """Conv1d, batch norm, average pooling, and a read-out that does not fire."""

    x_shape = (3, 12)
    state_names, next_names = ("mem1", "mem2"), ("mem1_next", "mem2_next")
    state_shapes = ((4, 12), (5,))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, padding=1, bias=False)
        self.bn = unsettled(nn.BatchNorm1d(4))
        self.lif = snn.Leaky(0.8, reset_mechanism="zero")
        self.pool = nn.AvgPool1d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(24, 5)
        self.li = snn.Leaky(0.9, reset_mechanism="none")

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk, mem1 = self.lif(self.bn(self.conv(current)), states[0])
        _, mem2 = self.li(self.fc(self.flatten(self.pool(spk))), states[1])
        return mem2.clone(), mem1, mem2


class Conv2d(Tiny):
    """Groups, stride, dilation, uneven kernels, and a pool whose border averages fewer values."""

    x_shape = (2, 9, 8)
    state_names, next_names = ("mem1", "mem2"), ("mem1_next", "mem2_next")
    state_shapes = ((4, 5, 4), (6, 3, 1))

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, (3, 3), stride=2, padding=1, groups=2)
        self.lif1 = snn.Leaky(0.8)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.conv2 = nn.Conv2d(4, 6, (3, 2), dilation=(1, 2), stride=(1, 2), bias=False)
        self.lif2 = snn.Leaky(0.7, threshold=0.2, reset_mechanism="zero")

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk, mem1 = self.lif1(2 * self.conv1(current), states[0])
        spk, mem2 = self.lif2(self.conv2(self.pool(spk)), states[1])
        return spk, mem1, mem2


class Residual(Tiny):
    """SpikingJelly: spikes that skip a convolution, then pooling as a sum."""

    x_shape = (1, 6, 6)
    exporters = ("dyn",)
    state_names, next_names = ("v1", "v2", "v3"), ("v1_next", "v2_next", "v3_next")
    state_shapes = ((4, 6, 6), (4, 6, 6), (5,))

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn1 = unsettled(nn.BatchNorm2d(4))
        self.neuron1 = IFNode(v_reset=None)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.bn2 = unsettled(nn.BatchNorm2d(4))
        self.neuron2 = LIFNode(tau=2.0, v_reset=0.0)
        self.fc = nn.Linear(36, 5)
        self.neuron3 = ParametricLIFNode(init_tau=1.5, v_threshold=0.25, v_reset=None)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        s1, v1 = advance(self.neuron1, self.bn1(self.conv1(current)), states[0])
        s2, v2 = advance(self.neuron2, self.bn2(self.conv2(s1)) + s1, states[1])
        s3, v3 = advance(self.neuron3, self.fc(torch.flatten(functional.avg_pool2d(s2, 2) * 4, 1)), states[2])
        return s3, v1, v2, v3


class SumPool(Tiny):
    """Pooling as a sum: an average times its area."""

    x_shape = (1, 6, 6)
    state_names, next_names = ("mem1", "mem2"), ("mem1_next", "mem2_next")
    state_shapes = ((2, 6, 6), (5,))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.lif1 = snn.Leaky(0.9, threshold=0.5)
        self.fc = nn.Linear(18, 5)
        self.lif2 = snn.Leaky(0.9)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk, mem1 = self.lif1(self.conv(current), states[0])
        spk, mem2 = self.lif2(self.fc((functional.avg_pool2d(spk, 2) * 4).flatten(1)), states[1])
        return spk, mem1, mem2


class MatMul(Tiny):
    """Linear maps without a bias: a bare product, and a Linear."""

    x_shape = (7,)
    state_names, next_names = ("mem1", "mem2"), ("mem1_next", "mem2_next")
    state_shapes = ((6,), (5,))

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7, 6) / 2)
        self.lif1 = snn.Leaky(0.9)
        self.fc = nn.Linear(6, 5, bias=False)
        self.lif2 = snn.Leaky(0.9, threshold=0.3)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk, mem1 = self.lif1(current @ self.weight, states[0])
        spk, mem2 = self.lif2(self.fc(spk), states[1])
        return spk, mem1, mem2


class Reshape(Tiny):
    """A flat input folded into an image, and spikes unfolded again."""

    x_shape = (12,)
    state_names, next_names = ("mem1", "mem2"), ("mem1_next", "mem2_next")
    state_shapes = ((2, 3, 4), (5,))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.lif1 = snn.Leaky(0.9, threshold=0.5)
        self.fc = nn.Linear(24, 5)
        self.lif2 = snn.Leaky(0.9, threshold=0.5)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk, mem1 = self.lif1(self.conv(current.reshape(-1, 1, 3, 4)), states[0])
        spk, mem2 = self.lif2(self.fc(spk.reshape(-1, 24)), states[1])
        return spk, mem1, mem2


class Recurrent(Tiny):
    """A recurrent Linear on the spikes of the step before, states of equal and of unequal shape, a read-out."""

    x_shape = (4,)
    state_names, next_names = ("spk", "syn", "mem", "out"), ("spk_next", "syn_next", "mem_next", "out_next")
    state_shapes = ((6,), (6,), (6,), (5,))

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 6)
        self.feedback = nn.Linear(6, 6, bias=False)
        self.hidden = snn.Synaptic(0.6, 0.8, reset_mechanism="zero")
        self.readout = nn.Linear(6, 5)
        self.li = snn.Leaky(0.9, reset_mechanism="none")

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk, syn, mem = self.hidden(self.fc(current) + self.feedback(states[0]), states[1], states[2])
        _, out = self.li(self.readout(spk), states[3])
        return out.clone(), spk, syn, mem, out


class LinearOutput(Tiny):
    """The output is a weighted sum of spikes, with no neuron behind it; two branches are concatenated before it."""

    x_shape = (4,)
    state_names, next_names = ("mem1", "mem2"), ("mem1_next", "mem2_next")
    state_shapes = ((3,), (4,))

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 3), nn.Linear(4, 4)
        self.lif1, self.lif2 = snn.Leaky(0.9, threshold=0.5), snn.Leaky(0.7, threshold=0.5, reset_mechanism="zero")
        self.out = nn.Linear(7, 5)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1 = self.lif1(self.fc1(current), states[0])
        spk2, mem2 = self.lif2(self.fc2(current), states[1])
        return self.out(torch.cat([spk1, spk2], 1)), mem1, mem2


class GlobalPool(Tiny):
    """A global average, written as a layer."""

    x_shape = (1, 4, 4)
    state_names, next_names = ("mem1", "mem2"), ("mem1_next", "mem2_next")
    state_shapes = ((6, 4, 4), (5,))

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.lif1 = snn.Leaky(0.9, threshold=0.3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 5)
        self.lif2 = snn.Leaky(0.9, threshold=0.3)

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        spk, mem1 = self.lif1(self.conv(current), states[0])
        spk, mem2 = self.lif2(self.fc(self.pool(spk).flatten(1)), states[1])
        return spk, mem1, mem2


class SameOutput(Tiny):
    """The membrane of the read-out returned as output and as state: dynamo then lists one graph output twice."""

    x_shape = (4,)
    state_names, next_names = ("mem",), ("mem_next",)
    state_shapes = ((5,),)

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 5)
        self.li = snn.Leaky(0.9, reset_mechanism="none")

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        _, mem = self.li(self.fc(current), states[0])
        return mem, mem


NETS: dict[str, type[Tiny]] = {
    "conv1d": Conv1d,
    "conv2d": Conv2d,
    "residual": Residual,
    "sum_pool": SumPool,
    "matmul": MatMul,
    "reshape": Reshape,
    "recurrent": Recurrent,
    "linear_output": LinearOutput,
    "global_pool": GlobalPool,
    "same_output": SameOutput,
}
