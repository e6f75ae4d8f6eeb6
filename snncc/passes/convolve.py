"""The product of two convolutions as one convolution, where that is exact."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Floats
from snncc.linear import Conv


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a convolution: tap k of output o reads input `o * stride + k * gap - before`."""

    size: int
    taps: int
    stride: int
    gap: int
    before: int
    after: int
    out: int


def axes(conv: Conv) -> tuple[Axis, Axis]:
    """The vertical and the horizontal axis."""
    top, left, bottom, right = conv.padding
    height, width = (
        Axis(conv.in_shape[1 + at], conv.weight.shape[2 + at], conv.stride[at], conv.dilation[at], *ends, out)
        for at, ends, out in ((0, (top, bottom), conv.out_shape[1]), (1, (left, right), conv.out_shape[2]))
    )
    return height, width


def convolution_after(outer: Conv, inner: Conv) -> Conv | None:
    """`outer` applied to the result of `inner`, or None where no single convolution does the same.

    Exact if every value that `outer` reads in its own padding, where it sees zero, is zero for an endless `inner`
    too: so a pool that drops a remainder cannot be joined with a padded convolution behind it.
    """
    if outer.in_shape != inner.out_shape:
        return None
    height, width = (_joined(far, near) for far, near in zip(axes(outer), axes(inner), strict=True))
    if height is None or width is None:
        return None
    return Conv(
        _kernel(outer, inner, height, width),
        inner.in_shape,
        (height.stride, width.stride),
        (height.before, width.before, height.after, width.after),
        (height.gap, width.gap),
        _groups(outer, inner),
    )


def joined_weights(outer: Conv, inner: Conv) -> int:
    """How many weights `convolution_after` holds, if there is one."""
    taps = ((far.taps - 1) * near.stride + near.taps for far, near in zip(axes(outer), axes(inner), strict=True))
    return outer.weight.shape[0] * (inner.in_shape[0] // _groups(outer, inner)) * math.prod(taps)


def _joined(outer: Axis, inner: Axis) -> Axis | None:
    read = np.arange(outer.out)[:, None] * outer.stride + np.arange(outer.taps) * outer.gap - outer.before
    padding = np.unique(read[(read < 0) | (read >= inner.out)])
    behind = padding[:, None] * inner.stride + np.arange(inner.taps) * inner.gap - inner.before
    if ((behind >= 0) & (behind < inner.size)).any():
        return None
    outer_gap = outer.gap * inner.stride
    gap = math.gcd(outer_gap if outer.taps > 1 else 0, inner.gap if inner.taps > 1 else 0) or 1
    taps = ((outer.taps - 1) * outer_gap + (inner.taps - 1) * inner.gap) // gap + 1
    stride = outer.stride * inner.stride
    before = outer.before * inner.stride + inner.before
    after = (outer.out - 1) * stride + (taps - 1) * gap + 1 - inner.size - before
    if after <= -stride:
        return None  # a convolution of the whole input would have more outputs
    return Axis(inner.size, taps, stride, gap, before, max(after, 0), outer.out)


def _groups(outer: Conv, inner: Conv) -> int:
    """Blocks of channels that stay apart in both."""
    if is_depthwise(inner):
        return outer.groups
    return inner.groups if is_depthwise(outer) else math.gcd(outer.groups, inner.groups)


def is_depthwise(conv: Conv) -> bool:
    """Whether each output channel reads the input channel of its own number, and no other."""
    return conv.groups == conv.in_shape[0] == len(conv.weight)


def _kernel(outer: Conv, inner: Conv, height: Axis, width: Axis) -> Floats:
    groups = _groups(outer, inner)
    result = np.zeros((len(outer.weight), inner.in_shape[0] // groups, height.taps, width.taps))
    steps_y, steps_x = inner.dilation[0] // height.gap or 1, inner.dilation[1] // width.gap or 1
    near_y, near_x = inner.weight.shape[2:]
    for tap_y, tap_x in np.ndindex(*outer.weight.shape[2:]):
        y = tap_y * outer.dilation[0] * inner.stride[0] // height.gap
        x = tap_x * outer.dilation[1] * inner.stride[1] // width.gap
        window = (
            slice(y, y + (near_y - 1) * steps_y + 1, steps_y),
            slice(x, x + (near_x - 1) * steps_x + 1, steps_x),
        )
        result[:, :, window[0], window[1]] += _mixed(outer, inner, groups, outer.weight[:, :, tap_y, tap_x])
    return result


def _mixed(outer: Conv, inner: Conv, groups: int, tap: Array) -> Floats:
    """One tap of `outer` times the whole kernel of `inner`: (out channels, in channels / groups, *inner kernel)."""
    tap, near = tap.astype(np.float64), inner.weight.astype(np.float64)
    if is_depthwise(inner):
        first = np.arange(len(tap)) // (len(tap) // groups) * tap.shape[1]
        channels = first[:, None] + np.arange(tap.shape[1])
        return tap[:, :, None, None] * near[channels, 0]
    if is_depthwise(outer):
        return tap[:, :, None, None] * near
    far = _blocks(tap[:, :, None, None], outer.groups, groups)[..., 0, 0]
    blocks = _blocks(near, inner.groups, groups)
    product = np.matmul(far, blocks.reshape(*blocks.shape[:2], -1))
    return product.reshape(len(tap), blocks.shape[2], *near.shape[2:])


def _blocks(weight: Array, groups: int, fewer: int) -> Array:
    """A grouped weight as (fewer, out / fewer, in / fewer, y, x), zero between groups that share a block."""
    merged = groups // fewer
    outs, ins = len(weight) // groups, weight.shape[1]
    result = np.zeros((fewer, merged, outs, merged, ins, *weight.shape[2:]), weight.dtype)
    own = weight.reshape(fewer, merged, outs, ins, *weight.shape[2:])
    for at in range(merged):
        result[:, at, :, at] = own[:, at]
    return result.reshape(fewer, merged * outs, merged * ins, *weight.shape[2:])
