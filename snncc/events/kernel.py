"""The loop over events in compiled code; imported at the first run, as numba takes long to load.

All arrays are int64 and no function keeps any: what changes is `v`, and what it says of itself.
"""

from __future__ import annotations

from snncc.arrays import Array
from snncc.jit import compiled


@compiled
def run_sample(
    weights: Array,
    threshold: Array,
    leak: Array,
    lowest: Array,
    highest: Array,
    order: Array,
    x: Array,
    v: Array,
    spikes: Array,
    membranes: Array,
    queue: Array,
    log: Array,
) -> tuple[int, int]:
    """One sample of `x` (steps, channels): how many words waited at most, and how many events there were.

    `v` (neurons,) is the membranes before and after. `spikes` and `membranes` (steps, neurons) are filled; `log`
    (events, 2) takes the step and the row of each event, as far as it reaches. `queue` holds the events that one
    event of the input starts, itself included; if there are more, the sample ends with -1 and the channel.
    """
    neurons = len(v)
    fullest, events = 0, 0
    for step in range(len(x)):
        for channel in order:
            if x[step, channel] == 0:
                continue
            queue[0] = neurons + channel
            head, tail = 0, 1
            while head < tail:
                row = queue[head]
                if events < len(log):
                    log[events, 0], log[events, 1] = step, row
                events += 1
                for n in range(neurons):
                    u = min(max(v[n] + weights[row, n], lowest[n]), highest[n])
                    if u >= threshold[n]:
                        u = 0
                        spikes[step, n] += 1
                        if tail == len(queue):
                            return -1, channel
                        queue[tail] = n
                        tail += 1
                    v[n] = u
                fullest = max(fullest, tail - head)
                head += 1
        for n in range(neurons):
            # Toward 0: a membrane below its threshold stays below it.
            v[n] = max(v[n] - leak[n], 0) if v[n] >= 0 else min(v[n] + leak[n], 0)
            membranes[step, n] = v[n]
    return fullest, events
