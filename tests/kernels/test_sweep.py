"""Every float32 there is, against float64. `pytest -m slow -s tests/kernels/test_sweep.py` prints the table."""

from __future__ import annotations

import sys

import pytest

from tinygrad_loss.kernels.jit import JIT_DISABLED

ulp = None if JIT_DISABLED else pytest.importorskip("benchmarks.ulp")
NAMES = [] if ulp is None else list(ulp.CASES)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_float32(name):
    error = ulp.sweep(name)
    sys.stdout.write("\n" + ulp.line(name, error))
    assert error.wrong is None
    assert error.ulp <= 1


@pytest.mark.parametrize("name", NAMES)
def test_one_float32_in_40009(name):
    error = ulp.sweep(name, step=40_009)
    assert error.wrong is None
    assert error.ulp <= 1
