"""The zoo's networks, written as users of each framework write them: one step, and a whole sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import norse.torch as norse
import sinabs.activation as activation
import sinabs.layers as sinabs
import torch
from norse.torch.module.lif_refrac import LIFRefracCell
from spikingjelly.activation_based import functional, layer
from spikingjelly.activation_based import neuron as jelly
from torch import Tensor, nn

IN, HIDDEN, OUT = 4, 6, 3
Answer = tuple[Tensor, ...]


class Net(nn.Module):
    """`step` is one time step, (x, states...) -> (y, next states...); `sequence` starts by itself, one y per step."""

    x_shape: tuple[int, ...] = (IN,)
    state_shapes: tuple[tuple[int, ...], ...] = ((HIDDEN,), (OUT,))
    batch_first = False

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        raise NotImplementedError

    def start(self) -> Sequence[Any]:
        """What the framework itself takes for the first states."""
        return tuple(torch.zeros(1, *shape) for shape in self.state_shapes)

    def sequence(self, x: Tensor) -> Tensor:
        """x (steps, 1, ...) to y (steps, 1, ...)."""
        states, found = self.start(), []
        for frame in x:
            y, *states = self.step(frame, *states)
            found.append(y)
        return torch.stack(found)


def dense(inputs: int = IN, outputs: int = HIDDEN, scale: float = 2.0, bias: bool = True) -> nn.Linear:
    made = nn.Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        made.weight *= scale
        if bias:
            made.bias.abs_()
    return made


def spread(low: float, high: float, size: int = HIDDEN) -> Tensor:
    return torch.linspace(low, high, size)


# --- snnTorch -------------------------------------------------------------------------------------------------------


class SnnTorch(Net):
    """Two layers of any neuron whose states follow its spikes in the call and in the answer."""

    def __init__(self, hidden: nn.Module, out: nn.Module, counts: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = dense(), hidden, dense(HIDDEN, OUT), out
        self.counts = counts
        self.state_shapes = ((HIDDEN,),) * counts[0] + ((OUT,),) * counts[1]

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        first = self.counts[0]
        spikes, *hidden = self.lif1(self.fc1(x), *states[:first])
        y, *out = self.lif2(self.fc2(spikes), *states[first:])
        return (y, *hidden, *out)


class SnnTorchReadout(SnnTorch):
    """The membrane of the last layer is the answer; nothing reads its spikes."""

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        _, *rest = super().step(x, *states)
        return (rest[-1].clone(), *rest)


class SnnTorchRecurrent(SnnTorch):
    """Spikes fed back through weights; they are a state of the layer."""

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        spikes, membrane = self.lif1(self.fc1(x), states[0], states[1])
        y, out = self.lif2(self.fc2(spikes), states[2])
        return y, spikes, membrane, out


# --- SpikingJelly ---------------------------------------------------------------------------------------------------


def advance(neuron: Any, current: Tensor, v: Any) -> tuple[Tensor, Tensor]:
    neuron.v = v
    spikes = neuron(current)
    return spikes, neuron.v


class Jelly(Net):
    """Two layers; neurons keep their membrane themselves."""

    def __init__(self, hidden: nn.Module, out: nn.Module) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = dense(), hidden, dense(HIDDEN, OUT), out

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        spikes, v1 = advance(self.lif1, self.fc1(x), states[0])
        y, v2 = advance(self.lif2, self.fc2(spikes), states[1])
        return y, v1, v2

    def sequence(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        return torch.stack([self.lif2(self.fc2(self.lif1(self.fc1(frame)))) for frame in x])


class JellyMulti(Net):
    """All steps of a layer before the next layer: `step_mode="m"`."""

    def __init__(self, make: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.net = nn.Sequential(
            layer.Linear(IN, HIDDEN), make(step_mode="m"), layer.Linear(HIDDEN, OUT, bias=False), make(step_mode="m")
        )
        functional.set_step_mode(self.net, "m")
        with torch.no_grad():
            for each in self.net.parameters():
                each.mul_(4)

    def sequence(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        return self.net(x)


class JellyConv(Net):
    """A convolution, batch norm, max pooling of spikes, and a read-out of spikes."""

    x_shape = (1, 6, 6)
    state_shapes = ((3, 6, 6), (OUT,))

    def __init__(self, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
        self.lif1, self.pool = jelly.IFNode(v_reset=None), pool or nn.MaxPool2d(2)
        self.fc, self.lif2 = dense(27, OUT, 4), jelly.LIFNode(tau=2.0)

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        spikes, v1 = advance(self.lif1, self.bn(4 * self.conv(x)), states[0])
        y, v2 = advance(self.lif2, self.fc(self.pool(spikes).flatten(1)), states[1])
        return y, v1, v2

    def sequence(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        found = [self.lif1(self.bn(4 * self.conv(frame))) for frame in x]
        return torch.stack([self.lif2(self.fc(self.pool(each).flatten(1))) for each in found])


class JellySew(Net):
    """A block of SEW-ResNet: spikes g(s, x) with g one of ADD, AND, IAND, OR."""

    x_shape = (2, 4, 4)
    state_shapes = ((2, 4, 4), (2, 4, 4), (OUT,))

    def __init__(self, gate: str) -> None:
        super().__init__()
        self.gate = gate
        self.conv1, self.conv2 = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.sn1, self.sn2, self.sn3 = (jelly.IFNode(v_threshold=0.5) for _ in range(3))
        self.fc = dense(32, OUT, 4)

    def block(self, s: Tensor, x: Tensor) -> Tensor:
        if self.gate == "add":
            return s + x
        if self.gate == "and":
            return s * x
        if self.gate == "iand":
            return x * (1.0 - s)
        return s + x - s * x

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        first, v1 = advance(self.sn1, 2 * self.conv1(x), states[0])
        second, v2 = advance(self.sn2, 2 * self.conv2(first), states[1])
        y, v3 = advance(self.sn3, self.fc(self.block(second, first).flatten(1)), states[2])
        return y, v1, v2, v3


# --- Norse ----------------------------------------------------------------------------------------------------------


class Norse(Net):
    """Two layers; `fields` are the tensors of a neuron's state record."""

    def __init__(
        self, hidden: nn.Module, out: nn.Module, fields: tuple[str, ...] = ("v", "i"), make: Any = None
    ) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = dense(scale=12), hidden, dense(HIDDEN, OUT, 12), out
        with torch.no_grad():
            self.fc2.weight += 4
        self.fields, self.make = fields, make or norse.LIFFeedForwardState
        self.state_shapes = ((HIDDEN,),) * len(fields) + ((OUT,),) * len(fields)

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        n = len(self.fields)
        spikes, first = self.lif1(self.fc1(x), self.make(*states[:n]))
        y, second = self.lif2(self.fc2(spikes), self.make(*states[n:]))
        return (y, *(getattr(s, name) for s in (first, second) for name in self.fields))

    def sequence(self, x: Tensor) -> Tensor:
        s1 = s2 = None
        found = []
        for frame in x:
            spikes, s1 = self.lif1(self.fc1(frame), s1)
            y, s2 = self.lif2(self.fc2(spikes), s2)
            found.append(y)
        return torch.stack(found)


class NorseLayers(Net):
    """Norse's own modules over a whole sequence, with a read-out that integrates."""

    def __init__(self) -> None:
        super().__init__()
        self.net = norse.SequentialState(dense(scale=8), norse.LIF(), dense(HIDDEN, OUT, 8), norse.LI())

    def sequence(self, x: Tensor) -> Tensor:
        return self.net(x)[0]


class NorseRecurrent(Net):
    """A recurrent layer: its own spikes come back a step later."""

    state_shapes = ((HIDDEN,), (HIDDEN,), (HIDDEN,))

    def __init__(self) -> None:
        super().__init__()
        self.lif = norse.LIFRecurrentCell(IN, HIDDEN)
        with torch.no_grad():
            self.lif.input_weights *= 20
            self.lif.recurrent_weights *= 5

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        y, state = self.lif(x, norse.LIFState(*states))
        return y, state.z, state.v, state.i

    def sequence(self, x: Tensor) -> Tensor:
        state, found = None, []
        for frame in x:
            y, state = self.lif(frame, state)
            found.append(y)
        return torch.stack(found)


class NorseRefractory(Net):
    state_shapes = ((HIDDEN,), (HIDDEN,), (HIDDEN,))

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = dense(scale=12), LIFRefracCell()

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        v, i, rho = states
        state = norse.LIFRefracFeedForwardState(norse.LIFFeedForwardState(v, i), rho)
        y, after = self.lif(self.fc(x), state)
        return y, after.lif.v, after.lif.i, after.rho


# --- Sinabs ---------------------------------------------------------------------------------------------------------


class Sinabs(Net):
    """Sinabs' layers take (batch, steps, ...) and keep their states."""

    batch_first = True

    def __init__(self, hidden: nn.Module, out: nn.Module, scale: float = 2.0) -> None:
        super().__init__()
        self.net = nn.Sequential(dense(scale=scale), hidden, dense(HIDDEN, OUT, scale), out)
        self.neurons = (hidden, out)
        self.kept = [(n, name) for n in (0, 1) for name in self._names(self.neurons[n])]
        self.state_shapes = tuple(((HIDDEN,), (OUT,))[n] for n, _ in self.kept)

    def _names(self, neuron: nn.Module) -> list[str]:
        return [name for name, _ in neuron.named_buffers() if name in ("v_mem", "i_syn", "b")]

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        for (n, name), value in zip(self.kept, states, strict=True):
            self.neurons[n]._buffers[name] = value
        y = self.net(x[:, None])[:, 0]
        return (y, *(self.neurons[n]._buffers[name] for n, name in self.kept))

    def sequence(self, x: Tensor) -> Tensor:
        """x (1, steps, ...)."""
        for each, size in zip(self.neurons, (HIDDEN, OUT), strict=True):
            each.reset_states()
            for name, _ in each.named_buffers():
                if name in ("v_mem", "i_syn", "b", "spike_threshold") and not isinstance(
                    each._parameters.get(name), nn.Parameter
                ):
                    first = each.b0 if name == "spike_threshold" else torch.tensor(0.0)
                    each._buffers[name] = first.expand(1, size).clone()
        return self.net(x)


class SinabsSqueeze(Net):
    """The convolutional idiom: batch and time share the first axis."""

    x_shape = (1, 6, 6)

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1, bias=False), sinabs.IAFSqueeze(batch_size=1, min_v_mem=-1.0),
            sinabs.SumPool2d(2), nn.Flatten(), dense(27, OUT), sinabs.IAFSqueeze(batch_size=1),
        )  # fmt: skip
        with torch.no_grad():
            self.net[0].weight *= 3

    def sequence(self, x: Tensor) -> Tensor:
        """x (steps, 1, 6, 6) without a batch."""
        for each, shape in ((self.net[1], (1, 3, 6, 6)), (self.net[5], (1, OUT))):
            each.reset_states()
            each._buffers["v_mem"] = torch.zeros(shape)
        return self.net(x)


SINGLE = {"spike_fn": activation.SingleSpike}


# --- plain PyTorch --------------------------------------------------------------------------------------------------


class Plain(Net):
    """A neuron in three lines of torch, with an option for each thing that people vary."""

    def __init__(
        self, *, hard: bool = False, tensors: bool = False, strict: bool = True, readout: bool = False
    ) -> None:
        super().__init__()
        self.fc1, self.fc2 = dense(), dense(HIDDEN, OUT)
        self.hard, self.strict, self.readout = hard, strict, readout
        self.beta = nn.Parameter(spread(0.3, 0.95) if tensors else torch.tensor(0.85))
        self.theta = nn.Parameter(spread(0.6, 1.4) if tensors else torch.tensor(1.0))

    def neuron(self, current: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        v = self.beta * v + current
        spikes = (v > self.theta if self.strict else v >= self.theta).float()
        return spikes, v * (1 - spikes) if self.hard else v - self.theta * spikes

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        spikes, v1 = self.neuron(self.fc1(x), states[0])
        v2 = 0.9 * states[1] + self.fc2(spikes)
        if self.readout:
            return v2.clone(), v1, v2
        fired = (v2 > 0.8).float()
        return fired, v1, v2 - 0.8 * fired


class PlainAdaptive(Plain):
    """A threshold that jumps with each spike and decays."""

    state_shapes = ((HIDDEN,), (HIDDEN,), (OUT,))

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        v, a, out = states
        a = 0.9 * a
        v = self.beta * v + self.fc1(x)
        spikes = (v >= self.theta + a).float()
        out = 0.9 * out + self.fc2(spikes)
        return out.clone(), v - self.theta * spikes, a + 0.4 * spikes, out


class PlainStateless(Net):
    """Hidden units without a memory: binary activations, OR by max pooling, AND of two maps, then a LIF."""

    x_shape = (1, 6, 6)
    state_shapes = ((OUT,),)

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 3, padding=1)
        self.fc = dense(18, OUT)

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        one, other = (self.a(x) > 0.1).float(), (self.b(x) > -0.1).float()
        pooled = nn.functional.max_pool2d(one * other, 2)
        v = 0.9 * states[0] + self.fc(pooled.flatten(1))
        y = (v > 1).float()
        return y, v - y


class PlainStarted(Plain):
    """Membranes that start off zero, from values that were learned."""

    def __init__(self) -> None:
        super().__init__()
        self.v1, self.v2 = nn.Parameter(spread(-0.4, 0.9)[None]), nn.Parameter(torch.tensor([[0.3, -0.2, 0.5]]))

    def start(self) -> Sequence[Tensor]:
        return self.v1, self.v2


class PlainRecurrent(Net):
    """Hidden spikes come back through weights."""

    state_shapes = ((HIDDEN,), (HIDDEN,), (OUT,))

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.back, self.out = dense(), dense(HIDDEN, HIDDEN, bias=False), dense(HIDDEN, OUT)

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        spikes, v, out = states
        v = 0.8 * v * (1 - spikes) + self.fc(x) + self.back(spikes)
        spikes = (v > 1).float()
        out = 0.9 * out + self.out(spikes)
        return out.clone(), spikes, v, out


class PlainAttention(Net):
    """Spike-driven attention: a mask of spikes, summed over channels, gates the values."""

    x_shape = (2, 3)
    state_shapes = ((2, 3), (OUT,))

    def __init__(self) -> None:
        super().__init__()
        self.q, self.v, self.fc = dense(3, 3), dense(3, 3), dense(6, OUT)

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        v = 0.5 * states[0] + self.q(x)
        query = (v >= 0.5).float()
        mask = (query.sum(2, keepdim=True) >= 2).float()
        value = (self.v(x) > 0.2).float()
        out = 0.9 * states[1] + self.fc((mask * value).flatten(1))
        y = (out > 0.7).float()
        return y, v * (1 - query), out - 0.7 * y


class PlainListed(Net):
    """A loop that is scripted as it stands, and collects its spikes in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.out = dense(), dense(HIDDEN, OUT)

    def forward(self, x: Tensor) -> Tensor:
        v, w = torch.zeros(1, 6), torch.zeros(1, 3)  # HIDDEN, OUT: a script knows no globals
        found: list[Tensor] = []
        for t in range(x.size(0)):
            v = 0.9 * v + self.fc(x[t])
            spikes = (v > 1.0).float()
            v = v - spikes
            w = 0.8 * w + self.out(spikes)
            y = (w >= 1.0).float()
            w = w * (1.0 - y)
            found.append(y)
        return torch.stack(found)


class PlainRefractory(Net):
    """After a spike two steps of rest, counted down."""

    state_shapes = ((HIDDEN,), (HIDDEN,))

    def __init__(self) -> None:
        super().__init__()
        self.fc = dense()

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        v, left = states
        resting = left > 0
        v = torch.where(resting, v, 0.9 * v + self.fc(x))
        y = torch.logical_and(v > 1, ~resting).float()
        left = torch.where(y > 0, torch.full_like(left, 2.0), torch.clamp(left - 1, min=0.0))
        return y, v * (1 - y), left
