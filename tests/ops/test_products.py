"""Products by name and by Einstein's notation, against NumPy; their errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg

RNG = np.random.default_rng(0)
EQUATIONS = [
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij,jk->ki", [(2, 3), (3, 4)]),
    ("...ij,jk->...ik", [(5, 2, 3), (3, 4)]),
    ("...a->a...", [(2, 3, 4)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("bij,bj->", [(2, 3, 4), (2, 4)]),
    ("i,j->ij", [(2,), (3,)]),
    ("ijk->j", [(2, 3, 4)]),
    ("ij,ij,ij->i", [(2, 3), (2, 3), (2, 3)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [RNG.standard_normal(s) for s in shapes]
    out = tg.einsum(equation, *map(tg.tensor, arrays))
    np.testing.assert_allclose(out.numpy(), np.einsum(equation, *arrays), rtol=1e-12)
    assert tg.autograd.verify(lambda *xs: tg.einsum(equation, *xs), [tg.tensor(a) for a in arrays])


def test_einsum_by_lists_and_mixed_dtypes() -> None:
    a, b = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4))
    out = tg.einsum(tg.tensor(a), [0, 1], tg.tensor(b), [1, 2], [0, 2])
    np.testing.assert_allclose(out.numpy(), a @ b)
    assert tg.einsum("i,i", tg.ones(2), tg.ones(2, dtype=tg.float64)).dtype is tg.float64


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: tg.einsum("ij,jk", x), "fewer operands were provided than specified in the equation: 1 for 2 terms"),
        (lambda x: tg.einsum("ijk", x), "does not match the number of dimensions"),
        (lambda x: tg.einsum("ij->ik", x), "output subscript k"),
        (lambda x: tg.einsum("ij,ij", x, x.T), "does not broadcast"),
        (lambda x: tg.mm(x, tg.ones(3)), "mat2 must be a matrix"),
        (lambda x: tg.bmm(x, x), "must be a 3D tensor"),
        (lambda x: tg.dot(tg.ones(2), tg.ones(3)), "inconsistent tensor size"),
        (lambda x: tg.tensordot(x, x, 1), "contracted dimensions need to match"),
        (lambda x: tg.addmm(tg.ones(5), x, x.T), "does not expand to"),
    ],
)
def test_errors(call: Any, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        call(tg.ones(2, 3))


def test_products_by_name() -> None:
    a, b, v = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4)), RNG.standard_normal(3)
    x, y, z = map(tg.tensor, (a, b, v))
    c = RNG.standard_normal((2, 4))
    for out, expected in (
        (tg.mm(x, y), a @ b),
        (tg.bmm(x[None], y[None]), (a @ b)[None]),
        (tg.mv(x, z), a @ v),
        (tg.dot(z, z), v @ v),
        (tg.inner(x, x), np.inner(a, a)),
        (tg.outer(z, z), np.outer(v, v)),
        (tg.addmm(tg.tensor(c), x, y, beta=0.5, alpha=2), 0.5 * c + 2 * (a @ b)),
        (tg.addmm(tg.full((2, 4), float("nan"), dtype=tg.float64), x, y, beta=0), a @ b),
        (tg.tensordot(x, y, 1), a @ b),
        (tg.tensordot(x, x, ([0, 1], [0, 1])), (a * a).sum()),
    ):
        np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12)


def test_attention() -> None:
    q, k, v = (RNG.standard_normal((2, 3, 4)) for _ in range(3))
    scores = q @ k.swapaxes(1, 2) / 2
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    f = tg.nn.functional.scaled_dot_product_attention
    np.testing.assert_allclose(f(*map(tg.tensor, (q, k, v))).numpy(), weights @ v, rtol=1e-12)
    causal = np.exp(scores) * np.tril(np.ones((3, 3)))
    causal /= causal.sum(-1, keepdims=True)
    np.testing.assert_allclose(f(*map(tg.tensor, (q, k, v)), is_causal=True).numpy(), causal @ v, rtol=1e-12)
    nothing = tg.zeros(3, 3).bool()
    assert not f(*map(tg.tensor, (q, k, v)), attn_mask=nothing).any()
