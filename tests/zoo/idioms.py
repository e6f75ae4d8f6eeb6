"""More networks of the zoo, as the frameworks' own tutorials write them: modules over a whole sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import norse.torch as norse
import onnx
import sinabs.layers as sinabs
import snntorch as snn
import torch
from onnx import TensorProto, helper
from sinabs.from_torch import from_model
from snntorch import utils
from spikingjelly.activation_based import functional
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan  # what torch.onnx exports as Scan

from .nets import HIDDEN, IN, OUT, Answer, Net, dense
from .wrap import DOMAIN


class Idiom(nn.Module):
    """A module that takes a whole sequence, like `example`; of any length where it is `open`."""

    shape: tuple[int, ...] = (5, 1, IN)
    open = False
    scripted = False

    @property
    def example(self) -> Tensor:
        return torch.zeros(self.shape)


def louder(module: nn.Module, scale: float) -> None:
    with torch.no_grad():
        for each in module.modules():
            if isinstance(each, (nn.Linear, nn.Conv2d)):
                each.weight *= scale
                if each.bias is not None:
                    each.bias.abs_()


READ_OUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "all": lambda y: y,
    "last": lambda y: y[-1],
    "max": lambda y: y.amax(0),
    "mean": lambda y: y.mean(0),
    "sum": lambda y: y.sum(0),
}


class Hidden(Idiom):
    """snnTorch's `init_hidden`: layers in a Sequential that keep their states, and `utils.reset`."""

    def __init__(self, *layers: nn.Module, shape: tuple[int, ...] = (5, 1, IN), scale: float = 3.0) -> None:
        super().__init__()
        self.net, self.shape = nn.Sequential(*layers), shape
        louder(self.net, scale)

    def forward(self, x: Tensor) -> Tensor:
        utils.reset(self.net)
        found = [self.net(frame) for frame in x]
        return torch.stack([each[0] if isinstance(each, tuple) else each for each in found])


def hidden_pair(first: nn.Module, last: nn.Module, **more: Any) -> Hidden:
    return Hidden(nn.Linear(IN, HIDDEN), first, nn.Linear(HIDDEN, OUT), last, **more)


def tutorial() -> Hidden:
    """A convolutional network of snnTorch's tutorials, its pool behind the neurons."""
    own = {"beta": 0.9, "init_hidden": True}
    body = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), snn.Leaky(**own), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout()
    return Hidden(*body, nn.Linear(27, OUT), snn.Leaky(**own, output=True), shape=(5, 1, 1, 8, 8))


class Recorded(Idiom):
    """Spikes and membranes of the last layer, both put out, of a batch."""

    def __init__(self, batch: int = 1) -> None:
        super().__init__()
        self.fc1, self.lif1 = dense(scale=3.0), snn.Leaky(0.9)
        self.fc2, self.lif2 = dense(HIDDEN, OUT, 3.0), snn.Leaky(0.8)
        self.shape = (5, batch, IN)

    def forward(self, x: Tensor) -> Answer:
        m1, m2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes: list[Tensor] = []
        membranes: list[Tensor] = []
        for frame in x:
            s1, m1 = self.lif1(self.fc1(frame), m1)
            s2, m2 = self.lif2(self.fc2(s1), m2)
            spikes.append(s2)
            membranes.append(m2)
        return torch.stack(spikes), torch.stack(membranes)


class CurrentReadOut(Idiom):
    """The answer is a current: a synaptic one, or what the last weights give without a neuron."""

    def __init__(self, how: str, *, synaptic: bool) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2 = dense(scale=3.0), snn.Leaky(0.9), dense(HIDDEN, OUT, 3.0)
        self.last = snn.Synaptic(0.7, 0.8, reset_mechanism="none") if synaptic else None
        self.how = READ_OUTS[how]

    def forward(self, x: Tensor) -> Tensor:
        membrane, found = self.lif1.init_leaky(), list[Tensor]()
        current, last = self.last.init_synaptic() if self.last is not None else (membrane, membrane)
        for frame in x:
            spikes, membrane = self.lif1(self.fc1(frame), membrane)
            sent = self.fc2(spikes)
            if self.last is not None:
                _, current, last = self.last(sent, current, last)
                sent = current
            found.append(sent)
        return self.how(torch.stack(found))


class Multi(Idiom):
    """SpikingJelly's layers, all steps of one before the next (mode m) or not (mode s); an image may be shown often."""

    def __init__(
        self,
        *layers: nn.Module,
        shape: tuple[int, ...] = (5, 1, IN),
        scale: float = 3.0,
        mode: str = "m",
        repeat: int = 0,
        how: str = "all",
    ) -> None:
        super().__init__()
        self.net, self.shape, self.mode, self.repeat = nn.Sequential(*layers), shape, mode, repeat
        self.how = READ_OUTS[how]
        functional.set_step_mode(self.net, mode)
        louder(self.net, scale)

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self.net)
        if self.repeat:
            x = x.unsqueeze(0).repeat(self.repeat, 1, 1, 1, 1)
        return self.how(self.net(x) if self.mode == "m" else torch.stack([self.net(frame) for frame in x]))


class Cells(Idiom):
    """A loop over Norse's cells; the last one may have its own weights."""

    def __init__(self, first: nn.Module, last: nn.Module, *, linear: bool = True, steps: int = 5) -> None:
        super().__init__()
        self.fc1, self.first = dense(scale=12.0), first
        self.fc2, self.last = dense(HIDDEN, OUT, 12.0) if linear else nn.Identity(), last
        self.shape = (steps, 1, IN)

    def forward(self, x: Tensor) -> Tensor:
        s1 = s2 = None
        found: list[Tensor] = []
        for frame in x:
            spikes, s1 = self.first(self.fc1(frame), s1)
            y, s2 = self.last(self.fc2(spikes), s2)
            found.append(y)
        return torch.stack(found)


class Modules(Idiom):
    """Norse's modules in a SequentialState."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.net = norse.SequentialState(*modules)
        louder(self.net, 12.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[0]


class Batched(Idiom):
    """Sinabs' layers over (batch, steps, ...); run once, so that their states have a shape."""

    def __init__(self, *layers: nn.Module, shape: tuple[int, ...] = (1, 5, IN), scale: float = 6.0) -> None:
        super().__init__()
        self.net, self.shape = nn.Sequential(*layers), shape
        louder(self.net, scale)
        with torch.no_grad():
            self.net(self.example)
        for each in self.net.modules():
            if isinstance(each, sinabs.StatefulLayer):
                each.reset_states()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def converted() -> Batched:
    """A network with ReLUs that Sinabs made spiking."""
    body = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, OUT), nn.ReLU()
    made = from_model(nn.Sequential(*body), batch_size=1, input_shape=(1, 8, 8)).spiking_model
    return Batched(*made, shape=(5, 1, 8, 8))


class Scanned(Idiom):
    """torch's own scan over a functional neuron; the first layer in every step, or hoisted out of the scan."""

    def __init__(self, *, hoisted: bool, image: bool = False, opened: bool = True, mean: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3) if image else dense(scale=3.0)
        self.size = 8 if image else HIDDEN
        self.last, self.hoisted, self.image, self.mean = dense(self.size, OUT, 3.0), hoisted, image, mean
        self.shape, self.open = (5, 1, 1, 4, 4) if image else (5, 1, IN), opened
        louder(self.first, 3.0 if image else 1.0)

    def current(self, x: Tensor) -> Tensor:
        return self.first(x).flatten(1) if self.image else self.first(x)

    def forward(self, x: Tensor) -> Tensor:
        given = self.current(x.flatten(0, 1)).unflatten(0, (x.shape[0], 1)) if self.hoisted else x

        def fire(v: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
            v = 0.9 * v + (frame if self.hoisted else self.current(frame))
            spikes = (v > 1).float()
            return v - spikes, spikes

        def step(states: tuple[Tensor, Tensor], frame: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
            v, spikes = fire(states[0], frame)
            w = 0.8 * states[1] + self.last(spikes)
            y = (w > 1).float()
            return (v, w * (1 - y)), y

        start = torch.zeros(1, self.size)
        if self.mean:  # the last layer too takes all steps at once
            return self.last(scan(fire, start, given, dim=0)[1]).mean(0)
        return scan(step, (start, torch.zeros(1, OUT)), given, dim=0)[1]


class Scripted(Idiom):
    """A scripted loop behind a layer that takes all steps at once, with the mean current as answer."""

    open = scripted = True
    example = torch.zeros(5, 1, IN)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = dense(scale=3.0), dense(HIDDEN, OUT)

    def forward(self, x: Tensor) -> Tensor:
        current, v = self.first(x), torch.zeros(1, 6)  # HIDDEN: a script knows no globals
        found: list[Tensor] = []
        for t in range(x.size(0)):
            v = 0.9 * v + current[t]
            spikes = (v > 1.0).float()
            v = v - spikes
            found.append(spikes)
        return self.last(torch.stack(found)).mean(0)


class Custom(Net):
    """A neuron that the dynamo exporter writes as one op of a domain of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = dense(), dense(HIDDEN, OUT)

    def neuron(self, x: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        kinds = (TensorProto.FLOAT, TensorProto.FLOAT)
        own = {"beta": 0.9, "threshold": 1.0}
        return tuple(
            torch.onnx.ops.symbolic_multi_out(
                f"{DOMAIN}::LIF", (x, v), own, dtypes=kinds, shapes=(x.shape, x.shape), version=1
            )
        )

    def step(self, x: Tensor, *states: Tensor) -> Answer:
        spikes, v1 = self.neuron(self.fc1(x), states[0])
        y, v2 = self.neuron(self.fc2(spikes), states[1])
        return y, v1, v2


def with_body(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the function that says what its op `LIF` computes."""
    beta, threshold = (helper.make_node("Constant", [], [name]) for name in ("beta", "threshold"))
    for node in (beta, threshold):
        node.attribute.add(name="value_float", ref_attr_name=node.output[0], type=onnx.AttributeProto.FLOAT)
    lines = [
        beta,
        threshold,
        helper.make_node("Mul", ["v", "beta"], ["kept"]),
        helper.make_node("Add", ["kept", "x"], ["now"]),
        helper.make_node("Greater", ["now", "threshold"], ["fired"]),
        helper.make_node("Cast", ["fired"], ["s"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["s", "threshold"], ["drop"]),
        helper.make_node("Sub", ["now", "drop"], ["next"]),
    ]
    standard = [each for each in model.opset_import if not each.domain]
    function = helper.make_function(DOMAIN, "LIF", ["x", "v"], ["s", "next"], lines, standard, ["beta", "threshold"])
    model.functions.append(function)
    return model
