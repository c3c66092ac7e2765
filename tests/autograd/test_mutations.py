"""Every rule broken in every way is caught, its op named, its mistake named; no right rule fails at any point."""

from __future__ import annotations

import pytest

from benchmarks import mutations
from tinygrad_loss.op import ROWS

OPS = [name for name in ROWS if name not in mutations.PLUMBING]
FEW = ["exp", "tanh", "mul", "linear", "softmax", "index", "mse_loss", "floor"]


def check(table: mutations.Table) -> None:
    total = table.total()
    assert total.failed == total.mutants, table.misses
    assert total.op == total.mutants, table.misses
    assert total.kind > 0.9 * total.nameable, table.misses


def test_mutants_of_some_ops() -> None:
    table = mutations.run(FEW, most_samples=1)
    assert set(table.by_op) == set(FEW)
    assert all(tally.mutants >= 8 for tally in table.by_op.values())
    check(table)


@pytest.mark.slow
@pytest.mark.parametrize("op", OPS)
def test_mutants_of_every_op(op: str) -> None:
    table = mutations.run([op])
    total = table.total()
    assert total.failed == total.op == total.mutants, table.misses


@pytest.mark.parametrize("op", [*FEW, "relu", "amax", "sort", "sin"])
def test_no_right_rule_fails_at_some_points(op: str) -> None:
    _, failures = mutations.false_failures([op], 8 * len(mutations.samples_of(ROWS[op])))  # of every kind
    assert not failures, failures[0]


@pytest.mark.slow
@pytest.mark.parametrize("op", OPS)
def test_no_right_rule_fails_at_a_thousand_points(op: str) -> None:
    _, failures = mutations.false_failures([op], 1000)
    assert not failures, failures[0]
