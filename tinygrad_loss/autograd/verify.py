"""``verify`` answers whether a gradient is right, and if not, which op is wrong, and how."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import random
from ..dtypes import Array
from .complex_step import ComplexStep
from .culprit import find_culprits, find_nondeterminism
from .differences import EPS, Derivative, Line, Outputs, derivative, scale_of
from .report import Finding, GradientReport
from .second_look import SecondLook
from .workbench import Workbench

if TYPE_CHECKING:
    from ..tensor import Tensor

EVERY = 4096  # elements of an input up to which each is checked by itself
MANY, FEW = 65_536, 256  # of inputs with so many elements in all, up to which each is checked by itself
SAMPLES, DIRECTIONS = 48, 8  # beyond that: elements drawn, and random directions through all of them
CONFIRMED = 16  # wrong elements after which no more second looks are taken
MARGIN = 10.0  # error bars that a difference must exceed to count as wrong


def verify(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 1,
    seed: int = 0,
    names: Sequence[str] | None = None,
    tol: float | None = None,
) -> GradientReport:
    """Check the gradient of a function by finite differences that know their own error; on failure, find the culprit.

    Everything is computed on float64 copies, whatever the dtype, and all that was touched is put back: data, gradients,
    buffers, the generator's state, the default dtype.

    Parameters
    ----------
    fn : callable
        Maps the inputs to a tensor or a tuple of tensors; with a module as ``inputs``, a closure without arguments.
    inputs : Tensor, sequence of Tensor, or Module
        Where the gradient is taken: the floating point tensors, or the parameters of the module.
    order : 1 or 2
        2 checks the gradient of the gradient.
    seed : int
        Of the random cotangents and directions.
    names : sequence of str, optional
        What to call the inputs in the report.
    tol : float, optional
        Accept this relative difference as well; by default the error bar of each difference decides alone.

    Returns
    -------
    GradientReport
        Its ``verdict`` is "pass", "fail" or "inconclusive"; it is true for "pass" alone. Up to 4096 elements of an input
        are checked one by one, of larger ones random directions and a sample; ``notes`` tell the chance to miss one.

    Notes
    -----
    Central differences with Richardson and Ridders extrapolation (Ridders 1982); the disagreement within the
    extrapolation table is the error bar. Where rounding leaves nothing of a difference, the complex step (Squire and Trapp
    1998) may confirm the rule; the notes say so.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.5, -1.0, 2.0])
    >>> report = tg.autograd.verify(lambda x: (x.sigmoid() * x).sum(), x)
    >>> report.verdict
    'pass'
    >>> class Twice(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return -2 * g
    >>> report = tg.autograd.verify(Twice.apply, x)
    >>> report.verdict, report.findings[0].kind, report.findings[0].op
    ('fail', 'sign', 'Twice')
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    if tol is not None and not (isinstance(tol, (int, float)) and 0 <= tol < math.inf):
        raise ValueError(
            f"tol is a relative difference, 0 or more, got {tol!r}: leave it out to let the error bars decide"
        )
    bench = Workbench(fn, inputs, names)
    report = GradientReport(order=order)
    for name, dtype in bench.refused:
        hint = f"its dtype is {dtype}: there is no gradient with respect to integers; write {name}.double() to have one"
        if dtype.is_complex:
            hint = f"its dtype is {dtype}: check functions of its real and imaginary parts"
        report.findings.append(Finding("vacuous", None, name, (), math.nan, math.nan, math.nan, hint))
    report.inputs = {name: leaf._array.shape for name, leaf in bench.leaves.items()}
    report.elements = sum(leaf._array.size for leaf in bench.leaves.values())
    if bench.leaves:
        with bench.in_float64(), np.errstate(all="ignore"):
            if order == 2:
                first = _Check(bench, bench.call, GradientReport(), seed, tol).run()
                if first.verdict == "fail":
                    report.findings, report.notes = first.findings, ["the first-order gradient is wrong already:"]
                    return report
                bench.differentiate(seed)
            _Check(bench, bench.call, report, seed, tol).run()
    elif not bench.refused:
        hint = "there is no tensor that requires a gradient among the inputs"
        report.findings.append(Finding("vacuous", None, "inputs", (), math.nan, math.nan, math.nan, hint))
    return report


class _Check:
    """One comparison of an analytic with a numeric gradient."""

    def __init__(self, bench: Workbench, call: Callable[[], Any], report: GradientReport, seed: int, tol: float | None):
        self.bench, self.report, self.tol = bench, report, tol
        self.generator = random.Generator().manual_seed(seed)
        self.progress = _Progress(report.elements)
        self.witness: ComplexStep | None = None  # asked only where differences cannot tell

    def run(self) -> GradientReport:
        report, bench = self.report, self.bench
        base, again = bench.evaluate(), bench.evaluate()
        if not base:
            hint = "the function returned no floating point tensor"
            self._doubt("vacuous", next(iter(bench.leaves)), (), math.nan, Derivative(math.nan, math.nan), hint)
            return report
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(base, again, strict=True)):
            report.findings.append(find_nondeterminism(bench))
            report.evaluations = bench.evaluations
            return report
        self.base = base
        self.cotangents = [self.generator.normal(np.empty(y.shape)) for y in base]
        gradients, problem = bench.gradients(self.cotangents)
        wrong: list[tuple[str, tuple[int, ...], float, Derivative]] = []
        for name, g in gradients.items():
            wrong += self._input(name, bench.leaves[name], g, math.nan if problem is not None else 0.0)
        self.progress.done()
        report.evaluations = bench.evaluations
        if wrong or problem is not None:
            culprits = find_culprits(bench, self.cotangents, wrong, gradients, problem, self._is_right_nearby(wrong))
            if not (all(f.kind == "precision" for f in culprits) and self._confirmed(wrong)):
                report.findings = culprits + report.findings
        return report

    # --- one input ----------------------------------------------------------------------------------------------

    def _input(
        self, name: str, leaf: Tensor, gradient: Array | None, missing: float
    ) -> list[tuple[str, tuple[int, ...], float, Derivative]]:
        """Compare all or some elements of one input; the wrong ones, worst first."""
        x = leaf._array
        a = np.full(x.shape, missing) if gradient is None else gradient
        largest = float(np.max(np.abs(a[np.isfinite(a)]), initial=0.0))
        self.scale = self._scale(x)
        # Terms that cancel leave rounding: that of the function's own size over the distance on which it changes.
        self.floor = (
            4
            * EPS
            * sum(float(np.abs(y * c).sum()) for y, c in zip(self.base, self.cotangents, strict=True))
            / self.scale
        )
        self.slack = 64 * EPS * largest + (self.floor if math.isfinite(self.floor) else 0.0)
        every = x.size <= (EVERY if self.report.elements <= MANY else FEW)
        wrong: list[tuple[str, tuple[int, ...], float, Derivative]] = []
        kinks: list[tuple[tuple[int, ...], float, Derivative]] = []
        vague: list[tuple[str, tuple[int, ...], float, Derivative]] = []
        moves = False
        flat, slopes = x.reshape(-1), a.reshape(-1)
        look = self._second_look(name, flat)
        chosen = range(x.size) if every else self._sample(x.size, slopes)
        for i in chosen:
            d = self._element(flat, i, float(slopes[i]))
            kind = self._judge(float(slopes[i]), d, largest)
            if kind == "fail" and len(wrong) < CONFIRMED:
                kind, d = look.judge(i, abs(float(flat[i])) or self.scale, float(slopes[i]), d, self.slack)
            index = tuple(int(k) for k in np.unravel_index(i, x.shape))
            moves |= kind not in ("pass", "kink") or d.is_kink or abs(d.value) > d.error
            if kind == "fail":
                wrong.append((name, index, float(slopes[i]), d))
            elif kind == "kink":
                kinks.append((index, float(slopes[i]), d))
            elif kind != "pass":
                vague.append((kind, index, float(slopes[i]), d))
            self.progress.step()
        self.report.checked += len(chosen)
        if not x.size:
            self._doubt("vacuous", name, (), math.nan, Derivative(math.nan, math.nan), "it has no elements")
        if every and largest > 0 and not (moves or wrong or vague or kinks):  # rounding hides what the input does?
            still = Derivative(0.0, self.slack)
            moves = self._confirmed([(name, p, float(a[p]), still) for p in np.ndindex(x.shape)])
        unclear = [v for v in vague if v[0] == "precision"]
        if not wrong and self._confirmed([(name, *v[1:]) for v in unclear]):
            vague = [v for v in vague if v[0] != "precision"]
        if not every:
            found, turned = self._directions(name, flat, slopes)
            wrong += found
            moves |= turned
        if not moves and x.size and not wrong and not vague:
            self._vacuous(name, x, gradient)
        for kind, group in (
            ("kink", kinks),
            *((k, [v[1:] for v in vague if v[0] == k]) for k in ("precision", "not-finite")),
        ):
            if group and not (wrong and kind == "precision"):  # beside a failure it is of no interest
                index, value, d = group[0]
                self._doubt(kind, name, index, value, d, _why(kind, len(group), value, d))
        return sorted(wrong, key=lambda w: -_badness(w[2], w[3]))

    def _scale(self, x: Array) -> float:
        """The distance on which the function changes: that of x, or 1 if x is small and differences are sharper there."""
        scale = scale_of(x)
        if scale > 2.0**-10 or not x.size:
            return scale
        home, way = x.copy(), self.generator.normal(np.empty(x.shape))

        def at(t: float) -> Outputs:
            x[...] = home + t * way
            try:
                return self.bench.attempt(self.base)
            finally:
                x[...] = home

        def blur(s: float) -> float:
            d = derivative(Line(at, self.base, self.cotangents), 2.0 ** round(math.log2(s)))
            return d.error / abs(d.value) if d.value and not d.is_kink else math.inf

        return 1.0 if blur(1.0) < blur(scale) else scale

    def _confirmed(self, elements: list[tuple[str, tuple[int, ...], float, Derivative]]) -> bool:
        """Whether the complex step gives the analytic value at all of these elements."""
        if not 0 < len(elements) <= FEW:
            return False
        if self.witness is None:
            self.witness = ComplexStep(self.bench)
        for name, index, analytic, _ in elements:
            leaf = self.bench.leaves[name]
            found = self.witness.slope(leaf, int(np.ravel_multi_index(index, leaf._array.shape)), self.cotangents)
            if found is None or not abs(found[0] - analytic) <= 1e-8 * found[1]:
                return False
        many = "element" if len(elements) == 1 else "elements"
        self.report.notes.append(
            f"{elements[0][0]}: differences drown in rounding at {len(elements)} {many}, the complex step confirms the rule"
        )
        return True

    def _second_look(self, name: str, flat: Array) -> SecondLook:
        leaves = [leaf._array for leaf in self.bench.leaves.values()]
        leaves.sort(key=lambda array: not np.shares_memory(array, flat))  # the input in question first
        return SecondLook(
            leaves,
            lambda i: self._line(flat, i, self.bench.evaluate()),
            self.bench.evaluate,
            lambda cotangents: self.bench.gradients(cotangents)[0][name],
            self.cotangents,
        )

    def _is_right_nearby(self, wrong: list[Any]) -> Callable[[str, tuple[int, ...]], bool]:
        def ask(name: str, index: tuple[int, ...]) -> bool:
            x = self.bench.leaves[name]._array
            off = max(abs(w[2] - w[3].nearest(w[2])) for w in wrong if w[:2] == (name, index))
            j = int(np.ravel_multi_index(index, x.shape)) if index else 0
            return math.isfinite(off) and self._second_look(name, x.reshape(-1)).is_right_nearby(j, off)

        return ask

    def _line(self, flat: Array, i: int, base: Outputs) -> Line:
        """The function along one element."""
        value = float(flat[i])
        attempt = self.bench.attempt

        def at(t: float) -> Outputs:
            flat[i] = value + t
            try:
                return attempt(base)
            finally:
                flat[i] = value

        return Line(at, base, self.cotangents)

    def _element(self, flat: Array, i: int, expected: float) -> Derivative:
        value = float(flat[i])
        line, size = self._line(flat, i, self.base), abs(value) if math.isfinite(value) else 0.0
        d = derivative(line, 2.0 ** round(math.log2(max(size, self.scale))), expected, self.slack)
        sure = d.error < 1e-6 * abs(d.value) and not d.is_kink
        if 0 < size < self.scale and not sure and not d.accepts(expected, self.slack):
            # A small element of a large input: the steps reached far across it.
            d = derivative(line, 2.0 ** round(math.log2(size)), expected, self.slack)
        return d

    def _judge(self, analytic: float, d: Derivative, largest: float) -> str:
        if math.isnan(d.value) or math.isinf(d.error):
            return "not-finite"
        if math.isnan(analytic) or math.isinf(analytic):
            return "fail"
        slack = self.slack + MARGIN * d.error + (self.tol or 0.0) * abs(d.value)
        if not d.accepts(analytic, slack):
            return "fail" if d.error < 0.01 * max(abs(analytic), abs(d.value), largest) or d.is_kink else "precision"
        if d.is_kink:
            return "kink"
        self.report.worst = max(self.report.worst, abs(analytic - d.value) / (d.error + self.slack + 1e-300))
        return (
            "precision"
            if d.error > 0.001 * max(largest, abs(d.value)) and d.error > 1e-300 and abs(d.value) > d.error
            else "pass"
        )

    def _sample(self, n: int, slopes: Array) -> list[int]:
        """Some elements at random, and those of the largest and smallest gradient."""
        drawn = self.generator.randperm(n)[:SAMPLES].tolist()
        return sorted({*drawn, int(np.argmax(slopes)), int(np.argmin(slopes)), 0, n - 1})

    def _directions(self, name: str, flat: Array, slopes: Array) -> tuple[list[Any], bool]:
        """Random directions through all elements; where one disagrees, halve it until the element is found."""
        home = flat.copy()
        attempt, moves = self.bench.attempt, False

        def along(direction: Array) -> tuple[float, Derivative]:
            def at(t: float) -> Outputs:
                np.multiply(direction, t, out=flat)
                np.add(flat, home, out=flat)
                try:
                    return attempt(self.base)
                finally:
                    flat[...] = home

            analytic = float(slopes @ direction)
            slack = 64 * EPS * float(np.abs(slopes) @ np.abs(direction)) + self.floor * math.sqrt(flat.size)
            self.slack = slack
            scale = 2.0 ** round(math.log2(self.scale))
            return analytic, derivative(Line(at, self.base, self.cotangents), scale, analytic, slack)

        bars = []
        for _ in range(DIRECTIONS):
            direction = self.generator.normal(np.empty(flat.size))
            analytic, d = along(direction)
            moves |= abs(d.value) > d.error
            if self._judge(analytic, d, 0.0) == "fail":
                return [self._bisect(name, along, direction, slopes, flat)], True
            bars.append(d.error + self.slack)
        typical = float(np.median(bars))
        self.report.notes.append(
            f"{name}: {DIRECTIONS} random directions through all {flat.size} elements: one that is wrong by more than "
            f"{10 * MARGIN * typical:.1e} is missed with a probability below {0.08**DIRECTIONS:.0e}"
        )
        return [], moves

    def _bisect(self, name: str, along: Any, direction: Array, slopes: Array, flat: Array) -> Any:
        part = np.arange(flat.size)
        while part.size > 1:
            half = part[: part.size // 2]
            masked = np.zeros(flat.size)
            masked[half] = direction[half]
            analytic, d = along(masked)
            part = half if self._judge(analytic, d, 0.0) == "fail" else part[part.size // 2 :]
        i = int(part[0])
        self.slack = 64 * EPS * abs(float(slopes[i]))
        shape = self.bench.leaves[name]._array.shape
        return (
            name,
            tuple(int(k) for k in np.unravel_index(i, shape)),
            float(slopes[i]),
            self._element(flat, i, math.nan),
        )

    # --- what keeps it from saying anything ---------------------------------------------------------------------

    def _vacuous(self, name: str, x: Array, gradient: Array | None) -> None:
        before = x.copy()
        x += self.generator.normal(np.empty(x.shape)) * self.scale
        try:
            moved = any(not np.array_equal(a, b) for a, b in zip(self.base, self.bench.attempt(self.base), strict=True))
        finally:
            x[...] = before
        hint = (
            "the gradient is zero everywhere, by the rule and by differences: the check says nothing about the rule. "
            "softmax(x).sum() is such a function; use random weights: (w * softmax(x)).sum()"
            if moved or gradient is not None
            else "the output does not depend on this input"
        )
        if self.bench.is_elsewhere(name):
            hint += (
                ": the function uses the tensor itself, and not its argument, which is a copy in float64. For the "
                "parameters of a module write verify(lambda: ..., module)"
            )
        self._doubt("vacuous", name, (), 0.0 if gradient is not None else math.nan, Derivative(0.0, 0.0), hint)

    def _doubt(self, kind: str, name: str, index: tuple[int, ...], value: float, d: Derivative, hint: str) -> None:
        self.report.findings.append(Finding(kind, None, name, index, value, d.value, d.error, hint))


def _badness(analytic: float, d: Derivative) -> float:
    off = abs(analytic - d.value)
    return off if math.isfinite(off) else math.inf


def _why(kind: str, count: int, value: float, d: Derivative) -> str:
    many = "" if count == 1 else f"{count} elements, this one first: "
    if kind == "kink":
        return (
            f"{many}the function has a kink here; any slope in [{d.low:.6g}, {d.high:.6g}] is a subgradient, and "
            f"{value:.6g} is one"
        )
    if kind == "precision":
        return f"{many}differences are too inaccurate here to judge: move the point, or scale the function"
    return f"{many}the function or its slope is not finite here: move the point into the domain"


class _Progress:
    """A line on a terminal's standard error, once a check has taken two seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.count, self.start, self.shown = total, 0, time.monotonic(), 0.0

    def step(self) -> None:
        self.count += 1
        now = time.monotonic()
        if now - self.start > 2 and now - self.shown > 0.2 and sys.stderr.isatty():
            self.shown = now
            share = self.count / max(self.total, 1)
            bar = "#" * int(30 * share)
            print(f"\rverify |{bar:<30}| {self.count}/{self.total} elements", end="", file=sys.stderr, flush=True)

    def done(self) -> None:
        if self.shown:
            print("\r" + " " * 70 + "\r", end="", file=sys.stderr, flush=True)
