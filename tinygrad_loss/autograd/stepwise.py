"""``finite_difference``: one derivative at many step sizes, to see truncation give way to rounding."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..op import TensorBase, edge_of, wrap
from .backward import grad
from .differences import Line, derivative, scale_of
from .grad_mode import enable_grad, no_grad

if TYPE_CHECKING:
    from pathlib import Path


class Step(NamedTuple):
    """The estimates with one step size; extrapolated combines it with the step before."""

    step: float
    forward: float
    central: float
    extrapolated: float
    forward_error: float
    central_error: float
    extrapolated_error: float


@dataclass
class DifferenceTable:
    """Estimates of one derivative with steps from large to small, and their errors against the best known value.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> table = tg.autograd.finite_difference(tg.exp, tg.tensor([0.0, 1.0]), (1,))
    >>> min(table, key=lambda row: row.central_error).step
    1e-05
    """

    rows: list[Step]
    reference: float
    reference_error: float
    analytic: float | None

    def __iter__(self) -> Iterator[Step]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Step:
        return self.rows[i]

    def __str__(self) -> str:
        known = "" if self.analytic is None else f", by the rules {self.analytic:.12g}"
        head = f"{'step':>8}{'forward':>18}{'error':>9}{'central':>18}{'error':>9}{'extrapolated':>18}{'error':>9}"
        lines = [f"derivative {self.reference:.12g} +- {self.reference_error:.1e}{known}", head]
        for r in self.rows:
            pairs = ((r.forward, r.forward_error), (r.central, r.central_error), (r.extrapolated, r.extrapolated_error))
            lines.append(f"{r.step:>8.0e}" + "".join(f"{value:>18.12g}{error:>9.0e}" for value, error in pairs))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw error against step: truncation falls to the left, rounding rises, a V between them (needs matplotlib)."""
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
        steps = [r.step for r in self.rows]
        for name in ("forward", "central", "extrapolated"):
            errors = [getattr(r, f"{name}_error") for r in self.rows]
            axes.loglog(steps, [e if e > 0 else math.nan for e in errors], marker="o", markersize=3, label=name)
        axes.set(xlabel="step", ylabel="error of the derivative", title="Truncation on the right, rounding on the left")
        axes.grid(alpha=0.3)
        axes.legend()
        if path is not None:
            figure.savefig(path, dpi=120)
            plt.close(figure)
        return figure


def finite_difference(fn: Callable[[Any], Any], x: Any, index: Any = ()) -> DifferenceTable:
    """Estimate d fn(x) / d x[index] with steps 1e-1 to 1e-15, forward, central and extrapolated, in float64.

    Forward (f(x + h) - f(x)) / h errs by O(h), central (f(x + h) - f(x - h)) / 2h by O(h**2), and their extrapolation to
    h = 0 from two steps by O(h**4); all suffer from rounding like eps / h.

    Parameters
    ----------
    fn : callable
        Maps a tensor to a tensor; the sum of its elements is what is differentiated.
    x : Tensor
    index : int or tuple of int
        The element of x.

    Returns
    -------
    DifferenceTable
        Iterable rows (step, estimates, errors), ``str()`` and ``plot()``. Errors are against ``reference``, Ridders'
        estimate, which comes with its own error bar.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> table = tg.autograd.finite_difference(tg.exp, tg.tensor([1.0]), 0)
    >>> len(table)
    15
    """
    if not isinstance(x, TensorBase) or x._array.dtype.kind != "f":
        raise TypeError(f"x must be a floating point Tensor, got {type(x).__name__}")
    place = tuple(index) if isinstance(index, (tuple, list)) else (index,)
    values = np.array(x._array, np.float64)
    if len(place) != values.ndim or not all(-n <= i < n for i, n in zip(place, values.shape, strict=True)):
        raise IndexError(f"index {place} is not an element of a tensor of shape {list(values.shape)}")
    home = float(values[place])

    def at(t: float) -> list[Any]:
        moved = values.copy()
        moved[place] = home + t
        with no_grad():
            return [np.array(fn(wrap(moved))._array, np.float64)]

    base = at(0.0)
    line = Line(at, base, [np.ones(base[0].shape)])
    rows: list[Step] = []
    with np.errstate(all="ignore"):
        best = derivative(line, 2.0 ** round(math.log2(max(abs(home), scale_of(values)))))
        before = math.nan
        for k in range(1, 16):
            h = 10.0**-k
            central, forward, _, _ = line.slopes(h)
            extrapolated = central + (central - before) / 99 if k > 1 else central
            estimates = (forward, central, extrapolated)
            rows.append(Step(h, *estimates, *(abs(e - best.value) for e in estimates)))
            before = central
    return DifferenceTable(rows, best.value, best.error, _by_the_rules(fn, values, place))


def _by_the_rules(fn: Callable[[Any], Any], values: Any, place: tuple[int, ...]) -> float | None:
    leaf = wrap(values.copy())
    leaf.requires_grad_()
    with enable_grad():
        out = fn(leaf)
        if edge_of(out) is None:
            return None
        (g,) = grad(out, leaf, wrap(np.ones(out._array.shape)), allow_unused=True)
    return None if g is None else float(g._array[place])
