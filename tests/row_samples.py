"""The calls that tests make of every row: shapes become arrays drawn from the row's domain."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from tinygrad_loss.op import Row


def samples_of(row: Row) -> list[Any]:
    if row.samples:
        return list(row.samples)
    shapes = [(3, 4), (), (0, 3)] if len(row.operands) == 1 and not row.params else [(3, 4)]
    return [(((shape,) * len(row.operands)), {}) for shape in shapes]


def operands_of(row: Row, spec: tuple[Any, ...]) -> list[Any]:
    rng = np.random.default_rng(zlib.crc32(row.name.encode()))
    low, high = row.domain  # type: ignore[misc]
    return [np.asarray(rng.uniform(low, high, s)) if isinstance(s, tuple) else s for s in spec]
