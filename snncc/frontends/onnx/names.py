"""Short, unique, printable names for layers and populations, as close to the user's own as the file allows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from snncc.frontends.onnx.region import Node, Region

_LONGEST = 60
_GENERIC = re.compile(r"(states?|onnx|arg|input|val)?[_:.0-9]*$")  # what an exporter calls an input without a name


@dataclass(eq=False)
class Names:
    """The names given so far, and the next number for each that was taken."""

    taken: set[str] = field(default_factory=set[str])
    numbers: dict[str, int] = field(default_factory=dict[str, int])

    def give(self, candidates: Iterable[str], kind: str) -> str:
        """The first candidate that is free, else the first with a number; `kind` stands in for a missing name."""
        clean = [name for name in (_clean(each, kind) for each in candidates) if name] or [kind]
        for name in clean:
            if name not in self.taken:
                break
        else:
            number = self.numbers.get(clean[0], 2)
            while f"{clean[0]}_{number}" in self.taken:
                number += 1
            self.numbers[clean[0]] = number + 1
            name = f"{clean[0]}_{number}"
        self.taken.add(name)
        return name


def layer_names(node: Node, scopes: Mapping[str, str]) -> list[str]:
    """What a layer may be called: its module, its weight without `.weight`, or its node."""
    names = [_module(node, scopes)]
    names += [name.rpartition(".")[0] for name in node.inputs[1:2]]
    names.append(node.name.removeprefix("node_").rpartition("/")[2])
    return names


def population_names(region: Region, scopes: Mapping[str, str]) -> list[str]:
    """What a population may be called: the module of most of its nodes, the one of its parameters, or its state."""
    modules = Counter(_module(node, scopes) for node in region.nodes)
    owners = {name.rpartition(".")[0] for name in region.constants if "." in name and "/" not in name}
    names = [name for name, _ in modules.most_common()]
    names += list(owners) if len(owners) == 1 else []
    return names + [state for state, _ in region.states if not _GENERIC.match(state)]


def _module(node: Node, scopes: Mapping[str, str]) -> str:
    """`/layers/layers.0/lif/Sub` stems from layers.0.lif; the dynamo exporter writes the module beside the node."""
    if not node.name.startswith("/"):
        return scopes.get(node.outputs[0], "")
    parts: list[str] = []
    for part in node.name.split("/")[1:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        parts.append(part)
    return ".".join(parts)


def _clean(name: str, kind: str) -> str:
    short = re.sub(r"[^A-Za-z0-9_.]+", "_", name).strip("_.")[:_LONGEST]
    return kind + short if short[:1].isdigit() else short
