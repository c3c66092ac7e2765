"""Convolution without columns: one inner loop over a table of taps.

Each image is copied into a frame of scratch memory, once for every column of the kernel, shifted by what that column
asks for, padding and stride included. In the frame the element that a tap meets moves by one when the output does, so
an image's outputs are one run whatever its width, and stride, dilation, padding and channels are nothing but the taps'
offsets. A tile of some output channels by some vectors of neighbouring outputs stays in registers while the taps pass.

im2col would copy every element once per tap, not once per column of taps, which costs more than the product that
follows; and without BLAS, threads over images cannot meet threads of its own.

Shapes are those of two spatial dimensions; one dimension is a height of 1.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from .jit import Array, jit
from .threads import parallel
from .vectors import (
    Positions,
    add_inner,
    add_inner_part,
    add_outer,
    lane_sums,
    move,
    replaced,
    tile,
    vector_lanes,
    write,
)  # fmt: skip

__all__ = ["conv", "conv_frame", "conv_transpose", "conv_weight_grad"]

Ints = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]

# Height of a tile -> vectors in it. Twelve sums and what streams by fit the 16 registers of AVX2 and keep two fused
# multiply-adds of latency four busy. Four fits the usual 16, 32, 64 channels, three the 6 of LeNet, one depthwise ones.
TILES = {4: 3, 3: 4, 1: 8}
WORK = 4_000_000  # multiplications in a chunk: below, waking a thread costs more than it saves
PLACES = 1024  # worth summing before lanes are added up
CACHE = 200_000  # bytes of scratch memory that a core's own cache holds beside the rest
CHUNKS = 16  # of a batch at most: each has its scratch memory, and its own sum of the weights' gradient


class Frame(NamedTuple):
    """How one image lies in scratch memory: [channel][kernel column][row % stride][row // stride][output column]."""

    shifts: Array  # where each kernel column starts in the image, perhaps before it
    stride: int  # of columns
    width: int  # columns of the output
    top: int  # rows of padding
    split: int  # stride of rows
    rows: int  # of a channel, padded, divided by split
    taps: Array  # (channels of one group * kernel rows * kernel columns,): what to add to an output's place


def frame(channels: int, size: Ints, tops: Array, shifts: Array, stride: Ints, out: Ints) -> Frame:
    """The frame where kernel row i starts at image row tops[i] and column j at shifts[j], for outputs of size out."""
    top = max(0, -int(tops.min(initial=0)))
    rows = max(size[0], int(tops.max(initial=0)) + stride[0] * (out[0] - 1) + 1) + top
    rows = -(-rows // stride[0])
    c, i, j = np.ogrid[:channels, : len(tops), : len(shifts)]
    row = tops[i] + top
    taps = (((c * len(shifts) + j) * stride[0] + row % stride[0]) * rows + row // stride[0]) * out[1]
    return Frame(shifts, stride[1], out[1], top, stride[0], rows, taps.ravel())


# --- compiled -----------------------------------------------------------------------------------------------------


@jit
def _fill(
    scratch: Array, origin: int, x: Array, n: int, shifts: Array, stride: int, width: int, top: int, split: int,
    rows: int,
) -> None:  # fmt: skip
    """Copy image n of x (N, C, H, W) into its frame; what is padding there is zero and stays so."""
    _, channels, image_rows, columns = x.shape
    source = x.ravel()  # one view: making one for every row would count its references in every row
    for c in range(channels):
        for k in range(shifts.size):
            shift = shifts[k]
            first = max(0, -(shift // stride))
            last = min(width, (columns - 1 - shift) // stride + 1)
            line, remainder = top // split, top % split
            start = (n * channels + c) * image_rows * columns + shift
            for _ in range(image_rows):
                target = origin + (remainder * rows + line) * width
                if stride > 1:
                    for j in range(first, last):
                        scratch[target + j] = source[start + j * stride]
                elif first < last:
                    move(scratch, target + first, source, start + first, last - first)
                start += columns
                remainder += 1
                if remainder == split:
                    line, remainder = line + 1, 0
            origin += split * rows * width


@jit
def _correlate(
    x: Array, layout: Ints, shifts: Array, taps: Array, weight: Array, bias: Array, out: Array, rows: Positions,
    columns: Positions,
) -> None:  # fmt: skip
    """out[n, o, p] = bias[o] + sum over taps k of weight[o, k] times what k meets at p."""
    stride, width, top, split, frame_rows = layout
    groups, blocks, _, height = weight.shape
    outputs, size, lanes = out.shape[1] // groups, out.shape[2], vector_lanes(x)
    channel = shifts.size * split * frame_rows * width
    scratch = np.zeros(x.shape[1] * channel + len(columns) * lanes, x.dtype)
    pitch = size + len(columns) * lanes
    buffer = np.empty(height * pitch, x.dtype)
    weight, factors = weight.ravel(), taps.size * height
    for n in range(x.shape[0]):
        _fill(scratch, 0, x, n, shifts, stride, width, top, split, frame_rows)
        for block in range(groups * blocks):
            group, first = block // blocks, block % blocks * height
            origin = group * (x.shape[1] // groups) * channel
            for place in range(0, size, len(columns) * lanes):
                source, target = columns, columns
                for v in range(len(columns)):
                    source = replaced(source, v, origin + place + v * lanes)
                    target = replaced(target, v, place + v * lanes)
                sums = tile(rows, columns, bias, block * height)
                for k in range(taps.size):
                    sums = add_outer(sums, weight, block * factors + k * height, scratch, source, taps[k])
                write(sums, buffer, target, pitch)
            for m in range(min(height, outputs - first)):
                move(out[n, group * outputs + first + m], 0, buffer, m * pitch, size)


@jit
def _correlate_gradients(
    g: Array, x: Array, layout: Ints, shifts: Array, taps: Array, out: Array, groups: int, rows: Positions,
    columns: Positions,
) -> None:  # fmt: skip
    """out[o, k] += sum over images n and places p of g[n, o, p] times what tap k meets at p."""
    stride, width, top, split, frame_rows = layout
    outputs, size, lanes = g.shape[1] // groups, g.shape[2], vector_lanes(x)
    height, count, whole = len(rows), len(columns), size - size % lanes
    channel = shifts.size * split * frame_rows * width
    frame_size, image_size = x.shape[1] * channel, g.shape[1] * size
    # Summing a tile's lanes costs as much as some hundred places: small images are taken several at once.
    several = max(1, min(x.shape[0], PLACES // size, CACHE // (frame_size * x.itemsize)))
    scratch = np.zeros(several * frame_size + lanes, x.dtype)
    images = np.zeros(several * image_size + lanes, g.dtype)
    zeros = np.zeros(height, g.dtype)
    for start in range(0, x.shape[0], several):
        stop = min(start + several, x.shape[0])
        for n in range(start, stop):
            _fill(scratch, (n - start) * frame_size, x, n, shifts, stride, width, top, split, frame_rows)
            move(images, (n - start) * image_size, g[n].ravel(), 0, image_size)
        for block in range(0, groups * outputs, outputs):
            origin = block // outputs * (x.shape[1] // groups) * channel
            for first in range(0, outputs, height):
                for m in range(height):
                    rows = replaced(rows, m, (block + min(first + m, outputs - 1)) * size)
                for k in range(0, taps.size, count):
                    for v in range(count):
                        columns = replaced(columns, v, origin + taps[min(k + v, taps.size - 1)])
                    sums = tile(rows, columns, zeros, 0)
                    for n in range(stop - start):
                        down, across = n * image_size, n * frame_size
                        for p in range(0, whole, lanes):
                            sums = add_inner(sums, images, rows, down + p, scratch, columns, across + p)
                        if whole < size:
                            down, across = down + whole, across + whole
                            sums = add_inner_part(sums, images, rows, down, scratch, columns, across, size - whole)
                    totals = lane_sums(sums)
                    for m in range(min(height, outputs - first)):
                        for v in range(min(count, taps.size - k)):
                            out[block + first + m, k + v] += totals[m * count + v]


# --- what the ops call --------------------------------------------------------------------------------------------


def _planes(x: Array) -> Array:
    """(N, C, [H,] W) as (N, C, H, W) without holes."""
    x = np.ascontiguousarray(x)
    return x[:, :, None] if x.ndim == 3 else x


@functools.lru_cache(256)
def _tile(outputs: int) -> tuple[Positions, Positions]:
    """The tile that wastes the fewest rows on this many channels."""
    height = min(TILES, key=lambda h: (-(-outputs // h) * h * (1 if h > 1 else 2), -h))
    return (0,) * height, (0,) * TILES[height]


def _packed(weight: Array, height: int) -> Array:
    """(groups, outputs, taps) -> (groups, blocks, taps, height): what a tile needs for one tap lies together."""
    groups, outputs, taps = weight.shape
    blocks = -(-outputs // height)
    if blocks * height > outputs:
        padded = np.zeros((groups, blocks * height, taps), weight.dtype)
        padded[:, :outputs] = weight
        weight = padded
    return weight.reshape(groups, blocks, height, taps).swapaxes(2, 3).copy()


def _grain(images: int, work: int) -> int:
    """Images in a chunk; their number depends on the sizes alone, and so does the order of every sum."""
    chunks = min(max(images * work // WORK, 1), CHUNKS)
    return max(-(-images // chunks), 1)


def _run(x: Array, weight: Array, bias: Array | None, at: Frame, out: Array) -> None:
    """Fill out (N, groups * outputs, places) with the weights (groups, outputs, taps) of all taps."""
    groups, outputs, taps = weight.shape
    rows, columns = _tile(outputs)
    packed = _packed(weight, len(rows))
    shift = np.zeros((groups, packed.shape[1] * len(rows)), x.dtype)
    if bias is not None:
        shift[:, :outputs] = bias.reshape(groups, outputs)
    layout, shift = at[1:6], shift.ravel()

    def run(start: int, stop: int) -> None:
        _correlate(x[start:stop], layout, at.shifts, at.taps, packed, shift, out[start:stop], rows, columns)

    parallel(run, len(x), _grain(len(x), out.shape[1] * taps * out.shape[2]))


@functools.lru_cache(256)
def conv_frame(
    channels: int, size: Ints, kernel: Ints, stride: Ints, padding: Padding, dilation: Ints
) -> tuple[Ints, Frame]:
    """The size of a convolution's output, and its frame."""
    out = tuple(
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    starts = [d * np.arange(k) - p[0] for k, p, d in zip(kernel, padding, dilation, strict=True)]
    if len(out) == 1:
        return out, frame(channels, (1, *size), np.arange(1), starts[0], (1, *stride), (1, *out))
    return out, frame(channels, size, starts[0], starts[1], stride, out)


def conv(
    x: Array, weight: Array, bias: Array | None, stride: Ints, padding: Padding, dilation: Ints, groups: int
) -> Array:
    """Cross-correlation of x (N, C, [H,] W) with weight (O, C / groups, [kh,] kw)."""
    size, at = conv_frame(x.shape[1] // groups, x.shape[2:], weight.shape[2:], stride, padding, dilation)
    out = np.empty((len(x), len(weight), *size), x.dtype)
    if out.size:
        weight = weight.reshape(groups, len(weight) // groups, -1)
        _run(_planes(x), weight, bias, at, out.reshape(*out.shape[:2], -1))
    return out


def conv_weight_grad(
    g: Array, x: Array, kernel: Ints, stride: Ints, padding: Padding, dilation: Ints, groups: int
) -> Array:
    """The gradient with respect to the weight of a convolution of x whose result has the gradient g."""
    outputs, channels = g.shape[1], x.shape[1] // groups
    _, at = conv_frame(channels, x.shape[2:], kernel, stride, padding, dilation)
    rows, columns = _tile(outputs // groups)
    taps, layout = at.taps.size, at[1:6]
    g, x = np.ascontiguousarray(g).reshape(*g.shape[:2], math.prod(g.shape[2:])), _planes(x)
    grain = _grain(len(x), outputs * taps * g.shape[2])
    parts = np.zeros((max(-(-len(x) // grain), 1), outputs, taps), x.dtype)

    def run(start: int, stop: int) -> None:
        part = parts[start // grain]
        _correlate_gradients(g[start:stop], x[start:stop], layout, at.shifts, at.taps, part, groups, rows, columns)

    if g.size:
        parallel(run, len(x), grain)
    weight: Array = parts[0] if len(parts) == 1 else parts.sum(axis=0)
    return weight.reshape(outputs, channels, *kernel)


def _reaching(size: int, kernel: int, stride: int, pad: int, dilation: int) -> list[tuple[Array, Array]]:
    """For outputs first, first + stride, ... of a transposed convolution: the taps that reach them, and from where."""
    taps = np.arange(kernel)
    found = []
    for first in range(min(size, stride)):
        distance = first + pad - dilation * taps
        chosen = taps[distance % stride == 0]
        found.append((chosen, distance[chosen] // stride))
    return found


@functools.lru_cache(256)
def _transposed_frames(
    channels: int, inputs: Ints, size: Ints, kernel: Ints, stride: Ints, padding: Padding, dilation: Ints
) -> list[tuple[Ints, Array, Frame]]:
    """For each class of outputs modulo the stride: its first, its taps among all of the kernel, its frame."""
    if len(size) == 1:
        inputs, size, kernel, stride = (1, *inputs), (1, *size), (1, *kernel), (1, *stride)
        padding, dilation = ((0, 0), *padding), (1, *dilation)
    rows, columns = (_reaching(size[d], kernel[d], stride[d], padding[d][0], dilation[d]) for d in (0, 1))
    found: list[tuple[Ints, Array, Frame]] = []
    for top, (i, tops) in enumerate(rows):
        for left, (j, shifts) in enumerate(columns):
            out = (len(range(top, size[0], stride[0])), len(range(left, size[1], stride[1])))
            at = frame(channels, inputs, tops, shifts, (1, 1), out)
            found.append(((top, left, *out), (i[:, None] * kernel[1] + j).ravel(), at))
    return found


def conv_transpose(
    x: Array, weight: Array, bias: Array | None, size: Ints, stride: Ints, padding: Padding, dilation: Ints, groups: int
) -> Array:
    """The transpose of the convolution with weight (C, O / groups, [kh,] kw), with results of this size.

    Outputs whose places are equal modulo the stride are one convolution with the taps that reach them: no zero is put
    between the inputs.
    """
    channels, outputs = x.shape[1] // groups, weight.shape[1]
    out = np.empty((len(x), groups * outputs, *size), x.dtype)
    frames = _transposed_frames(channels, x.shape[2:], size, weight.shape[2:], stride, padding, dilation)
    x, target = _planes(x), _planes(out)
    weight = weight.reshape(groups, channels, outputs, -1).swapaxes(1, 2)
    for (top, left, rows, columns), taps, at in frames:
        part = out if len(frames) == 1 else np.empty((*out.shape[:2], rows, columns), x.dtype)
        if part.size:
            chosen = weight if len(taps) == weight.shape[3] else weight[..., taps]
            _run(x, chosen.reshape(groups, outputs, -1), bias, at, part.reshape(*out.shape[:2], -1))
        if len(frames) > 1:
            target[:, :, top :: stride[0] if len(size) == 2 else 1, left :: stride[-1]] = part
    return out
