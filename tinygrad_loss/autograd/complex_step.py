"""The complex step: a second witness where differences drown in rounding.

f(x + ih) = f(x) + ih f'(x) + O(h**2) for an analytic f, so that Im f(x + ih) / h is the derivative without any
subtraction, to the last bits however small h is (Squire and Trapp, SIAM Review 40, 1998). There are no complex tensors;
but the calls of a function are written down, and rows say in NumPy what they compute: that program runs on complex
numbers. It is believed only where it gives the function's own values, here and elsewhere, where every op on the way is
analytic (``abs`` is not), and where both directions agree (at a kink they do not). It confirms, and never accuses.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..dtypes import Array
from .differences import scale_of
from .workbench import Call, Workbench

STEP = 2.0**-200  # times the size of x
CLOSE = 1e-6  # relative: how well the program must give the function's values
UNABLE = (TypeError, ValueError, ArithmeticError, RuntimeError, LookupError, NameError, Warning, np.linalg.LinAlgError)


class ComplexStep:
    """The program of a function in NumPy; ``slope`` gives None where it is not to be believed."""

    def __init__(self, bench: Workbench) -> None:
        self.calls = bench.trace()
        self.leaves = list(bench.leaves.values())
        self.outputs = bench.traced_outputs()
        self.generator = np.random.default_rng(5)
        self.believed = self._tries(lambda: self._is_the_function(bench)) is True
        self.analytic: set[int] = set()  # calls that were found to be

    def slope(self, leaf: Any, i: int, cotangents: Sequence[Array]) -> tuple[float, float] | None:
        """The derivative along element i of a leaf, and how large the terms are of which it is the sum."""
        found = self._tries(lambda: self._slope(leaf, i, cotangents)) if self.believed else None
        return found if found is not None and np.isfinite(found).all() else None

    def _slope(self, leaf: Any, i: int, cotangents: Sequence[Array]) -> tuple[float, float] | None:
        h = STEP * (abs(float(leaf._array.reshape(-1)[i])) or scale_of(leaf._array))
        slopes = []
        for sign in (1.0, -1.0):
            x = leaf._array.astype(np.complex128)
            x.reshape(-1)[i] += 1j * sign * h
            terms = [c * (y.imag / (sign * h)) for c, y in zip(cotangents, self._run({id(leaf): x}), strict=True)]
            slopes.append(sum(float(t.sum()) for t in terms))
            size = sum(float(np.abs(t).sum()) for t in terms)
        return (slopes[0], size) if abs(slopes[0] - slopes[1]) <= CLOSE * size else None

    def _run(self, given: dict[int, Array]) -> list[Array]:
        """The outputs of the program, its leaves being what is given for them; ops on complex numbers are examined."""
        values: dict[int, Array] = {id(leaf): leaf._array for leaf in self.leaves} | given
        for k, call in enumerate(self.calls):
            operands = [values.get(id(x), v) for x, v in zip(call.operands, call.values, strict=True)]
            if any(np.iscomplexobj(x) for x in operands) and k not in self.analytic:
                if not self._is_analytic(call):
                    raise TypeError(f"{call.row.name} is not analytic")
                self.analytic.add(k)
            values[id(call.result)] = call.row.in_numpy(operands, call.params)
        return [values[id(y)] for y in self.outputs]

    def _is_the_function(self, bench: Workbench) -> bool:
        """Whether the program gives the values of the function, here and at a point elsewhere."""
        homes = [leaf._array.copy() for leaf in self.leaves]
        try:
            for amount in (0.0, 1e-3):
                for leaf, home in zip(self.leaves, homes, strict=True):
                    leaf._array += amount * self.generator.standard_normal(home.shape) * scale_of(home)
                for a, b in zip(self._run({}), bench.evaluate(), strict=True):
                    if not np.allclose(a, b, CLOSE, CLOSE * np.max(np.abs(b), initial=0.0), equal_nan=True):
                        return False
        finally:
            for leaf, home in zip(self.leaves, homes, strict=True):
                leaf._array[...] = home
        return True

    def _is_analytic(self, call: Call) -> bool:
        """Whether, at operands from the row's domain, the complex step gives what differences give."""
        if call.row.domain is None:
            return False
        at: list[Any] = list(call.values)
        ways: list[Any] = [0.0] * len(at)
        for k, v in enumerate(at):
            if isinstance(v, np.ndarray) and v.dtype.kind == "f":
                at[k] = self.generator.uniform(*call.row.domain, v.shape)
                ways[k] = self.generator.standard_normal(v.shape)
            elif isinstance(v, float):  # in x + 1e14 differences drown for the number's sake
                at[k] = float(self.generator.uniform(*call.row.domain))

        def go(t: complex) -> Array:
            moved = [x + t * w if isinstance(w, np.ndarray) else x for x, w in zip(at, ways, strict=True)]
            return call.row.in_numpy(moved, call.params)

        exact, rough = go(1e-30j).imag / 1e-30, (go(1e-6) - go(-1e-6)) / 2e-6
        return bool(np.allclose(exact, rough, 1e-3, 1e-4 * (1.0 + np.max(np.abs(rough), initial=0.0))))

    @staticmethod
    def _tries(ask: Callable[[], Any]) -> Any:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error")  # NumPy drops imaginary parts with a warning
                return ask()
        except UNABLE:
            return None
