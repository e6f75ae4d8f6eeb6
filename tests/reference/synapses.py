"""Lists the synapses of a linear map one at a time, by loops of its own, so that `linear` is checked as well."""

from __future__ import annotations

from collections.abc import Iterator

from snncc.linear import Conv, Dense, Lateral, LinearMap


def targets_of(linear: LinearMap, source: int) -> Iterator[tuple[int, int]]:
    """The target neuron and the weight of each synapse that one source neuron has."""
    if isinstance(linear, Dense):
        for target in range(linear.weight.shape[0]):
            yield target, int(linear.weight[target, source])
    elif isinstance(linear, Conv):
        yield from _conv_targets(linear, source)
    elif isinstance(linear, Lateral):
        yield from ((target, int(linear.weight[0])) for target in range(linear.size) if target != source)
    else:
        for place in range(int(linear.indptr[source]), int(linear.indptr[source + 1])):
            yield int(linear.targets[place]), int(linear.weight[place])


def _conv_targets(conv: Conv, source: int) -> Iterator[tuple[int, int]]:
    """ONNX Conv: y[o, r, c] = sum w[o, i, p, q] * x[first(o) + i, r * stride + p * dilation - pad, ...]."""
    _, height, width = conv.in_shape
    channel, y, x = source // (height * width), source // width % height, source % width
    out_channels, per_group, kernel_height, kernel_width = conv.weight.shape
    rows = _windows(y, height, kernel_height, conv.stride[0], conv.dilation[0], conv.padding[0], conv.padding[2])
    columns = _windows(x, width, kernel_width, conv.stride[1], conv.dilation[1], conv.padding[1], conv.padding[3])
    out_height = _count(height, kernel_height, conv.stride[0], conv.dilation[0], conv.padding[0] + conv.padding[2])
    out_width = _count(width, kernel_width, conv.stride[1], conv.dilation[1], conv.padding[1] + conv.padding[3])
    outs_per_group = out_channels // conv.groups
    group, inner = divmod(channel, per_group)
    for out in range(group * outs_per_group, (group + 1) * outs_per_group):
        for row, p in rows:
            for column, q in columns:
                yield (out * out_height + row) * out_width + column, int(conv.weight[out, inner, p, q])


def _count(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """How many window positions fit along one axis."""
    count, end = 0, (kernel - 1) * dilation
    while end < size + padding:
        count, end = count + 1, end + stride
    return count


def _windows(
    at: int, size: int, kernel: int, stride: int, dilation: int, before: int, after: int
) -> list[tuple[int, int]]:
    """The window positions along one axis that see the input at `at`, and with which element of the kernel."""
    return [
        (position, element)
        for position in range(_count(size, kernel, stride, dilation, before + after))
        for element in range(kernel)
        if position * stride + element * dilation - before == at
    ]
