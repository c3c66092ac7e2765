"""Which op is wrong: each call on the tape is checked alone, at the very values that flowed through it."""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random
from ..dtypes import Array
from ..op import PACKAGE, edge_of, source_line
from .differences import EPS, REFUSALS, Derivative, Line, Outputs, derivative, scale_of
from .hypotheses import Evidence, name_the_mistake
from .report import Finding
from .second_look import SecondLook
from .workbench import Call, Workbench

Wrong = tuple[str, tuple[int, ...], float, Derivative]
SINGLY = 600  # elements of an operand up to which each is checked; of a larger one a sample
LOOKS = 24  # elements that seem wrong at which a second look is taken
MARGIN = 10.0
LOSSY = 1e8  # how much larger than inputs and outputs a value on the way may be: half the digits are lost then


def find_culprits(
    bench: Workbench,
    cotangents: list[Array],
    wrong: list[Wrong],
    gradients: dict[str, Array | None],
    problem: Exception | None,
    right_nearby: Callable[[str, tuple[int, ...]], bool],
) -> list[Finding]:
    """Say which ops make the gradient wrong; if every rule is right by itself, what else happened on the way."""
    calls = bench.trace()
    name, index, analytic, d = (
        wrong[0] if wrong else (next(iter(bench.leaves)), (), math.nan, Derivative(math.nan, 0.0))
    )
    findings = []
    told: set[tuple[str, str]] = set()
    for call in calls:
        for kind, hint in examine(call):
            where = source_line(call.where)
            if (call.row.name, kind) not in told:
                told.add((call.row.name, kind))
                findings.append(Finding(kind, call.row.name, name, index, analytic, d.value, d.error, hint, where))
    if findings:
        return findings
    finding = _overwritten_values(calls, problem) or _cut_off(bench, calls)
    if finding is not None:
        kind, op, hint, where = finding
        return [Finding(kind, op, name, index, analytic, d.value, d.error, hint, where)]
    if problem is not None:
        return [Finding("wrong", None, name, index, analytic, d.value, d.error, f"backward {_raised(problem)}")]
    return [_without_culprit(calls, bench, wrong, gradients, right_nearby)]


# --- one op by itself ---------------------------------------------------------------------------------------------


def examine(call: Call) -> list[tuple[str, str]]:
    """The mistakes in the rules of one call, as (kind, hint)."""
    need = [i for i, (v, t) in enumerate(zip(call.values, call.tracked, strict=True)) if t and v.dtype.kind == "f"]
    if not need:
        return []
    # C order: reshape(-1) is then a view, through which elements are moved.
    values = [
        np.array(v, np.float64, order="C") if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v
        for v in call.values
    ]
    generator = random.Generator().manual_seed(call.out.size)
    mistakes = []
    for output in call.differentiable:
        mistakes += _examine_output(Evidence(call, values, need, generator, output))
    return list(dict.fromkeys(mistakes))


def _examine_output(evidence: Evidence) -> list[tuple[str, str]]:
    if evidence.out.dtype.kind != "f" or not np.isfinite(evidence.out).all():
        return []
    try:
        analytic = evidence.analytic(evidence.cotangent)
    except Exception as error:  # noqa: BLE001 -- whatever a rule raises is a finding
        return [_from_error(error)]
    if analytic is None:
        return []  # the op is not on the tape by itself, so it has no rule to blame
    mistakes = []
    for i in evidence.need:
        a = analytic[i]
        numeric, bars, chosen = numeric_gradient(evidence, i, a)
        bad = ~(np.abs(a.reshape(-1)[chosen] - numeric) <= MARGIN * bars)
        bad &= np.isfinite(numeric)
        if bad.any() and _stands(evidence, i, a, numeric, bars, chosen, bad):
            mistakes.append(name_the_mistake(evidence, i, a, numeric, bars, chosen))
    return mistakes


def numeric_gradient(evidence: Evidence, i: int, analytic: Array) -> tuple[Array, Array, Array]:
    """Differences for the elements of operand i: values, error bars (NaN at a kink whose range holds), which elements."""
    x = evidence.values[i]
    flat, slopes = x.reshape(-1), analytic.reshape(-1)
    n = flat.size
    chosen = np.arange(n)
    if n > SINGLY:
        drawn = evidence.generator.randperm(n)[: max(48, min(150, 5_000_000 // max(evidence.out.size, 1)))]
        suspect = _suspect(evidence, flat, slopes)
        chosen = np.unique(np.concatenate([drawn, [0, n - 1, np.argmax(np.abs(slopes))], suspect])).astype(int)
    scale = scale_of(x)
    slack = 64 * EPS * float(np.max(np.abs(slopes[np.isfinite(slopes)]), initial=0.0))
    numeric, bars, base = np.empty(chosen.size), np.empty(chosen.size), evidence.forward()
    for k, j in enumerate(chosen):
        line, size = _line(evidence, flat, int(j), base), abs(float(flat[j])) if np.isfinite(flat[j]) else 0.0
        d = derivative(line, 2.0 ** round(math.log2(max(size, scale))), float(slopes[j]), slack)
        if 0 < size < scale and not d.accepts(float(slopes[j]), slack):
            d = derivative(line, 2.0 ** round(math.log2(size)), float(slopes[j]), slack)
        inside = d.is_kink and d.accepts(float(slopes[j]), slack + MARGIN * d.error)
        numeric[k] = slopes[j] if inside else d.nearest(float(slopes[j]))
        bars[k] = d.error + slack
    return numeric, bars, chosen


def _suspect(evidence: Evidence, flat: Array, slopes: Array) -> list[int]:
    """Of a large operand an element that is wrong, if a random direction shows that there is one: by halving."""
    base, scale, home = evidence.forward(), scale_of(flat), flat.copy()
    direction = evidence.generator.normal(np.empty(flat.size))

    def wrong(part: Array) -> bool:
        step = np.zeros(flat.size)
        step[part] = direction[part]

        def at(t: float) -> Outputs:
            flat[...] = home + t * step
            try:
                return evidence.forward()
            except REFUSALS:
                return [np.full(y.shape, np.nan) for y in base]
            finally:
                flat[...] = home

        expected = float((slopes * step).sum())
        slack = 64 * EPS * float((np.abs(slopes) * np.abs(step)).sum())
        d = derivative(Line(at, base, [evidence.cotangent]), 2.0 ** round(math.log2(scale)), expected, slack)
        return math.isfinite(d.value) and not d.accepts(expected, slack + MARGIN * d.error)

    part = np.arange(flat.size)
    if not wrong(part):
        return []
    while part.size > 1:
        half = part[: part.size // 2]
        part = half if wrong(half) else part[part.size // 2 :]
    return part.tolist()


def _line(evidence: Evidence, flat: Array, j: int, base: Outputs) -> Line:
    """The op along one element of an operand."""
    home = float(flat[j])

    def at(t: float) -> Outputs:
        flat[j] = home + t
        try:
            return evidence.forward()
        except REFUSALS:
            return [np.full(y.shape, np.nan) for y in base]
        finally:
            flat[j] = home

    return Line(at, base, [evidence.cotangent])


def _stands(evidence: Evidence, i: int, a: Array, numeric: Array, bars: Array, chosen: Array, bad: Array) -> bool:
    """Whether a second look at the elements that seem wrong leaves one that is."""
    flat = evidence.values[i].reshape(-1)
    inputs = [evidence.values[i], *(evidence.values[k] for k in evidence.need if k != i)]

    def gradient(cotangents: Outputs) -> Array | None:
        found = evidence.analytic(cotangents[0])
        return None if found is None else found[i]

    look = SecondLook(
        inputs,
        lambda j: _line(evidence, flat, j, evidence.forward()),
        evidence.forward,
        gradient,
        [evidence.cotangent],
    )
    scale = scale_of(flat)
    for k in np.flatnonzero(bad)[:LOOKS]:
        j = int(chosen[k])
        d = Derivative(float(numeric[k]), float(bars[k]))
        if look.judge(j, abs(float(flat[j])) or scale, float(a.reshape(-1)[j]), d, float(bars[k]))[0] == "fail":
            return True
    return bool(bad.sum() > LOOKS)


def _from_error(error: Exception) -> tuple[str, str]:
    """A rule that raised: a gradient of another shape than its operand's is transposed, or not summed back."""
    shapes = re.search(r"got \[(.*?)\] but expected shape compatible with \[(.*?)\]", str(error))
    if shapes is None:
        return "wrong", f"the rule {_raised(error)}"
    got, expected = (tuple(int(n) for n in text.split(", ") if n) for text in shapes.groups())
    said = f"the rule gives a gradient of shape {list(got)} for an operand of shape {list(expected)}"
    if sorted(got) == sorted(expected):
        return "transposed", f"{said}: transpose it"
    sizes = iter(got)
    if len(got) > len(expected) and all(n in sizes for n in expected if n != 1):
        return "missing-unbroadcast", f"{said}: sum it over the other dimensions"
    return "wrong", said


def _raised(error: Exception) -> str:
    """What was raised, and the user's line that raised it."""
    what = str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(PACKAGE)]
    return f"raised: {what}" + (f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else "")


# --- every rule is right by itself --------------------------------------------------------------------------------


def _overwritten_values(calls: list[Call], problem: Exception | None) -> tuple[str, str, str, str] | None:
    for call in calls:
        for value, copy in call.saved:
            if not np.array_equal(value, copy, equal_nan=True):
                hint = "a value that the op saved was written to before the backward"
                if problem is None:
                    hint += ", behind the version counter (through .data or .numpy()); write to a clone"
                else:
                    hint += f", which {_raised(problem)}"
                return "saved-modified", call.row.name, hint, source_line(call.where)
    return None


def _cut_off(bench: Workbench, calls: list[Call]) -> tuple[str, str, str, str] | None:
    """Find a value that depends on the inputs but is not on the tape: it moves when they do."""
    homes = {name: leaf._array.copy() for name, leaf in bench.leaves.items()}
    generator = random.Generator().manual_seed(7)
    try:
        for leaf in bench.leaves.values():
            leaf._array += generator.normal(np.empty(leaf._array.shape)) * 1e-3 * scale_of(leaf._array)
        moved = bench.trace()
    except REFUSALS:  # outside the domain
        return None
    finally:
        for name, leaf in bench.leaves.items():
            leaf._array[...] = homes[name]
    own = {id(leaf) for leaf in bench.leaves.values()}
    for a, b in zip(calls, moved, strict=False):
        if a.row is not b.row:
            return None
        where = source_line(a.where)
        if any(a.tracked) and edge_of(a.result) is None and a.out.dtype.kind == "f" and _moved(a.out, b.out):
            hint = "its result is not on the tape though its operands are: it was computed inside no_grad()"
            if not a.row.joint and not any(rule and t for rule, t in zip(a.row.rules, a.tracked, strict=False)):
                hint = "it has no rule for its operand, so its result is not on the tape: give op(...) a vjp"
            return "detached", a.row.name, hint, where
        for x, u, v, tracked in zip(
            (*a.operands, *a.params.values()),
            (*a.values, *a.params.values()),
            (*b.values, *b.params.values()),
            (*a.tracked, *(False for _ in a.params)),
            strict=True,
        ):
            if tracked or id(x) in own or not _is_float(u):
                continue
            if _moved(u, v) and not _made_untracked(x, calls):
                hint = (
                    "one of its operands depends on the input but is not on the tape: look for detach(), .data, .item() or "
                    "NumPy on the way to it"
                )
                return "detached", a.row.name, hint, where
    return None


def _made_untracked(x: Any, calls: list[Call]) -> bool:
    """Whether a traced op made this tensor from operands that no gradient was asked for: that op's operand is to blame."""
    return any(call.result is x and not any(call.tracked) for call in calls)


def _is_float(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


def _moved(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape != b.shape or not np.array_equal(a, b, equal_nan=True)


def _without_culprit(
    calls: list[Call],
    bench: Workbench,
    wrong: list[Wrong],
    gradients: dict[str, Array | None],
    right_nearby: Callable[[str, tuple[int, ...]], bool],
) -> Finding:
    name, index, analytic, d = wrong[0]
    if gradients[name] is not None and not math.isfinite(analytic):
        return _not_finite(calls, wrong[0])
    if gradients[name] is not None:
        usual = max(1.0, *(_largest(leaf._array) for leaf in bench.leaves.values()))
        largest = max((_largest(call.out) for call in calls), default=0.0)
        if largest > LOSSY * max(usual, _largest(calls[-1].out)):
            hint = f"values of {largest:.0e} on the way leave only rounding of a difference: move the point"
            return Finding("precision", None, name, index, analytic, d.value, d.error, hint)
        if right_nearby(name, index):
            hint = (
                "every rule is right, and so is the gradient close by: here the function has a kink, and what the rules choose "
                "there is no subgradient of the whole"
            )
            return Finding("kink", None, name, index, analytic, d.value, d.error, hint)
    hint = "no single op's rule explains it"
    if not np.any(gradients[name]) and gradients[name] is not None:
        return Finding("zero-gradient", None, name, index, analytic, d.value, d.error, hint)
    if gradients[name] is None:
        hint = "the input is not on the tape of the output although the output depends on it"
        return Finding("detached", None, name, index, analytic, d.value, d.error, hint)
    return Finding("wrong", None, name, index, analytic, d.value, d.error, hint)


def _not_finite(calls: list[Call], wrong: Wrong) -> Finding:
    """The op where NaN and infinities begin, of a gradient that has them although the function is smooth."""
    name, index, analytic, d = wrong
    for call in calls:
        if any(call.tracked) and call.out.dtype.kind == "f" and not _is_finite(call):
            hint = (
                "its result or its slope is not finite at some element, and what follows does not keep that out of the "
                "gradient (0 * inf is NaN, behind where() too): give the op a harmless operand there"
            )
            where = source_line(call.where)
            return Finding("wrong", call.row.name, name, index, analytic, d.value, d.error, hint, where)
    return Finding("wrong", None, name, index, analytic, d.value, d.error, "no single op's rule explains it")


def _is_finite(call: Call) -> bool:
    need = [i for i, (v, t) in enumerate(zip(call.values, call.tracked, strict=True)) if t and v.dtype.kind == "f"]
    slopes = Evidence(call, call.values, need, random.Generator().manual_seed(1)).analytic(np.ones_like(call.out))
    return all(np.isfinite(x).all() for x in (call.out, *(slopes or {}).values()))


def _largest(x: Array) -> float:
    return float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0)) if x.dtype.kind == "f" else 0.0


# --- random functions ---------------------------------------------------------------------------------------------


def find_nondeterminism(bench: Workbench) -> Finding:
    """Name the first op whose result differs between two runs at the same values."""
    before = random.default_generator.get_state()
    homes = {name: leaf._array.copy() for name, leaf in bench.leaves.items()}
    first, second = bench.trace(), bench.trace()
    written = [name for name, leaf in bench.leaves.items() if _moved(leaf._array, homes[name])]
    if not np.array_equal(before, random.default_generator.get_state()):
        advice = "it draws random numbers: call tg.manual_seed(...) inside the function, or model.eval()"
    elif written:
        advice = f"the function writes to {written[0]} itself"
    else:
        advice = "it reads something that changes between calls"
    name = next(iter(bench.leaves))
    for a, b in zip(first, second, strict=False):
        if a.row is not b.row or _moved(a.out, b.out):
            within = f" of {a.caller}" if a.caller not in ("", a.row.name) else ""
            hint = f"two evaluations at the same values differ, from this op{within} on; {advice}"
            return Finding(
                "nondeterministic", a.row.name, name, (), math.nan, math.nan, math.nan, hint, source_line(a.where)
            )
    hint = f"two evaluations at the same values differ; {advice}"
    return Finding("nondeterministic", None, name, (), math.nan, math.nan, math.nan, hint)
