"""What `verify` makes of wrong gradients, and of right ones.

Every rule of every op is broken in each of the ways that people break them, inside a three-layer model; beside it the
same wrong gradients under PyTorch's gradcheck. And every op is checked as it is, at ordinary points, at kinks and ties,
and at extreme magnitudes: none may fail.

    python -m benchmarks.mutations [--ops exp,mul] [--seeds 1] [--samples 1] [--torch]
    python -m benchmarks.mutations --false-failures [--ops exp,mul] [--seeds 1000]
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.autograd import GradientReport, verify
from tinygrad_loss.op import ROWS, Row, wrap

Array = np.ndarray[Any, Any]
Rule = Callable[..., Any]
# Rows in which an element may be read at several places, so that its gradient is accumulated.
ACCUMULATING = {"index", "take", "gather", "embedding", "unfold", "conv", "conv_transpose", "max_pool", "avg_pool"}
# Rows that copy or step: what the tape shows of them is an op of its own or, for steps, a gradient that is zero.
PLUMBING = {"backward_hook_function"}


# --- operands -----------------------------------------------------------------------------------------------------


def samples_of(row: Row) -> list[Any]:
    return list(row.samples) or [(((3, 4),) * len(row.operands), {})]


def is_float(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f"


def operands_of(row: Row, spec: Sequence[Any], seed: int) -> list[Any]:
    """The operands of a sample, its shapes filled with numbers from the row's domain."""
    rng = np.random.default_rng((zlib.crc32(row.name.encode()), seed))
    low, high = row.domain  # type: ignore[misc]
    return [np.asarray(rng.uniform(low, high, s)) if isinstance(s, tuple) else s for s in spec]


def differentiable(row: Row, operands: Sequence[Any]) -> list[int]:
    """Which operands have a rule."""
    return [i for i, x in enumerate(operands) if is_float(x) and row.rules and (row.joint or bool(row.rules[i]))]


# --- the model ----------------------------------------------------------------------------------------------------


class Layers(nn.Module):
    """Three layers: weights scale the operands, the op, a linear map and a squared error."""

    def __init__(self, row: Row, operands: Sequence[Any], params: dict[str, Any], seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed + 1)
        self.row, self.params = row, params
        self.need = differentiable(row, operands)
        self.constants = [wrap(np.array(x)) if isinstance(x, (np.ndarray, np.generic)) else x for x in operands]
        self.first = nn.ParameterList()
        self.data = []
        for i in self.need:
            weight = rng.uniform(0.5, 1.5, np.shape(operands[i]))
            self.first.append(nn.Parameter(wrap(np.asarray(weight))))
            self.data.append(wrap(np.asarray(operands[i] / weight)))
        with tg.no_grad():
            out = self.middle()
        self.shape = out.shape
        self.last = nn.Parameter(
            wrap(rng.standard_normal((max(out._array.size, 1), 3)) / max(out._array.size, 1) ** 0.5)
        )
        self.target = wrap(rng.standard_normal((1, 3)))

    def middle(self) -> Any:
        """The first two layers."""
        operands = list(self.constants)
        for i, weight, x in zip(self.need, self.first, self.data, strict=True):
            operands[i] = weight * x
        out = self.row.call(*operands, **self.params)
        return out[0] if isinstance(out, tuple) else out

    def forward(self) -> Any:
        """The loss."""
        return nn.functional.mse_loss(self.middle().reshape(1, -1) @ self.last, self.target)

    def gradients(self) -> list[Array] | None:
        """The gradients of all parameters; None if the backward raises."""
        try:
            found = tg.autograd.grad(self.forward(), list(self.parameters()), materialize_grads=True)
        except (RuntimeError, ValueError, TypeError, IndexError):
            return None
        return [np.array(g._array) for g in found]


# --- mutants ------------------------------------------------------------------------------------------------------


@dataclass
class Mutant:
    """One rule, broken in one way; `kind` is what `verify` should call it, None if there is no name for it."""

    name: str
    kind: str | None
    operand: int
    change: Callable[[Array, Array, Callable[[Array], Array]], Array] | None = None  # of (gradient, g, rule of g)
    save: tuple[int, tuple[str, int]] | None = None  # which value of the rule's save list is another one
    other: int | None = None  # the operand whose rule is used


def mutants_of(row: Row, operands: Sequence[Any], out: Array, flat: Collection[int]) -> Iterator[Mutant]:
    need = differentiable(row, operands)
    for i in need:
        x = np.asarray(operands[i])
        if not x.size:
            continue
        if i in flat:
            yield from slopes_of_steps(i, x, out)
            continue
        shape = x.shape
        yield Mutant("sign", "sign", i, lambda d, g, rule: -d)
        yield Mutant("factor 2", "scale", i, lambda d, g, rule: 2 * d)
        yield Mutant("factor 1.0005", "scale", i, lambda d, g, rule: 1.0005 * d)
        if out.size > 2:
            yield Mutant("factor 1/N", "scale", i, lambda d, g, rule: d / out.size)
        yield Mutant("zero", "zero-gradient" if len(need) == 1 else "forgotten-term", i, lambda d, g, rule: 0 * d)
        yield Mutant("incoming gradient ignored", "ignores-incoming", i, lambda d, g, rule: rule(np.ones_like(g)))
        yield Mutant("one element", None, i, lambda d, g, rule, s=shape: one_element(d, s))
        if x.size > 1 and shape[-1] > 1:
            yield Mutant("shifted", "shifted", i, lambda d, g, rule, s=shape: np.roll(fitted(d, s), 1, -1))
        if len(shape) > 1 and min(shape[-2:]) > 1:
            yield Mutant("transposed", "transposed", i, lambda d, g, rule, s=shape: np.swapaxes(fitted(d, s), -1, -2))
            if shape[-1] != shape[-2]:
                yield Mutant("rows for columns", "transposed", i, lambda d, g, rule, s=shape: rows_for_columns(d, s))
        if shape != out.shape and broadcasts(shape, out.shape) and not conv_bias(row, i):
            yield Mutant(
                "not summed", "missing-unbroadcast", i, lambda d, g, rule, s=shape: rule(one_slice(g, s))
            )  # fmt: skip
        if row.name in ACCUMULATING and not conv_bias(row, i):
            yield Mutant("overwritten", "overwritten", i, lambda d, g, rule, s=shape: last_use(g, rule, s))
        yield Mutant("local derivative left out", None, i, lambda d, g, rule: g if g.shape == d.shape else d + 0.1)
        for j in need:
            if j != i and np.shape(operands[j]) == shape:
                yield Mutant("arguments swapped", None, i, other=j)
                break
        if not row.joint:
            yield from saved_mutants(row, operands, out, i)


def slopes_of_steps(i: int, x: Array, out: Array) -> Iterator[Mutant]:
    """A gradient where there is none: nothing that is done to zero changes it, so these do not start from it.

    Passed on is the straight-through estimator, the slope of tanh a surrogate as in spiking networks.
    """

    def one(g: Array) -> Array:
        d = np.zeros_like(x)
        d.reshape(-1)[x.size // 2] = g.reshape(-1)[0]
        return d

    for kind, slope in (
        (None, lambda g: g),
        (None, lambda g: -g),
        (None, lambda g: 2 * g),
        (None, lambda g: g / out.size),
        (None, lambda g: g * x),
        (None, lambda g: g * out),
        (None, lambda g: g * (1 - np.tanh(x) ** 2)),
        (None, lambda g: np.roll(g, 1, -1)),
        (None, lambda g: np.full_like(x, g.mean())),
        (None, one),
        ("ignores-incoming", lambda g: np.ones_like(x)),
        ("ignores-incoming", lambda g: 1 - np.tanh(x) ** 2),
    ):
        yield Mutant("slope of a step", kind, i, lambda d, g, rule, f=slope: f(g))


def conv_bias(row: Row, i: int) -> bool:
    """A bias counts channels, wherever the channels of the output are."""
    return row.name.startswith("conv") and i == 2


def saved_mutants(row: Row, operands: Sequence[Any], out: Array, i: int) -> Iterator[Mutant]:
    """The output where an operand belongs, or an operand where the output belongs."""
    for slot, source in enumerate(row.sources[i]):
        if source is None:
            continue
        kind, k = source
        if kind == "operand" and np.shape(operands[k]) == out.shape and not isinstance(operands[k], (int, float)):
            if is_float(operands[k]):
                yield Mutant("output for input", "output-for-input", i, save=(slot, ("output", 0)))
        elif kind == "output" and k == 0:
            for j, x in enumerate(operands):
                if is_float(x) and x.shape == out.shape:
                    yield Mutant("input for output", "output-for-input", i, save=(slot, ("operand", j)))
                    break


def fitted(d: Array, shape: tuple[int, ...]) -> Array:
    """A gradient in the shape of its operand: summed where it was broadcast."""
    d = np.asarray(d)
    while d.ndim > len(shape):
        d = d.sum(axis=0)
    if d.ndim == len(shape):
        for axis, n in enumerate(shape):
            if n == 1 != d.shape[axis]:
                d = d.sum(axis=axis, keepdims=True)
    return d


def one_element(d: Array, shape: tuple[int, ...]) -> Array:
    d = np.array(fitted(d, shape))
    if d.size:
        k = np.argmax(np.abs(d))
        d.reshape(-1)[k] = 1.01 * d.reshape(-1)[k] or 0.01
    return d


def rows_for_columns(d: Array, shape: tuple[int, ...]) -> Array:
    d = fitted(d, shape)
    return np.swapaxes(d, -1, -2).reshape(d.shape)


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(shape[::-1], to[::-1], strict=False))


def one_slice(g: Array, shape: tuple[int, ...]) -> Array:
    """The incoming gradient at the first place of every dimension that broadcasting added."""
    if not broadcasts(shape, g.shape):
        return g
    full = (1,) * (g.ndim - len(shape)) + shape
    first = tuple(slice(0, 1) if n == 1 else slice(None) for n in full)
    out = np.zeros_like(g)
    out[first] = g[first]
    return out


def last_use(g: Array, rule: Callable[[Array], Array], shape: tuple[int, ...]) -> Array:
    """Of all the contributions to an element, the last one alone."""
    out = np.zeros(shape)
    for k in range(g.size):
        one = np.zeros_like(g)
        one.reshape(-1)[k] = g.reshape(-1)[k]
        d = np.asarray(rule(one))
        out[d != 0] = d[d != 0]
    return out


@contextmanager
def planted(row: Row, mutant: Mutant) -> Iterator[None]:
    """Let a row have the broken rule."""
    before = row.rules, row.pickers, row.sources
    i = mutant.operand
    rules, pickers, sources = list(row.rules), list(row.pickers), list(row.sources)
    if row.joint:
        rules[0] = _joint(row.rules[0], mutant)  # type: ignore[arg-type]
    elif mutant.other is not None:
        rules[i], pickers[i], sources[i] = rules[mutant.other], pickers[mutant.other], sources[mutant.other]
    elif mutant.save is not None:
        pickers[i], sources[i] = _resaved(row, i, *mutant.save)
    else:
        rules[i] = _changed(row.rules[i], mutant)  # type: ignore[arg-type]
    row.rules, row.pickers, row.sources = tuple(rules), pickers, sources
    try:
        yield
    finally:
        row.rules, row.pickers, row.sources = before


def _changed(right: Rule, mutant: Mutant) -> Rule:
    def rule(g: Any, *saved: Any) -> Any:
        d = right(g, *saved)
        return mutant.change(np.asarray(d), g, lambda c: np.asarray(right(c, *saved)))  # type: ignore[misc]

    return rule


def _joint(right: Rule, mutant: Mutant) -> Rule:
    def rule(g: Any, *saved: Any) -> Any:
        found, i = list(right(g, *saved)), mutant.operand
        if mutant.other is not None:
            found[i] = found[mutant.other]
        elif i < len(found) and found[i] is not None:
            found[i] = mutant.change(np.asarray(found[i]), g, lambda c: np.asarray(right(c, *saved)[i]))  # type: ignore[misc]
        return tuple(found)

    return rule


def _resaved(row: Row, i: int, slot: int, source: tuple[str, int]) -> tuple[Any, Any]:
    pick, sources = row.pickers[i], list(row.sources[i])
    sources[slot] = source
    kind, k = source

    def picker(out: Any, xs: Any, params: Any) -> tuple[Any, ...]:
        values = list(pick(out, xs, params))  # type: ignore[misc]
        values[slot] = xs[k] if kind == "operand" else out if len(row.outputs) == 1 else out[0]
        return tuple(values)

    return picker, sources


# --- the table of mutants -----------------------------------------------------------------------------------------


@dataclass
class Tally:
    """How many mutants, and how many of them were caught, attributed, named; and by PyTorch's gradcheck."""

    mutants: int = 0
    failed: int = 0
    op: int = 0
    nameable: int = 0
    kind: int = 0
    slow: int = 0
    fast: int = 0

    def line(self, title: str, torch: bool) -> str:
        """A line of the table."""
        named = f"{self.kind} of {self.nameable}" if self.nameable else "no name for it"
        theirs = f" {self.slow} | {self.fast} |" if torch else ""
        return f"| {title} | {self.mutants} | {self.failed} | {self.op} | {named} |{theirs}"

    def add(self, other: Tally) -> None:
        """Count these as well."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Table:
    """The results by mutation and by op, and what went wrong."""

    by_mutation: dict[str, Tally] = field(default_factory=dict)
    by_op: dict[str, Tally] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)
    unchanged: int = 0
    seconds: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)  # of right gradients

    def total(self) -> Tally:
        """Of all mutations."""
        out = Tally()
        for tally in self.by_mutation.values():
            out.add(tally)
        return out


def differs(a: list[Array] | None, b: list[Array]) -> bool:
    if a is None:
        return True
    largest = max((float(np.max(np.abs(y), initial=0.0)) for y in b), default=0.0) or 1.0
    return any(not np.all(np.abs(x - y) <= 1e-7 * largest) for x, y in zip(a, b, strict=True))


def judge(report: GradientReport, row: Row, mutant: Mutant) -> Tally:
    failures = [f for f in report.findings if f.is_failure]
    right = bool(failures) and all(f.op == row.name for f in failures)
    return Tally(
        1,
        int(report.verdict == "fail"),
        int(right),
        int(mutant.kind is not None),
        int(mutant.kind in [f.kind for f in failures]),
    )


def run(ops: Sequence[str], seeds: int = 1, torch: bool = False, most_samples: int | None = None) -> Table:
    """Break every rule of these ops in every way that changes the gradient of the model."""
    table = Table()
    for name in ops:
        row = ROWS[name]
        for seed in range(seeds):
            for number, (spec, params) in enumerate(samples_of(row)[:most_samples]):
                operands = operands_of(row, spec, seed)
                if differentiable(row, operands):
                    break_rules(
                        table, row, Layers(row, operands, params, seed), operands, f"{name}-{number}-{seed}", torch
                    )
    return table


def break_rules(table: Table, row: Row, model: Layers, operands: Sequence[Any], label: str, torch: bool) -> None:
    with tg.no_grad():
        out = model.middle()._array
    right = model.gradients()
    if right is None or out.dtype.kind != "f":
        return
    if torch:
        for mode, alarm in gradcheck_of_pytorch(model, table).items():
            table.alarms[mode] += alarm
    flat = [i for i, d in zip(model.need, right[1:], strict=True) if not d.any()]  # after the last layer's
    for mutant in mutants_of(row, operands, out, flat):
        with planted(row, mutant):
            if not differs(model.gradients(), right):
                table.unchanged += 1
                continue
            start = time.perf_counter()
            report = verify(model, model)
            table.seconds["verify"] += time.perf_counter() - start  # type: ignore[assignment]
            tally = judge(report, row, mutant)
            if torch:
                theirs = gradcheck_of_pytorch(model, table)
                tally.slow, tally.fast = int(theirs["slow"]), int(theirs["fast"])
        table.by_mutation.setdefault(mutant.name, Tally()).add(tally)
        table.by_op.setdefault(row.name, Tally()).add(tally)
        if not (tally.failed and tally.op and tally.kind >= tally.nameable):
            said = "; ".join(f"{f.kind} in {f.op}" for f in report.findings) or "nothing"
            table.misses.append(f"{label}: {mutant.name} of operand {mutant.operand}: {report.verdict}, {said}")
            print(table.misses[-1], flush=True)


def gradcheck_of_pytorch(model: Layers, table: Table) -> dict[str, bool]:
    """Whether PyTorch's gradcheck, slow and fast, refuses the gradient that the model has at present."""
    import torch

    parameters = list(model.parameters())

    class Model(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *values: Any) -> Any:
            ctx.values = [v.detach().numpy().copy() for v in values]
            with tg.no_grad():
                return torch.tensor(with_values(ctx.values, lambda: model()._array.item()), dtype=torch.float64)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            found = with_values(ctx.values, model.gradients)
            if found is None:
                raise RuntimeError("the backward raised")
            return tuple(g * torch.from_numpy(d) for d in found)

    def with_values(values: list[Array], call: Callable[[], Any]) -> Any:
        before = [p._array for p in parameters]
        try:
            for p, value in zip(parameters, values, strict=True):
                p._array = value
            return call()
        finally:
            for p, value in zip(parameters, before, strict=True):
                p._array = value

    refused = {}
    for mode in ("slow", "fast"):
        inputs = [torch.tensor(p._array, dtype=torch.float64, requires_grad=True) for p in parameters]
        start = time.perf_counter()
        try:
            passed = torch.autograd.gradcheck(Model.apply, inputs, raise_exception=False, fast_mode=mode == "fast")
        except RuntimeError:
            passed = False
        table.seconds[mode] += time.perf_counter() - start  # type: ignore[assignment]
        refused[mode] = not passed
    return refused


def markdown(table: Table, torch: bool) -> str:
    theirs = (" gradcheck fails | fast_mode fails |", " ---: | ---: |") if torch else ("", "")
    head = f"| | mutants | `verify` fails | names the op | names the mistake |{theirs[0]}"
    head += f"\n| --- | ---: | ---: | ---: | ---: |{theirs[1]}"
    total = table.total()
    lines = [head, *(t.line(name, torch) for name, t in table.by_mutation.items()), total.line("**all**", torch)]
    seconds = ", ".join(f"{mode} {s:.0f} s" for mode, s in table.seconds.items())
    lines += ["", f"{len(table.by_op)} ops, {table.unchanged} mutants that change no gradient left out; {seconds}."]
    if torch:
        lines.append(
            f"Of the right gradients gradcheck refused {table.alarms['slow']}, fast_mode {table.alarms['fast']}."
        )
    by_op = (t.line(f"`{name}`", torch) for name, t in sorted(table.by_op.items()))
    lines += ["", "## By op", "", head.replace("| |", "| op |", 1), *by_op]
    return "\n".join(lines)


# --- right gradients ----------------------------------------------------------------------------------------------

HOW = ("inside", "inside", "kinks", "extremes", "inside", "inside", "kinks", "mixed")
QUOTIENTS = {"floor_divide", "trunc_divide", "remainder", "fmod"}
STEPS = {"floor", "ceil", "trunc", "round", "round_decimals", "frac"}


def point(row: Row, spec: Sequence[Any], seed: int, how: str) -> list[Any]:
    """Operands inside the domain, at kinks and ties (halves), or of magnitudes from 1e-12 to 1e12, or mixed ones.

    Treads of a staircase narrower than the spacing of float64 look like a slope to every difference: steps and quotients
    stay below 1e9. Some rules are, as in PyTorch, not the derivative everywhere: those of binary_cross_entropy and its
    gradient within 1e-12 of 0 and 1, and that of variance_floor below its floor.
    """
    rng = np.random.default_rng((zlib.crc32(row.name.encode()), seed))
    low, high = row.domain  # type: ignore[misc]
    out: list[Any] = []
    for i, s in enumerate(spec):
        if not isinstance(s, tuple):
            out.append(s)
            continue
        x = rng.uniform(low, high, s)
        if how == "kinks":
            x = np.clip(np.round(2 * x) / 2, low, high)
        elif how == "extremes":
            x = x * 10.0 ** rng.integers(-12, 13)
        elif how == "mixed":
            x = x * 10.0 ** rng.integers(-9, 10, s)
        if row.name in STEPS:
            x = np.fmod(x, 1e9)
        elif row.name in QUOTIENTS and how in ("extremes", "mixed"):
            x = np.where(x < 0, -1, 1) * np.abs(x) ** 0.25
        elif (row.name, i) in (("binary_cross_entropy", 0), ("binary_cross_entropy_grad", 1)):
            x = np.clip(x, 1e-6, 1 - 1e-6)
        elif (row.name, i) in (
            ("binary_cross_entropy_with_logits", 1),
            ("binary_cross_entropy_with_logits_grad", 2),
        ):
            x = np.clip(x, 0, 1)
        elif row.name == "variance_floor":
            x = np.abs(x) + 0.2
        out.append(np.asarray(x))
    return out


def check_right(row: Row, seed: int) -> GradientReport | None:
    """Verify a row as it is; None where it has no rule, or refuses the point."""
    samples = samples_of(row)
    spec, params = samples[seed % len(samples)]
    operands = point(row, spec, seed, HOW[seed // len(samples) % len(HOW)])
    need = differentiable(row, operands)
    if not need:
        return None
    constants = [wrap(np.array(x)) if isinstance(x, (np.ndarray, np.generic)) else x for x in operands]

    def fn(*inputs: Any) -> Any:
        full = list(constants)
        for i, x in zip(need, inputs, strict=True):
            full[i] = x
        y = row.call(*full, **params)
        return y[0] if isinstance(y, tuple) else y

    inputs = [wrap(np.array(operands[i])) for i in need]
    try:
        with tg.no_grad():
            fn(*inputs)
    except RuntimeError:  # outside the domain
        return None
    return verify(fn, inputs, seed=seed)


def false_failures(ops: Sequence[str], seeds: int, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Verify every op at so many points; the verdicts, and what was said where a right gradient failed."""
    verdicts: Counter[str] = Counter()
    failures = []
    for name in ops:
        for seed in range(first, first + seeds):
            report = check_right(ROWS[name], seed)
            verdict = "no rule, or refused" if report is None else report.verdict
            verdicts[verdict] += 1
            if verdict == "fail":
                failures.append(f"{name}, seed {seed}:\n{report}")
                print(failures[-1], flush=True)
    return verdicts, failures


# --- the command --------------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description=str(__doc__).splitlines()[0])
    parser.add_argument("--ops", help="comma separated, default all")
    parser.add_argument("--seeds", type=int, help="points per sample (default 1), or per op of --false-failures (1000)")
    parser.add_argument("--samples", type=int, help="of each op's samples, take so many (default all)")
    parser.add_argument("--first", type=int, default=0, help="the first seed of --false-failures")
    parser.add_argument("--torch", action="store_true", help="the same mutants under PyTorch's gradcheck")
    parser.add_argument("--false-failures", action="store_true", help="check the right gradients")
    args = parser.parse_args(argv)
    unknown = [name for name in (args.ops or "").split(",") if name and name not in ROWS]
    if unknown:
        parser.error(f"no such op: {', '.join(unknown)}")
    ops = args.ops.split(",") if args.ops else [name for name in ROWS if name not in PLUMBING]
    if args.false_failures:
        verdicts, failures = false_failures(ops, args.seeds or 1000, args.first)
        print(f"{len(ops)} ops, {args.seeds or 1000} seeds each: " + ", ".join(f"{n} {v}" for v, n in verdicts.items()))
        return int(bool(failures))
    table = run(ops, args.seeds or 1, args.torch, args.samples)
    print(markdown(table, args.torch))
    total = table.total()
    return int(total.failed < total.mutants or total.op < total.mutants)


if __name__ == "__main__":
    sys.exit(main())
