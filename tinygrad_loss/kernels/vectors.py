"""A tile of sums in vector registers, for the inner loops that LLVM does not vectorize by itself.

A convolution's inner loop is the one of a matrix product: `rows` times `columns` vectors stay in registers while one
operand streams by. Written as plain Numba, with an array for the sums, LLVM keeps them in memory: 12 GFLOP/s where
this reaches 90. A tile's shape is that of two tuples of positions, so each shape is compiled once. Positions are not
checked.
"""

import importlib
from typing import Any

import numpy as np

from .jit import JIT_DISABLED, Array, inline, itemsize

__all__ = [
    "BYTES",
    "Positions",
    "add_inner",
    "add_inner_part",
    "add_outer",
    "add_span",
    "add_to",
    "lane_sums",
    "move",
    "replaced",
    "tile",
    "vector_lanes",
    "write",
]

BYTES = 32  # of one vector: AVX; two NEON or SSE registers elsewhere. 64 would be split where LLVM prefers 256 bits.
Positions = tuple[int, ...]
Tile = Any


@inline
def vector_lanes(like: Array) -> int:
    """How many elements of this dtype one vector holds."""
    return BYTES // itemsize(like)


if JIT_DISABLED:

    def _loaded(x: Array, at: Positions, shift: int, lanes: int) -> Array:
        return np.stack([x[p + shift : p + shift + lanes] for p in at])

    def replaced(positions: Positions, i: int, value: int) -> Positions:
        """The tuple with another value at i."""
        return (*positions[:i], value, *positions[i + 1 :])

    def tile(rows: Positions, columns: Positions, values: Array, at: int) -> Tile:
        """sums[m, v, :] = values[at + m]."""
        return np.tile(values[at : at + len(rows), None, None], (1, len(columns), vector_lanes(values)))

    def add_outer(sums: Tile, w: Array, at: int, x: Array, columns: Positions, shift: int) -> Tile:
        """sums[m, v, :] += w[at + m] * x[columns[v] + shift :]."""
        return sums + w[at : at + len(sums), None, None] * _loaded(x, columns, shift, sums.shape[2])

    def add_inner(sums: Tile, g: Array, rows: Positions, down: int, x: Array, columns: Positions, across: int) -> Tile:
        """sums[m, v, :] += g[rows[m] + down :] * x[columns[v] + across :]."""
        lanes = sums.shape[2]
        return sums + _loaded(g, rows, down, lanes)[:, None] * _loaded(x, columns, across, lanes)

    def add_inner_part(
        sums: Tile, g: Array, rows: Positions, down: int, x: Array, columns: Positions, across: int, count: int
    ) -> Tile:
        """The same for the first `count` lanes."""
        sums = sums.copy()
        sums[..., :count] += _loaded(g, rows, down, count)[:, None] * _loaded(x, columns, across, count)
        return sums

    def add_span(sums: Tile, x: Array, columns: Positions, shift: int, first: int, last: int) -> Tile:
        """sums[m, v, :] += x[columns[v] + shift :] at the places first to last, counted along the vectors."""
        place = np.arange(sums[0].size).reshape(sums[0].shape)
        inside = (first <= place) & (place < last)
        return sums + np.where(inside, _loaded(x, columns, shift, sums.shape[2]), 0)

    def write(sums: Tile, out: Array, columns: Positions, pitch: int) -> None:
        """out[columns[v] + m * pitch :] = sums[m, v, :]."""
        for m, row in enumerate(sums):
            for v, vector in enumerate(row):
                out[columns[v] + m * pitch : columns[v] + m * pitch + len(vector)] = vector

    def add_to(sums: Tile, out: Array, rows: Positions, columns: Positions, count: int) -> None:
        """out[rows[m] + columns[v] :] += sums[m, v, :], for the first `count` places of a row of vectors."""
        lanes = sums.shape[2]
        for m, row in enumerate(sums):
            for v, vector in enumerate(row):
                at, part = rows[m] + columns[v], max(0, min(lanes, count - v * lanes))
                out[at : at + part] += vector[:part]

    def move(target: Array, at: int, source: Array, start: int, count: int) -> None:
        """Copy `count` elements."""
        target[at : at + count] = source[start : start + count]

    def lane_sums(sums: Tile) -> tuple[Any, ...]:
        """The sum over the lanes of each vector, row by row."""
        return tuple(sums.sum(axis=2, dtype=sums.dtype).ravel())

else:
    # Any, because some versions of Numba come with types and some without
    ir: Any = importlib.import_module("llvmlite.ir")
    types: Any = importlib.import_module("numba.core.types")
    cgutils: Any = importlib.import_module("numba.core.cgutils")
    extending: Any = importlib.import_module("numba.extending")
    replaced = importlib.import_module("numba.cpython.unsafe.tuple").tuple_setitem

    class TileType(types.Type):  # type: ignore[misc]
        """rows x columns vectors; a value of LLVM's, which register allocation takes apart."""

        def __init__(self, dtype: Any, rows: int, columns: int) -> None:
            self.dtype, self.rows, self.columns, self.lanes = dtype, rows, columns, BYTES * 8 // dtype.bitwidth
            super().__init__(f"Tile({dtype}, {rows}, {columns})")

    @extending.register_model(TileType)
    class _TileModel(extending.models.PrimitiveModel):  # type: ignore[misc]
        def __init__(self, manager: Any, tile_type: Any) -> None:
            vector = ir.VectorType(manager.lookup(tile_type.dtype).get_value_type(), tile_type.lanes)
            super().__init__(manager, tile_type, ir.ArrayType(vector, tile_type.rows * tile_type.columns))

    class _Builder:
        """LLVM's instructions that the intrinsics below share."""

        def __init__(self, context: Any, builder: Any, tile_type: Any) -> None:
            self.context, self.builder, self.tile_type = context, builder, tile_type
            self.vector = context.get_value_type(tile_type).element

        def address(self, array_type: Any, array: Any, *offsets: Any) -> Any:
            data = cgutils.create_struct_proxy(array_type)(self.context, self.builder, value=array).data
            index = offsets[0]
            for offset in offsets[1:]:
                index = self.builder.add(index, offset)
            return self.builder.gep(data, [index])

        def load(self, array_type: Any, array: Any, *offsets: Any) -> Any:
            """A vector from any address."""
            at = self.builder.bitcast(self.address(array_type, array, *offsets), self.vector.as_pointer())
            return self.builder.load(at, align=array_type.dtype.bitwidth // 8)

        def spread(self, scalar: Any) -> Any:
            """A vector with this value in all lanes."""
            nothing, zero = ir.Constant(ir.VectorType(scalar.type, self.vector.count), ir.Undefined), ir.IntType(32)(0)
            one = self.builder.insert_element(nothing, scalar, zero)
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.vector.count), None)
            return self.builder.shuffle_vector(one, nothing, lanes)

        def places(self, v: int, like: Any) -> Any:
            """The numbers of the lanes of the v-th vector of a row."""
            lanes = self.tile_type.lanes
            return ir.Constant(ir.VectorType(like.type, lanes), list(range(v * lanes, (v + 1) * lanes)))

        def add_product(self, sums: Any, m: int, v: int, a: Any, b: Any) -> Any:
            """sums[m, v] += a * b, fused where the processor can: llvm.fma would call a library where it cannot."""
            i = m * self.tile_type.columns + v
            product = self.builder.fmul(a, b, flags=("contract",))
            total = self.builder.fadd(product, self.builder.extract_value(sums, i), flags=("contract",))
            return self.builder.insert_value(sums, total, i)

    @extending.intrinsic
    def tile(context, rows, columns, values, at):  # type: ignore[no-untyped-def]
        """sums[m, v, :] = values[at + m]."""
        tile_type = TileType(values.dtype, rows.count, columns.count)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            b = _Builder(context, builder, tile_type)
            sums = ir.Constant(context.get_value_type(tile_type), ir.Undefined)
            for m in range(tile_type.rows):
                value = b.spread(builder.load(b.address(values, arguments[2], arguments[3], _index(m))))
                for v in range(tile_type.columns):
                    sums = builder.insert_value(sums, value, m * tile_type.columns + v)
            return sums

        return tile_type(rows, columns, values, types.intp), generate

    def _index(m: int) -> Any:
        return ir.Constant(ir.IntType(types.intp.bitwidth), m)

    @extending.intrinsic
    def add_outer(context, sums, w, at, x, columns, shift):  # type: ignore[no-untyped-def]
        """sums[m, v, :] += w[at + m] * x[columns[v] + shift :]."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            out, weights, first, source, starts, offset = arguments
            b = _Builder(context, builder, sums)
            loaded = [b.load(x, source, builder.extract_value(starts, v), offset) for v in range(sums.columns)]
            for m in range(sums.rows):
                factor = b.spread(builder.load(b.address(w, weights, first, _index(m))))
                for v in range(sums.columns):
                    out = b.add_product(out, m, v, factor, loaded[v])
            return out

        return sums(sums, w, types.intp, x, columns, types.intp), generate

    def _inner(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        sums, g, _, _, x = signature.args[:5]
        out, left, tops, down, right, starts, across = arguments[:7]
        b = _Builder(context, builder, sums)
        a = [b.load(g, left, builder.extract_value(tops, m), down) for m in range(sums.rows)]
        c = [b.load(x, right, builder.extract_value(starts, v), across) for v in range(sums.columns)]
        if len(arguments) > 7:
            # Both sides: a zero on one would leave NaN where the other, past the row's end, happens to be infinite.
            count = arguments[7]
            inside, zero = builder.icmp_signed("<", b.places(0, count), b.spread(count)), ir.Constant(b.vector, None)
            a = [builder.select(inside, value, zero) for value in a]
            c = [builder.select(inside, value, zero) for value in c]
        for m in range(sums.rows):
            for v in range(sums.columns):
                out = b.add_product(out, m, v, a[m], c[v])
        return out

    @extending.intrinsic
    def add_inner(context, sums, g, rows, down, x, columns, across):  # type: ignore[no-untyped-def]
        """sums[m, v, :] += g[rows[m] + down :] * x[columns[v] + across :]."""
        return sums(sums, g, rows, types.intp, x, columns, types.intp), _inner

    @extending.intrinsic
    def add_inner_part(context, sums, g, rows, down, x, columns, across, count):  # type: ignore[no-untyped-def]
        """The same for the first `count` lanes."""
        return sums(sums, g, rows, types.intp, x, columns, types.intp, types.intp), _inner

    @extending.intrinsic
    def add_span(context, sums, x, columns, shift, first, last):  # type: ignore[no-untyped-def]
        """sums[m, v, :] += x[columns[v] + shift :] at the places first to last, counted along the vectors."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            out, source, starts, offset, low, high = arguments
            b = _Builder(context, builder, sums)
            low, high, zero = b.spread(low), b.spread(high), ir.Constant(b.vector, None)
            for v in range(sums.columns):
                place = b.places(v, offset)
                inside = builder.and_(builder.icmp_signed("<=", low, place), builder.icmp_signed("<", place, high))
                part = builder.select(inside, b.load(x, source, builder.extract_value(starts, v), offset), zero)
                for m in range(sums.rows):
                    i = m * sums.columns + v
                    out = builder.insert_value(out, builder.fadd(builder.extract_value(out, i), part), i)
            return out

        return sums(sums, x, columns, types.intp, types.intp, types.intp), generate

    @extending.intrinsic
    def write(context, sums, out, columns, pitch):  # type: ignore[no-untyped-def]
        """out[columns[v] + m * pitch :] = sums[m, v, :]."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            values, target, starts, distance = arguments
            b = _Builder(context, builder, sums)
            for m in range(sums.rows):
                for v in range(sums.columns):
                    down = builder.mul(distance, _index(m))
                    at = b.address(out, target, builder.extract_value(starts, v), down)
                    vector = builder.extract_value(values, m * sums.columns + v)
                    builder.store(vector, builder.bitcast(at, b.vector.as_pointer()), align=sums.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.none(sums, out, columns, types.intp), generate

    @extending.intrinsic
    def add_to(context, sums, out, rows, columns, count):  # type: ignore[no-untyped-def]
        """out[rows[m] + columns[v] :] += sums[m, v, :], for the first `count` places of a row of vectors."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            values, target, tops, starts, limit = arguments
            b = _Builder(context, builder, sums)
            for v in range(sums.columns):
                inside = builder.icmp_signed("<", b.places(v, limit), b.spread(limit))
                for m in range(sums.rows):
                    at = b.address(out, target, builder.extract_value(tops, m), builder.extract_value(starts, v))
                    at = builder.bitcast(at, b.vector.as_pointer())
                    old = builder.load(at, align=sums.dtype.bitwidth // 8)
                    new = builder.fadd(old, builder.extract_value(values, m * sums.columns + v))
                    builder.store(builder.select(inside, new, old), at, align=sums.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.none(sums, out, rows, columns, types.intp), generate

    @extending.intrinsic
    def _copy(context, target, at, source, start):  # type: ignore[no-untyped-def]
        """target[at : at + lanes] = source[start : start + lanes]."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            b = _Builder(context, builder, TileType(target.dtype, 1, 1))
            place = builder.bitcast(b.address(target, *arguments[:2]), b.vector.as_pointer())
            builder.store(b.load(source, *arguments[2:]), place, align=target.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.none(target, types.intp, source, types.intp), generate

    @inline
    def move(target: Array, at: int, source: Array, start: int, count: int) -> None:
        """Copy `count` elements: rows are short, and a call of memcpy costs more than copying one."""
        lanes = vector_lanes(target)
        if count < lanes:
            for j in range(count):
                target[at + j] = source[start + j]
        else:
            for j in range(0, count - lanes, lanes):
                _copy(target, at + j, source, start + j)
            _copy(target, at + count - lanes, source, start + count - lanes)

    @extending.intrinsic
    def lane_sums(context, sums):  # type: ignore[no-untyped-def]
        """The sum over the lanes of each vector, row by row."""
        result = types.UniTuple(sums.dtype, sums.rows * sums.columns)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            totals = []
            for i in range(result.count):
                vector = builder.extract_value(arguments[0], i)
                while vector.type.count > 1:  # the upper half onto the lower one
                    half = vector.type.count // 2
                    index = ir.VectorType(ir.IntType(32), half)
                    low = builder.shuffle_vector(vector, vector, ir.Constant(index, list(range(half))))
                    high = builder.shuffle_vector(vector, vector, ir.Constant(index, list(range(half, 2 * half))))
                    vector = builder.fadd(low, high)
                totals.append(builder.extract_element(vector, ir.IntType(32)(0)))
            return context.make_tuple(builder, result, totals)

        return result(sums), generate
