"""Derivatives by finite differences that know their own error.

A central difference errs by O(h**2); combining steps h and h / 2 cancels that term (Richardson 1911), and doing so
again and again while the step shrinks, until the entries of the table stop agreeing because rounding takes over, is
Ridders' method (Advances in Engineering Software 4, 1982). The disagreement between neighbouring entries is the error
bar: tolerances follow from it, not from a fixed number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..dtypes import Array

EPS = 2.0**-53
LEVELS = 12  # steps h, h / 4, h / 16, ...: from a hundredth of the scale down to a billionth
FIRST = 2.0**-7  # of the scale of x: with one extrapolation, truncation is then near 1e-10 of the derivative
RATIO = 4.0
REFUSALS = (RuntimeError, ValueError, ArithmeticError)  # how functions refuse a point outside their domain
Outputs = list[Array]


@dataclass(frozen=True)
class Derivative:
    """A directional derivative with its error bar; at a kink, the range between the one-sided ones."""

    value: float
    error: float
    low: float = math.nan
    high: float = math.nan
    finite: bool = True

    @property
    def is_kink(self) -> bool:
        """Whether the one-sided derivatives differ."""
        return not math.isnan(self.low)

    def nearest(self, analytic: float) -> float:
        """The value, or of a kink's range the end nearest to an analytic value."""
        return min((self.low, self.high), key=lambda end: abs(end - analytic)) if self.is_kink else self.value

    def accepts(self, analytic: float, slack: float = 0.0) -> bool:
        """Tell whether an analytic value lies within the error bar, or within the range of subgradients."""
        if math.isnan(analytic) or math.isinf(analytic):
            return False
        bar = self.error + slack
        if self.is_kink:
            return self.low - bar <= analytic <= self.high + bar
        return abs(analytic - self.value) <= bar


class Line:
    """A vector function along one line x + t d, contracted with a cotangent: what a derivative is taken of.

    ``at(t)`` gives the outputs; ``base`` are those at t = 0. Differences are taken before the contraction, so that
    outputs which do not change contribute neither value nor rounding.
    """

    def __init__(self, at: Callable[[float], Outputs], base: Outputs, cotangents: Outputs) -> None:
        self.at, self.base, self.cotangents = at, base, cotangents

    def difference(self, a: Outputs, b: Outputs) -> tuple[float, float]:
        """The contraction of a - b, and how much of it may be rounding."""
        value = noise = 0.0
        for p, q, c in zip(a, b, self.cotangents, strict=True):
            if p.size == 1:  # plain numbers: ten times as fast, and a loss is one
                u, v, w = p.item(), q.item(), c.item()
                d = u - v
                value += d * w
                if d != 0.0:
                    noise += abs(w) * (abs(u) + abs(v))
            else:
                delta = (p - q).reshape(-1)
                moved = np.flatnonzero(delta)  # often few: an op on each element by itself moves one
                weight = c.reshape(-1)[moved]
                value += float((delta[moved] * weight.conj()).sum().real)
                noise += float(((np.abs(p.reshape(-1)[moved]) + np.abs(q.reshape(-1)[moved])) * np.abs(weight)).sum())
        return value, noise * EPS

    def noise(self, others: list[Outputs], jitter: Outputs) -> tuple[float, float]:
        """How far rounding may move the contraction, and how far ``others`` do, counting the outputs that these move."""
        rounding = reach = 0.0
        for k, (y, c, bound) in enumerate(zip(self.base, self.cotangents, jitter, strict=True)):
            move = np.zeros(y.shape)
            for other in others:
                away = np.abs(other[k] - y)
                np.maximum(
                    move, np.where(np.isfinite(away), away, 1e-300), out=move
                )  # it depends on t, how far is open
            weight = np.abs(c)
            rounding += float(np.vdot(np.where(move != 0, bound, 0.0), weight).real)
            reach += float(np.vdot(move, weight).real)
        return rounding, reach

    def slopes(self, h: float) -> tuple[float, float, float, float]:
        """Central, forward and backward difference quotient with step h, and the rounding of the central one."""
        plus, minus = self.at(h), self.at(-h)
        central, noise = self.difference(plus, minus)
        forward, _ = self.difference(plus, self.base)
        backward, _ = self.difference(self.base, minus)
        return central / (2 * h), forward / h, backward / h, noise / h


def derivative(line: Line, scale: float, expected: float = math.nan, slack: float = 0.0) -> Derivative:
    """The derivative of a line at t = 0.

    Parameters
    ----------
    line : Line
    scale : float
        The size of the first step times 2**7: about the distance on which the function changes. It is only a guess.
    expected : float
        A value to confirm: when two steps agree with it and with each other no more are taken.
    slack : float
        How far a confirmed value may be off for rounding in the computation of ``expected`` itself.
    """
    h = scale * FIRST
    with np.errstate(all="ignore"):
        for start in (h, h / 64):  # a bend close by may lie within the first steps, and not within the second
            quick = _two_steps(line.slopes(start), line.slopes(start / 2))
            if quick is not None and quick.accepts(expected, slack):
                return quick
        return _table(line, h)


def _two_steps(first: tuple[float, ...], second: tuple[float, ...]) -> Derivative | None:
    """One extrapolation, if nothing looks odd: finite, agreeing, and one-sided slopes that approach each other."""
    c1, f1, b1, n1 = first
    c2, f2, b2, n2 = second
    if not math.isfinite(c1) or not math.isfinite(c2):
        return None
    gap1, gap2 = abs(f1 - b1), abs(f2 - b2)
    # At a kink the gap stays as it is when the step halves; of a smooth function it halves too.
    if gap2 > 0.75 * gap1 and gap2 > 8 * (n1 + n2) + 1e-9 * abs(c2):
        return None
    value = c2 + (c2 - c1) / 3
    error = 0.05 * abs(c2 - c1) + 4 * (n1 + n2)
    if error > 1e-4 * abs(value) + 8 * (n1 + n2):
        return None
    return Derivative(value, error + 1e-15 * abs(value))


def _table(line: Line, h: float) -> Derivative:
    """Ridders' tableau, the one-sided limits beside it."""
    best = Derivative(math.nan, math.inf, finite=False)
    row: list[float] = []
    sides: list[tuple[float, float, float]] = []
    steps = 0
    worse = 0
    while steps < LEVELS and worse < 4:
        central, forward, backward, noise = line.slopes(h)
        steps += 1
        if not math.isfinite(central):
            row, h = [], h / RATIO
            if math.isfinite(forward) or math.isfinite(backward):
                sides.append((forward, backward, noise))
            continue
        sides.append((forward, backward, noise))
        new = [central]
        factor = RATIO * RATIO
        for before in row[:4]:
            new.append(new[-1] + (new[-1] - before) / (factor - 1))
            factor *= RATIO * RATIO
        for k in range(1, len(new)):
            error = max(abs(new[k] - new[k - 1]), abs(new[k] - row[k - 1])) + 4 * noise
            if error < best.error:
                best, worse = Derivative(new[k], error + 1e-15 * abs(new[k])), -1
        worse += bool(math.isfinite(best.error))
        row, h = new, h / RATIO
    kink = _kink(sides)
    return kink if kink is not None else best


def _kink(sides: list[tuple[float, float, float]]) -> Derivative | None:
    """The range between the one-sided derivatives, if both settle and they differ by more than their errors."""
    settled = []
    for (f1, b1, n1), (f2, b2, n2) in itertools.pairwise(sides):
        f, b = f2 + (f2 - f1) / (RATIO - 1), b2 + (b2 - b1) / (RATIO - 1)  # their error is of first order in h
        error = abs(f - f2) + abs(b - b2) + 8 * (n1 + n2)
        if math.isfinite(f) and math.isfinite(b):
            settled.append((abs(f - b) - 20 * error, f, b, error))
    # A bend close by looks like a kink as long as the step reaches across it; a true one stays at every smaller step.
    tail = settled[-4:]
    if len(tail) < 2 or any(gap <= 1e-7 * (abs(f) + abs(b)) for gap, f, b, _ in tail[-2:]):
        return None
    _, f, b, error = min(tail, key=lambda s: s[3])
    return Derivative((f + b) / 2, error, min(f, b), max(f, b))


def scale_of(x: Array) -> float:
    """A first guess of the distance on which a function of x changes: the root mean square of x, or 1."""
    with np.errstate(all="ignore"):
        size = float(np.sqrt(np.mean(np.square(x[np.isfinite(x)])))) if x.size else 0.0
    return size if math.isfinite(size) and size > 0 else 1.0
