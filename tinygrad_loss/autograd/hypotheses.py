"""Naming a mistake: each hypothesis predicts a gradient, and the prediction is compared with what the rule gave."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from ..dtypes import Array
from ..op import edge_of, wrap
from .backward import grad
from .differences import REFUSALS
from .function import Function, FunctionRow
from .grad_mode import enable_grad, no_grad
from .workbench import Call, exchange_saved

CLOSE = 1e-6  # relative: far above the error bars, far below the smallest factor worth naming
Mistake = tuple[str, str]


class Evidence:
    """One op, the values it was given, and ways to run it and its rule again."""

    def __init__(self, call: Call, values: list[Any], need: list[int], generator: Any, output: int = 0) -> None:
        self.call, self.values, self.need, self.generator, self.output = call, values, need, generator, output
        self.out = self.forward()[0]
        self.cotangent: Array = generator.normal(np.empty(self.out.shape))

    def _run(self, values: list[Any], need: list[int]) -> tuple[Any, list[Any]]:
        tensors: list[Any] = [wrap(v) if isinstance(v, np.ndarray) else v for v in values]
        for i in need:
            tensors[i].requires_grad_()
        # A custom Function may write to its operands: it gets copies, which are not leaves.
        operands = tensors
        if isinstance(self.call.row, FunctionRow):
            operands = [t.clone() if isinstance(v, np.ndarray) else t for t, v in zip(tensors, values, strict=True)]
        out = self.call.row.call(*operands, **self.call.params)
        return (out[self.output] if isinstance(out, (tuple, list)) else out), tensors

    def forward(self) -> list[Array]:
        """The output at the present values."""
        with no_grad():
            return [np.array(self._run(self.values, [])[0]._array)]

    def analytic(
        self, cotangent: Array, values: list[Any] | None = None, tamper: Any = None
    ) -> dict[int, Array] | None:
        """What the rule gives for each operand; None if the op leaves nothing on the tape.

        ``tamper(node)`` may change what the node saved before the rule is called.
        """
        used = self.values if values is None else values
        with enable_grad():
            out, tensors = self._run([np.array(v) if isinstance(v, np.ndarray) else v for v in used], self.need)
            if edge_of(out) is None:
                return None
            if tamper is not None:
                tamper(out._node, out._array)
            found = grad(out, [tensors[i] for i in self.need], wrap(cotangent.copy()), allow_unused=True)
        zeros = [np.zeros(tensors[i]._array.shape) for i in self.need]
        return {i: z if g is None else np.array(g._array) for i, g, z in zip(self.need, found, zeros, strict=True)}

    def contributions(self, i: int) -> Array | None:
        """cotangent_k d out_k / d x_j as a matrix (k, j), by central differences; None where that would be large."""
        flat = self.values[i].reshape(-1)
        if flat.size * self.cotangent.size > 200_000:
            return None
        rows = np.empty((self.cotangent.size, flat.size))
        for j in range(flat.size):
            home = flat[j]
            h = 2.0**-17 * max(abs(home), 1.0)
            try:
                flat[j] = home + h
                above = self.forward()[0]
                flat[j] = home - h
                below = self.forward()[0]
            except REFUSALS:  # outside the domain
                return None
            finally:
                flat[j] = home
            rows[:, j] = ((above - below) / (2 * h) * self.cotangent).reshape(-1)
        return rows


def name_the_mistake(evidence: Evidence, i: int, a: Array, numeric: Array, bars: Array, chosen: Array) -> Mistake:
    """The hypothesis that explains the gradient of operand i, as (kind, hint); ``("wrong", "")`` if none does."""
    shape, partly = a.shape, chosen.size < a.size
    given = a.reshape(-1)[chosen]
    right = np.full(a.size, np.nan)
    right[chosen] = numeric
    trial = _Trial(given, numeric, bars, chosen)
    for hypothesis in (_zero, _ignores, _sign, _partial, _scale, _transposed, _shifted, _output):
        if partly and hypothesis is _partial:
            continue
        mistake = hypothesis(evidence, i, trial, right.reshape(shape))
        if mistake is not None:
            return mistake
    return "wrong", ""


class _Trial:
    """The given gradient at the chosen elements, and whether a prediction explains it."""

    def __init__(self, given: Array, numeric: Array, bars: Array, chosen: Array) -> None:
        self.given, self.numeric, self.chosen = given, numeric, chosen
        self.bars = 10 * bars + CLOSE * (np.max(np.abs(numeric), initial=0.0) + 1e-300)

    def explained_by(self, prediction: Array, tolerance: float = 1.0) -> bool:
        """Whether the given gradient is this one everywhere, which is not the right one."""
        predicted = np.asarray(prediction).reshape(-1)
        predicted = predicted[self.chosen] if predicted.size > self.chosen.size else predicted
        known = np.isfinite(predicted)
        if not known.any() or predicted.size != self.given.size:
            return False
        differs = np.abs(predicted - self.numeric) > self.bars
        close = np.abs(self.given - predicted) <= tolerance * self.bars
        return bool(close[known].all() and differs[known].any())


def _zero(evidence: Evidence, i: int, trial: _Trial, right: Array) -> Mistake | None:
    if trial.given.any():
        return None
    operand = _operand(evidence, i)
    if len(evidence.need) > 1:
        return "forgotten-term", f"the gradient of {operand} is zero: its term is forgotten"
    return "zero-gradient", f"the gradient of {operand} is zero everywhere"


def _ignores(evidence: Evidence, i: int, trial: _Trial, right: Array) -> Mistake | None:
    other = evidence.generator.normal(np.empty(evidence.cotangent.shape))
    again = evidence.analytic(other)
    if again is not None and np.array_equal(again[i].reshape(-1)[trial.chosen], trial.given):
        return "ignores-incoming", "the rule gives the same whatever gradient comes in: multiply by g"
    return None


def _sign(evidence: Evidence, i: int, trial: _Trial, right: Array) -> Mistake | None:
    if trial.explained_by(-trial.numeric):
        return "sign", f"the gradient of {_operand(evidence, i)} has the wrong sign"
    return None


def _partial(evidence: Evidence, i: int, trial: _Trial, right: Array) -> Mistake | None:
    """A sum over the uses of an element of which only one use is left."""
    rows = evidence.contributions(i)
    if rows is None:
        return None
    used = np.abs(rows) > 1e-9 * np.max(np.abs(rows), initial=1e-300)
    if used.sum(axis=0).max(initial=0) < 2:
        return None
    columns = np.arange(rows.shape[1])
    first, last = used.argmax(axis=0), len(rows) - 1 - used[::-1].argmax(axis=0)
    operand = _operand(evidence, i)
    loose = 1e3  # these differences are simple ones
    for k in (first, last):
        if trial.explained_by(np.where(used.any(axis=0), rows[k, columns], 0.0), loose) and not _is_broadcast(
            evidence, i
        ):
            return "overwritten", (
                f"an element of {operand} is used several times, and each use overwrites the gradient of the one before: "
                f"accumulate (+=, np.add.at) instead"
            )
    if _is_broadcast(evidence, i):
        shape, out = evidence.values[i].shape, evidence.out.shape
        added = [k for k, n in enumerate((1,) * (len(out) - len(shape)) + shape) if n == 1 != out[k]]
        grid = rows.reshape(*out, -1)
        for place in (0, -1):
            one = tuple(slice(None) if k not in added else place for k in range(len(out)))
            if trial.explained_by(grid[one].sum(axis=tuple(range(len(out) - len(added)))), loose):
                return "missing-unbroadcast", (
                    f"{operand} was broadcast to {list(out)}: its gradient is the sum over the dimensions that were "
                    f"added, and here it is one slice of it"
                )
    return None


def _is_broadcast(evidence: Evidence, i: int) -> bool:
    shape, out = evidence.values[i].shape, evidence.cotangent.shape
    if shape == out:
        return False
    try:
        return np.broadcast_shapes(shape, out) == out
    except ValueError:
        return False


def _scale(evidence: Evidence, i: int, trial: _Trial, right: Array) -> Mistake | None:
    norm = float(trial.numeric @ trial.numeric)
    if norm == 0 or not math.isfinite(norm):
        return None
    s = float(trial.given @ trial.numeric) / norm
    if s and math.isfinite(s) and trial.explained_by(s * trial.numeric, max(1.0, abs(s))):
        return "scale", f"the gradient of {_operand(evidence, i)} is {_spelled(s, evidence, i)} times the right one"
    return None


def _spelled(s: float, evidence: Evidence, i: int) -> str:
    """A factor as a person would write it: 2, 1/2, N, 1/N with what N counts, else digits."""
    sizes = {}
    for label, array in (("the output", evidence.out), (_operand(evidence, i), evidence.values[i])):
        sizes[array.size] = f"elements of {label}"
        for d, n in enumerate(array.shape):
            sizes.setdefault(n, f"size of dimension {d} of {label}")
    for n, what in sizes.items():
        if n > 2 and abs(s / n - 1) < 1e-5:
            return f"{n} (N, the {what})"
        if n > 2 and abs(s * n - 1) < 1e-5:
            return f"1/{n} (1/N, N the {what})"
    simple = Fraction(s).limit_denominator(64)
    if simple and abs(float(simple) / s - 1) < 1e-6:
        return str(simple)
    return f"{s:.6g}"


def _transposed(evidence: Evidence, i: int, trial: _Trial, right: Array) -> Mistake | None:
    if right.ndim < 2:
        return None
    for candidate in _transposes(right):
        if trial.explained_by(candidate):
            return "transposed", f"the gradient of {_operand(evidence, i)} is transposed"
    return None


def _transposes(right: Array) -> Iterator[Array]:
    swapped = np.swapaxes(right, -1, -2)
    yield swapped.reshape(right.shape)
    yield np.swapaxes(right.reshape(swapped.shape), -1, -2)
    if right.ndim > 2:
        yield right.T.reshape(right.shape)


def _shifted(evidence: Evidence, i: int, trial: _Trial, right: Array) -> Mistake | None:
    for axis in range(right.ndim):
        for step in (1, -1):
            rolled = np.roll(right, step, axis)
            filled = rolled.copy()
            filled[(slice(None),) * axis + (0 if step > 0 else -1,)] = 0.0
            for candidate in (rolled, filled):
                if trial.explained_by(candidate):
                    return "shifted", (
                        f"the gradient of {_operand(evidence, i)} is moved by {step} along dimension {axis}: an index is off "
                        f"by one"
                    )
    if right.ndim > 1:
        for step in (1, -1):
            if trial.explained_by(np.roll(right.reshape(-1), step)):
                return "shifted", f"the gradient of {_operand(evidence, i)} is moved by {step} element"
    return None


def _output(evidence: Evidence, i: int, trial: _Trial, right: Array) -> Mistake | None:
    """Exchange, in what the rule saved, an operand for the output or the other way round, and see if it is right then."""
    for j, value in enumerate(evidence.values):
        if not isinstance(value, np.ndarray) or (value.shape, value.dtype) != (evidence.out.shape, evidence.out.dtype):
            continue
        for forth, use in itertools.product((True, False), (None, 0, 1)):
            exchanged = _exchanged(evidence, i, value, forth, use)
            if exchanged is None:
                continue
            now = exchanged.reshape(-1)[trial.chosen]
            if (np.abs(now - trial.numeric) <= trial.bars).all():
                operand = _operand(evidence, j)
                said = ("operand " + operand, "output") if forth else ("output", "operand " + operand)
                return "output-for-input", f"the rule uses the {said[0]} where the {said[1]} belongs"
    return None


def _exchanged(evidence: Evidence, i: int, operand: Array, forth: bool, use: int | None) -> Array | None:
    """The gradient of operand i when the saved operand is replaced by the output (``forth``), or the output by it.

    Everywhere, or at one of the places where it was saved (``use``).
    """
    met = changed = 0

    def tamper(node: Any, out: Array) -> None:
        source, target = (operand, out) if forth else (out, operand)

        def swap(value: Array) -> Array:
            nonlocal met, changed
            if (value.shape, value.dtype) != (source.shape, source.dtype) or not np.array_equal(value, source):
                return value
            met += 1
            if use is not None and met != use + 1:
                return value
            changed += 1
            return target.copy()

        exchange_saved(node, swap)

    try:
        result = evidence.analytic(evidence.cotangent, tamper=tamper)
    except (RuntimeError, ValueError, TypeError):
        return None
    return result[i] if changed and result is not None else None


def _operand(evidence: Evidence, i: int) -> str:
    row = evidence.call.row
    names = list(row.operands)
    if isinstance(row, FunctionRow) and row.function is not None:
        parameters = inspect.signature(row.function.forward).parameters
        names = [name for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
        names = names[row.function.setup_context is Function.setup_context :]  # the first is the context
    return names[i] if i < len(names) else f"operand {i}"
