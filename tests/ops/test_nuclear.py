"""The nuclear norm: its value, its shapes, its derivatives of any order."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_loss as tg

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 4)])
def test_nuclear_norm(shape: tuple[int, ...]) -> None:
    a = RNG.standard_normal(shape)
    x = tg.tensor(a)
    out = tg.norm(x, "nuc", (0, -1), keepdim=True)
    expected = np.linalg.norm(np.moveaxis(a, (0, -1), (-2, -1)), "nuc", axis=(-2, -1))
    assert out.shape == (1, *shape[1:-1], 1)
    np.testing.assert_allclose(out.numpy().reshape(expected.shape), expected, rtol=1e-12)
    assert tg.autograd.gradcheck(lambda x: x.norm("nuc", (0, -1)), x.requires_grad_())
    assert tg.autograd.gradgradcheck(lambda x: x.norm("nuc", (0, -1)), x)


def test_third_derivative() -> None:
    x = tg.tensor(RNG.standard_normal((3, 2)), requires_grad=True)
    v = tg.tensor(RNG.standard_normal((3, 2)))

    def slope(x: tg.Tensor) -> tg.Tensor:
        (g,) = tg.autograd.grad(tg.norm(x, "nuc"), x, create_graph=True)
        (h,) = tg.autograd.grad((g * v).sum(), x, create_graph=True)
        return (h * v).sum()

    assert tg.autograd.gradcheck(slope, x)


@pytest.mark.parametrize(("shape", "dim"), [((3,), None), ((2, 3, 4), None), ((2, 3), 0)])
def test_nuclear_norm_is_that_of_matrices(shape: tuple[int, ...], dim: int | None) -> None:
    with pytest.raises(RuntimeError, match="dim must be a 2-tuple"):
        tg.norm(tg.ones(*shape), "nuc", dim)
