"""Before a gradient is called wrong: a second look, at the smallest steps, at rounding, and at points close by.

Steps that suit one element reach far across the waves of ``sin(1e9 x)`` or the treads of ``floor(1e9 x)``, and what
they give looks settled. So a disagreement counts only if the smallest steps that rounding allows show it as well, if
moving the inputs by units in the last place does not explain it (a rule that cancels has that rounding, too), and if
it is no tie of several elements, where the rule's answer is that of a point close by.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import numpy as np

from .. import random
from ..dtypes import Array
from .differences import EPS, FIRST, RATIO, REFUSALS, Derivative, Line, Outputs, derivative, scale_of

PLATEAU = 4  # steps in a row whose slopes must agree
MOVES = 4  # random points at which rounding is looked at
NEIGHBOURS = 64  # and at most so many close by, where there may be a tie
NEAR = 2.0**-20  # how far away, relative to the input's scale, the neighbourhood is


class SecondLook:
    """What else can be asked about one input.

    Parameters
    ----------
    inputs : list of ndarray
        All inputs, to be moved in place.
    line : callable
        Gives the line along one element of the input in question, at the inputs' present values.
    outputs, gradient : callable
        The function's values, and the analytic gradient with respect to that input for given cotangents, at the present
        values.
    cotangents : list of ndarray
        What the outputs are contracted with.
    """

    def __init__(
        self,
        inputs: list[Array],
        line: Callable[[int], Line],
        outputs: Callable[[], Outputs],
        gradient: Callable[[Outputs], Array | None],
        cotangents: Outputs,
    ) -> None:
        self.inputs, self.line, self.outputs, self.gradient = inputs, line, outputs, gradient
        self.cotangents = cotangents
        self.generator = random.Generator().manual_seed(11)
        self._rounding: tuple[Outputs, list[Array]] | None = None

    def judge(self, j: int, size: float, analytic: float, d: Derivative, slack: float) -> tuple[str, Derivative]:
        """Say ``"fail"``, or what is the case instead (``"pass"``, ``"kink"``, ``"precision"``), and the range."""
        line = self.line(j)
        off = abs(analytic - d.nearest(analytic))
        jitter, scatter = self.rounding(self.outputs())
        said, step = settle(line, analytic, d, size, scale_of(self.inputs[0]), jitter)
        if said == "pass":  # so much the plateau says; how well is seen from its own steps
            near = derivative(line, step / FIRST, analytic, slack)
            close = near.accepts(analytic, slack + 10 * near.error) and near.error <= 0.01 * abs(near.value)
            return ("pass" if close else "precision"), near
        spread = max((abs(float(s.reshape(-1)[j])) for s in scatter), default=0.0)
        rough = not d.is_kink and spread <= 0.25 * max(abs(analytic), abs(d.value)) and off <= 32 * spread
        if said == "precision" or (said == "fail" and (rough or self._is_swallowed(j, line, size, analytic, d, off))):
            return "precision", Derivative(d.value, max(d.error, off)) if math.isfinite(off) else d
        if said != "fail":
            return said, d
        around = self._around(j, analytic, off) if math.isfinite(off) else None
        if around is not None:
            ends = (*around, *((d.low, d.high) if d.is_kink else (d.value,)))
            return "kink", Derivative(d.value, d.error, min(ends), max(ends))
        return "fail", d

    def _is_swallowed(self, j: int, line: Line, size: float, analytic: float, d: Derivative, off: float) -> bool:
        """Whether the disagreement is the share of outputs that never move, being so large that their rounding hides it."""
        count = sum(y.size for y in line.base)
        weights = list(zip(line.base, line.cotangents, strict=True))
        large = [4 * EPS * count * np.abs(y * c) >= off * size for y, c in weights]
        if not any(mask.any() for mask in large):
            return False
        for t in (size, -size, scale_of(self.inputs[0]), -scale_of(self.inputs[0])):
            large = [mask & (there == y) for mask, there, y in zip(large, line.at(t), line.base, strict=True)]
        g = self.gradient([np.where(mask, c, 0.0) for mask, c in zip(large, line.cotangents, strict=True)])
        share = 0.0 if g is None else float(g.reshape(-1)[j])
        return share != 0.0 and d.accepts(analytic - share, 0.05 * off)

    def rounding(self, base: Outputs) -> tuple[Outputs, list[Array]]:
        """How far the outputs move with the last bits of the inputs, and how rough the analytic gradient is.

        A gradient is smooth, so that of a second difference over a short way nothing is left but rounding.
        """
        if self._rounding is None:
            jitter, scatter = [np.asarray(2 * EPS * np.abs(y)) for y in base], []
            here = self.gradient(self.cotangents)
            for k in range(MOVES):
                with self.moved(2 * EPS, relative=True), contextlib.suppress(*REFUSALS):
                    for bound, y, there in zip(jitter, base, self.outputs(), strict=True):
                        np.fmax(bound, np.abs(there - y), out=bound)
                sides = []
                for sign in (1.0, -1.0):
                    self.generator.manual_seed(k)  # the same way, there and back
                    with self.moved(sign * 2.0 ** (-24 - 4 * k), relative=True), contextlib.suppress(*REFUSALS):
                        sides.append(self.gradient(self.cotangents))
                if here is not None and len(sides) == 2 and sides[0] is not None and sides[1] is not None:
                    scatter.append((sides[0] - here) + (sides[1] - here))
            self._rounding = jitter, scatter
        return self._rounding

    def _around(self, j: int, analytic: float, off: float) -> tuple[float, float] | None:
        """The range of the analytic values at points close by, if they are right there and lie around the one here."""
        low, high, tolerance = math.inf, -math.inf, 0.05 * off
        for _ in range(NEIGHBOURS):
            value = self._nearby(j, tolerance)
            if value is None:
                return None
            low, high = min(low, value), max(high, value)
            if high - low > 0.5 * off and low - tolerance <= analytic <= high + tolerance:
                return low, high
        return None

    def is_right_nearby(self, j: int, off: float) -> bool:
        """Whether the analytic value is right at points close by."""
        return all(self._nearby(j, 0.05 * off) is not None for _ in range(2 * MOVES))

    def _nearby(self, j: int, tolerance: float) -> float | None:
        """The analytic value at a random point close by; None if differences contradict it, or cannot tell."""
        with self.moved(NEAR, relative=False), contextlib.suppress(*REFUSALS):
            g = self.gradient(self.cotangents)
            if g is None:
                return None
            value = float(g.reshape(-1)[j])
            d = derivative(self.line(j), NEAR * scale_of(self.inputs[0]) / 16, value, tolerance)
            return value if d.error <= tolerance and d.accepts(value, tolerance) else None
        return None

    @contextlib.contextmanager
    def moved(self, amount: float, relative: bool) -> Iterator[None]:
        """The inputs somewhere else: each element by so much of itself, or of its input's scale."""
        homes = [x.copy() for x in self.inputs]
        for x in self.inputs:
            noise = self.generator.normal(np.empty(x.shape)) * amount
            x += noise * x if relative else noise * scale_of(x)
        try:
            yield
        finally:
            for x, home in zip(self.inputs, homes, strict=True):
                x[...] = home


def settle(line: Line, analytic: float, d: Derivative, size: float, scale: float, jitter: Outputs) -> tuple[str, float]:
    """Ask the smallest steps at which the slopes are the same again and again whether an analytic value is wrong.

    Returns the answer, and the step where the slopes began to agree.
    """
    far = [line.at(s * t) for t in {size, scale} for s in (1.0, -1.0, FIRST, -FIRST)]
    noise, reach = line.noise(far, jitter)
    if noise > 1e-3 * reach:
        return "precision", math.nan  # the last bits of the inputs change as much as any step does
    nearest = d.nearest(analytic)
    usual = (
        2 * EPS * (sum(float(np.vdot(np.abs(y), np.abs(c))) for y, c in zip(line.base, line.cotangents, strict=True)))
    )
    steepest = max(abs(nearest), abs(analytic) if math.isfinite(analytic) else 0.0)
    if noise > 1e5 * (usual + 2 * EPS * steepest * size):
        return "precision", math.nan  # they reach across a jump
    gap = abs(nearest - analytic)
    if not math.isfinite(gap):  # the rule gives NaN or an infinity: is the slope finite?
        gap = max(abs(nearest), d.error, reach / size)
    # What the function does far beyond its values here, and beyond the size of its cotangents, is a pole's or a domain's end.
    weights = sum(float(np.abs(c).sum()) for c in line.cotangents)
    if gap * size <= 64 * EPS * min(reach, max(usual / (2 * EPS), weights)):
        # Over the whole distance on which the function changes, less than rounding (e**-90 beside 1).
        return "precision", math.nan
    smallest = max(20 * noise / gap if gap else math.inf, 2.0**-51 * size, 2.0**-1060)
    if not smallest < size * FIRST:
        return "precision", math.nan
    h = 2.0 ** math.ceil(math.log2(smallest))
    ranges: list[tuple[float, float]] = []
    central, forward, backward, _ = line.slopes(h)
    while len(ranges) < PLATEAU or h < size * FIRST:
        h *= RATIO
        center, further, back, _ = line.slopes(h)
        low = high = central
        if not abs(forward - backward) <= 0.5 * abs(further - back):  # of a smooth function that is a quarter
            low, high = min(forward, backward), max(forward, backward)
        ranges.append((low, high))
        central, forward, backward = center, further, back
        last = ranges[-PLATEAU:]
        if len(ranges) > 2 * PLATEAU:
            break  # what the smallest steps see has no slope: a jump, or rounding
        if len(last) == PLATEAU and all(max(ends) - min(ends) <= gap / 4 for ends in zip(*last, strict=True)):
            low, high = (sum(ends) / PLATEAU for ends in zip(*last, strict=True))
            if low - gap / 4 <= analytic <= high + gap / 4:
                return "pass", h / RATIO**PLATEAU
            # Steps across many waves agree as well, on nothing: the smaller ones must not say otherwise.
            near = any(low - gap / 4 <= analytic <= high + gap / 4 for low, high in ranges)
            return ("precision" if near else "fail"), math.nan
    return "precision", math.nan
