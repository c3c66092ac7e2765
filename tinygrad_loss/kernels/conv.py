"""Convolution without columns: one inner loop over a table of taps.

Each image is copied into a frame of scratch memory, once for every column of the kernel, shifted by what that column
asks for, padding and stride included. In the frame the element that a tap meets moves by one when the output does, so
an image's outputs are one run whatever its width, and stride, dilation, padding and channels are nothing but the taps'
offsets. A tile of some output channels by some vectors of neighbouring outputs stays in registers while the taps pass.
The transpose, which is also the gradient, goes the same way back: products are added up in such a frame, and the
frame's copies of the image in the image.

im2col would copy every element once per tap, not once per column of taps, which costs more than the product that
follows; and without BLAS, threads over images cannot meet threads of its own.

Shapes are those of two spatial dimensions; one dimension is a height of 1.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from .jit import Array, inline, itemsize, jit
from .threads import parallel
from .vectors import (
    BYTES,
    Positions,
    add_inner,
    add_inner_part,
    add_outer,
    add_span,
    add_to,
    lane_sums,
    move,
    replaced,
    tile,
    vector_lanes,
    write,
)  # fmt: skip

__all__ = ["conv", "conv_transpose", "conv_weight_grad", "geometry"]

Ints = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]

# Height of a tile -> vectors in it. Twelve sums and what streams by fit the 16 registers of AVX2 and keep two fused
# multiply-adds of latency four busy. Four fits the usual 16, 32, 64 channels, three the 6 of LeNet, one depthwise ones.
TILES = {4: 3, 3: 4, 1: 8}
WORK = 2_000_000  # multiplications in a chunk: below, waking a thread costs more than it saves
PLACES = 1024  # worth summing before lanes are added up
CACHE = 200_000  # bytes of scratch memory that a core's own cache holds beside the rest
CHUNKS = 16  # of a batch at most: each has its scratch memory, and its own sum of the weights' gradient


class Geometry(NamedTuple):
    """A convolution of images with one weight, as the kernels see it.

    An image lies in scratch memory as [channel][kernel column][row % stride][row // stride][output column].
    """

    out: Ints  # size of the output
    image: Ints  # (N, C, H, W)
    places: Ints  # (N, O, the output's places)
    weight: Ints  # (groups, O / groups, taps)
    frame: Ints  # stride of columns, columns of the output, rows of padding, stride of rows, a channel's rows by that
    shifts: Array  # where each kernel column starts in the image, perhaps before it
    taps: Array  # (channels of one group * kernel rows * kernel columns,): what to add to an output's place
    grain: int  # images in a chunk


@functools.lru_cache(512)
def geometry(
    image: Ints, weight: Ints, stride: Ints, padding: Padding, dilation: Ints, groups: int, out: Ints = ()
) -> Geometry:
    """That of images (N, C, [H,] W) and a weight (O, C / groups, [kh,] kw); out is the whole output if not given."""
    (batch, channels, *size), (outputs, _, *kernel) = image, weight
    out = out or tuple(
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    # a single place takes no step, and the frame needs no room for one
    stride = tuple(s if m > 1 else 1 for s, m in zip(stride, out, strict=True))
    reach = (
        n + s * m + d * k + sum(p)
        for n, m, k, s, p, d in zip(size, out, kernel, stride, padding, dilation, strict=True)
    )
    if channels * math.prod(kernel) * math.prod(reach) >= 2**62:  # positions might overflow, and are not checked
        raise MemoryError(
            f"a convolution of images {list(image)} with stride={stride}, padding={padding} and dilation={dilation} "
            "needs more memory than can be addressed: write smaller ones"
        )
    rows, columns = (1, *size)[-2:]
    tops, shifts = (
        d * np.arange(k) - p[0]
        for k, p, d in zip((1, *kernel)[-2:], ((0, 0), *padding)[-2:], (1, *dilation)[-2:], strict=True)
    )
    split, step = (1, *stride)[-2:]
    tall, wide = (1, *out)[-2:]
    top = max(0, -int(tops.min(initial=0)))
    lines = -(-(max(rows, int(tops.max(initial=0)) + split * (tall - 1) + 1) + top) // split)
    c, i, j = np.ogrid[: channels // groups, : len(tops), : len(shifts)]
    row = tops[i] + top
    taps = ((((c * len(shifts) + j) * split + row % split) * lines + row // split) * wide).ravel()
    work = batch * outputs * taps.size * tall * wide
    # the number of chunks depends on the sizes alone, and so does the order of every sum
    grain = max(-(-batch // min(max(work // WORK, 1), CHUNKS)), 1)
    return Geometry(
        out,
        (batch, channels, rows, columns),
        (batch, outputs, tall * wide),
        (groups, outputs // groups, taps.size),
        (step, wide, top, split, lines),
        shifts,
        taps,
        grain,
    )


# --- compiled -----------------------------------------------------------------------------------------------------


@inline
def _neighbours(columns: Positions, start: int, lanes: int) -> Positions:
    """The positions of a row of vectors side by side."""
    for v in range(len(columns)):
        columns = replaced(columns, v, start + v * lanes)
    return columns


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
def _collect(
    scratch: Array, origin: int, bias: Array, out: Array, n: int, shifts: Array, stride: int, width: int, top: int,
    split: int, rows: int, columns: Positions,
) -> None:  # fmt: skip
    """Image n of out (N, C, H, W) = bias + what its frame holds, added up: the transpose of `_fill`.

    From the last kernel column to the first, since that meets the inputs in their order: rounding then follows other
    libraries' longest (one network's losses equal PyTorch's to 2e-7 for 150 steps, not for 50).
    """
    _, channels, image_rows, image_columns = out.shape
    target, lanes = out.ravel(), vector_lanes(scratch)
    span = len(columns) * lanes
    buffer = np.empty(span, out.dtype)
    columns = _neighbours(columns, 0, lanes)
    for c in range(channels):
        for row in range(image_rows):
            line, remainder = (row + top) // split, (row + top) % split
            source = origin + (remainder * rows + line) * width
            start = ((n * channels + c) * image_rows + row) * image_columns
            if stride > 1:
                for j in range(image_columns):
                    target[start + j] = bias[c]
                for k in range(shifts.size - 1, -1, -1):
                    shift = shifts[k]
                    for j in range(max(0, -(shift // stride)), min(width, (image_columns - 1 - shift) // stride + 1)):
                        target[start + shift + j * stride] += scratch[source + k * split * rows * width + j]
                continue
            for place in range(0, image_columns, span):
                sums = tile((0,), columns, bias, c)
                for k in range(shifts.size - 1, -1, -1):
                    first, last = shifts[k] - place, shifts[k] - place + width
                    if first < span and last > 0:
                        sums = add_span(sums, scratch, columns, source + k * split * rows * width - first, first, last)
                write(sums, buffer, columns, 0)
                move(target, start + place, buffer, 0, min(span, image_columns - place))
        origin += shifts.size * split * rows * width


@jit
def _correlate(
    x: Array, start: int, stop: int, frame: Ints, shifts: Array, taps: Array, weight: Array, bias: Array, out: Array,
    rows: Positions, columns: Positions,
) -> None:  # fmt: skip
    """out[n, o, p] = bias[o] + sum over taps k of weight[o, k] times what k meets at p, for images start to stop."""
    stride, width, top, split, frame_rows = frame
    groups, outputs, _ = weight.shape
    size, lanes, height = out.shape[2], vector_lanes(x), len(rows)
    channel = shifts.size * split * frame_rows * width
    scratch = np.zeros(x.shape[1] * channel + len(columns) * lanes, x.dtype)
    pitch = size + len(columns) * lanes
    buffer = np.empty(height * pitch, x.dtype)
    blocks, factors = -(-outputs // height), taps.size * height
    # (groups, blocks, taps, height): what a tile needs for one tap lies together
    packed, shift = np.zeros(groups * blocks * factors, x.dtype), np.zeros(groups * blocks * height, x.dtype)
    for group in range(groups):
        for o in range(outputs):
            at = (group * blocks + o // height) * factors + o % height
            for k in range(taps.size):
                packed[at + k * height] = weight[group, o, k]
            shift[group * blocks * height + o] = bias[group * outputs + o]
    for n in range(start, stop):
        _fill(scratch, 0, x, n, shifts, stride, width, top, split, frame_rows)
        for block in range(groups * blocks):
            group, first = block // blocks, block % blocks * height
            origin = group * (x.shape[1] // groups) * channel
            for place in range(0, size, len(columns) * lanes):
                source = _neighbours(columns, origin + place, lanes)
                sums = tile(rows, columns, shift, block * height)
                for k in range(taps.size):
                    sums = add_outer(sums, packed, block * factors + k * height, scratch, source, taps[k])
                write(sums, buffer, _neighbours(columns, place, lanes), pitch)
            for m in range(min(height, outputs - first)):
                move(out[n, group * outputs + first + m], 0, buffer, m * pitch, size)


@jit
def _correlate_transposed(
    g: Array, start: int, stop: int, frame: Ints, shifts: Array, taps: Array, weight: Array, bias: Array, out: Array,
    rows: Positions, columns: Positions,
) -> None:  # fmt: skip
    """out[n] = bias, plus g[n, o, p] weight[o, k] wherever tap k meets place p, for images start to stop."""
    stride, width, top, split, frame_rows = frame
    groups, outputs, _ = weight.shape
    size, lanes, height = g.shape[2], vector_lanes(g), len(rows)
    channel = shifts.size * split * frame_rows * width
    span = len(columns) * lanes
    # A margin on both sides of the frame: `_collect` loads whole vectors, and tiles reach over. Beyond it is where the
    # last tile adds for taps that there are not.
    nowhere = span + out.shape[1] * channel + span
    scratch = np.empty(nowhere + size + span, g.dtype)
    pitch = size + span
    image, zeros = np.zeros(g.shape[1] * pitch, g.dtype), np.zeros(height, g.dtype)
    factors = np.zeros(weight.size + height, g.dtype)
    factors[: weight.size] = weight.ravel()
    for n in range(start, stop):
        scratch[:] = 0
        for o in range(g.shape[1]):
            move(image, o * pitch, g[n, o], 0, size)
        for group in range(groups):
            origin = span + group * (out.shape[1] // groups) * channel
            for first in range(0, taps.size, height):
                for m in range(height):
                    rows = replaced(rows, m, origin + taps[first + m] if first + m < taps.size else nowhere)
                for place in range(0, size, span):
                    source = _neighbours(columns, group * outputs * pitch + place, lanes)
                    sums = tile(rows, columns, zeros, 0)
                    for o in range(outputs):
                        at = (group * outputs + o) * taps.size + first
                        sums = add_outer(sums, factors, at, image, source, o * pitch)
                    add_to(sums, scratch, rows, _neighbours(columns, place, lanes), size - place)
        _collect(scratch, span, bias, out, n, shifts, stride, width, top, split, frame_rows, columns)


@jit
def _correlate_gradients(
    g: Array, x: Array, begin: int, end: int, frame: Ints, shifts: Array, taps: Array, out: Array, groups: int,
    rows: Positions, columns: Positions,
) -> None:  # fmt: skip
    """out[o, k] += sum over images n, begin to end, and places p of g[n, o, p] times what tap k meets at p."""
    stride, width, top, split, frame_rows = frame
    outputs, size, lanes = g.shape[1] // groups, g.shape[2], vector_lanes(x)
    height, count, whole = len(rows), len(columns), size - size % lanes
    channel = shifts.size * split * frame_rows * width
    frame_size, image_size = x.shape[1] * channel, g.shape[1] * size
    # Summing a tile's lanes costs as much as some hundred places: small images are taken several at once.
    several = max(1, min(end - begin, PLACES // size, CACHE // (frame_size * itemsize(x))))
    scratch = np.zeros(several * frame_size + lanes, x.dtype)
    images = np.zeros(several * image_size + lanes, g.dtype)
    zeros = np.zeros(height, g.dtype)
    for start in range(begin, end, several):
        stop = min(start + several, end)
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


@functools.lru_cache(256)
def _tile(height: int, width: int, lanes: int) -> tuple[Positions, Positions]:
    """The tile that wastes the least on so many rows by so many columns, which it takes by vectors of lanes."""

    def cost(rows: int) -> tuple[int, int]:
        across = TILES[rows] * lanes
        return -(-height // rows) * rows * -(-width // across) * across * (1 if rows > 1 else 2), -rows

    rows = min(TILES, key=cost)
    return (0,) * rows, (0,) * TILES[rows]


def _shift(bias: Array | None, out: Array) -> Array:
    """A bias for each channel of the result."""
    return np.zeros(out.shape[1], out.dtype) if bias is None else np.ascontiguousarray(bias)


def conv(
    x: Array, weight: Array, bias: Array | None, stride: Ints, padding: Padding, dilation: Ints, groups: int
) -> Array:
    """Cross-correlation of x (N, C, [H,] W) with weight (O, C / groups, [kh,] kw)."""
    shapes = geometry(x.shape, weight.shape, stride, padding, dilation, groups)
    out = np.empty(shapes.places[:2] + shapes.out, x.dtype)
    if not out.size:
        return out
    source, target = np.ascontiguousarray(x).reshape(shapes.image), out.reshape(shapes.places)
    w, shift = np.ascontiguousarray(weight).reshape(shapes.weight), _shift(bias, out)
    rows, columns = _tile(shapes.weight[1], shapes.places[2], BYTES // x.itemsize)

    def run(start: int, stop: int) -> None:
        _correlate(source, start, stop, shapes.frame, shapes.shifts, shapes.taps, w, shift, target, rows, columns)

    parallel(run, len(x), shapes.grain)
    return out


def conv_transpose(
    x: Array, weight: Array, bias: Array | None, size: Ints, stride: Ints, padding: Padding, dilation: Ints, groups: int
) -> Array:
    """The transpose of the convolution with weight (C, O / groups, [kh,] kw), with results of this size."""
    out = np.empty((len(x), groups * weight.shape[1], *size), x.dtype)
    if not out.size:
        return out
    shapes = geometry(out.shape, weight.shape, stride, padding, dilation, groups, x.shape[2:])
    source, target = np.ascontiguousarray(x).reshape(shapes.places), out.reshape(shapes.image)
    w, shift = np.ascontiguousarray(weight).reshape(shapes.weight), _shift(bias, out)
    rows, columns = _tile(shapes.weight[2], shapes.places[2], BYTES // x.itemsize)

    def run(start: int, stop: int) -> None:
        _correlate_transposed(
            source, start, stop, shapes.frame, shapes.shifts, shapes.taps, w, shift, target, rows, columns
        )

    parallel(run, len(x), shapes.grain)
    return out


def conv_weight_grad(
    g: Array, x: Array, kernel: Ints, stride: Ints, padding: Padding, dilation: Ints, groups: int
) -> Array:
    """The gradient with respect to the weight of a convolution of x whose result has the gradient g."""
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    shapes = geometry(x.shape, shape, stride, padding, dilation, groups)
    slopes, source = np.ascontiguousarray(g).reshape(shapes.places), np.ascontiguousarray(x).reshape(shapes.image)
    rows, columns = _tile(shapes.weight[1], shapes.weight[2], 1)
    parts = np.zeros((max(-(-len(x) // shapes.grain), 1), shape[0], shapes.weight[2]), x.dtype)

    def run(start: int, stop: int) -> None:
        part = parts[start // shapes.grain]
        _correlate_gradients(
            slopes, source, start, stop, shapes.frame, shapes.shifts, shapes.taps, part, groups, rows, columns
        )

    if g.size and parts.size:
        parallel(run, len(x), shapes.grain)
    weight: Array = parts[0] if len(parts) == 1 else parts.sum(axis=0)
    return weight.reshape(shape)
