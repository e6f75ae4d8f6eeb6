"""Spells out in C the calls of one population's synapses, and what has to be made ready for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncc.backends.c.names import text
from snncc.backends.c.plan import Link, Plan
from snncc.backends.c.widths import literal


@dataclass(frozen=True)
class Calls:
    """The calls of kernels that take a list of events; one that is still valid is not made again."""

    plan: Plan

    def synapse(self, link: Link, listed: str | None) -> tuple[Mapping[str, Any], str | None]:
        """What the template shows of a synapse, and which events are listed after it; `listed` are those before it."""
        sender, prepare = link.sender, list[str]()
        values = self.values(link)
        if link.own_delays:
            values = f"s->gathered_{sender.type.short}"
            ring = f"(const {sender.type.name} *)s->{sender.array}"
            numbers = f"{sender.size}, {sender.depth}, s->{sender.ident}_now, {link.delay}"
            function = f"gather_{sender.type.short}_{link.own_delays.type.short}"
            prepare.append(f"{function}({values}, {ring}, {numbers}, {link.own_delays.name});")
        key = f"{link.ident}:{values}" if link.own_delays else values
        if link.compiled.kernel.form == "lateral":
            key = listed
        elif key != listed:
            prepare += self.listing(link, values)
        comment = f"{text(link.name)}, from {text(self.sender_name(link))}"
        return {"prepare": prepare, "call": self.kernel(link, values), "comment": comment}, key

    def listing(self, link: Link, values: str) -> list[str]:
        """C that lists the events among what a sender sent."""
        return [f"count = find_events_{link.sender.type.short}({values}, {link.sender.size}, s->events);"]

    def values(self, link: Link) -> str:
        """C for what the sender sent; the input itself where nobody needs its past."""
        if link.sender is self.plan.senders[self.plan.source_name] and not self.plan.copied:
            return "x"
        return link.sender.at(link.delay)

    def sender_name(self, link: Link) -> str:
        delay = f" {link.delay} steps ago" if link.delay > 1 else " a step ago" if link.delay else ""
        return next(name for name, each in self.plan.senders.items() if each is link.sender) + delay

    def sums(self, link: Link) -> str:
        return f"s->sums.{self.plan.ident[self.plan.network.outgoing(link.name)[0].target]}_acc"

    def lateral(self, link: Link, values: str) -> str:
        """The call of a kernel that reads what was sent."""
        compiled = link.compiled
        arguments = [self.sums(link), literal(compiled.scale), values, str(compiled.targets)]
        return f"{compiled.kernel.name}({', '.join(arguments)});"

    def kernel(self, link: Link, values: str) -> str:
        """The call of the synapse's kernel."""
        compiled, tables = link.compiled, link.compiled.tables
        if compiled.kernel.form == "lateral":
            return self.lateral(link, values)
        if link.lesson:
            graded = f", {values}" if link.sender.graded else ""
            return f"add_plastic_{link.ident}(&s->learnt, {self.sums(link)}, s->events, count{graded});"
        arguments = {
            "rows": lambda: [tables["weight"].name, str(compiled.targets)],
            "targets": lambda: [tables[role].name for role in ("first", "target", "weight")],
            "walk": lambda: [f"&{link.ident}_walk", tables["weight"].name],
        }[compiled.kernel.form]()
        events = ["s->events", "count", *[values] * link.sender.graded]
        return f"{compiled.kernel.name}({', '.join([self.sums(link), *arguments, *events])});"
