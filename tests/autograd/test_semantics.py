"""Programs of gradients, modes, hooks, views and custom Functions do what they do under PyTorch."""

import json
import math
import warnings
from pathlib import Path

import pytest
from semantics import CASES, CLASSES, outcome

import tinygrad_loss as tg

EXPECTED = json.loads((Path(__file__).parent.parent / "fixtures" / "semantics.json").read_text(encoding="utf-8"))


def same(ours, theirs):
    """Compare outcomes; values to what float32 leaves of another order of summation."""
    if isinstance(theirs, dict):
        return (
            isinstance(ours, dict) and ours.keys() == theirs.keys() and all(same(ours[k], v) for k, v in theirs.items())
        )
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, float) and isinstance(ours, (int, float)):
        return math.isclose(ours, theirs, rel_tol=2e-6, abs_tol=1e-7) or (math.isnan(ours) and math.isnan(theirs))
    return ours == theirs


def through_json(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("name", CASES)
def test_the_outcome_is_that_of_pytorch(name):
    ours, theirs = through_json(outcome(CASES[name], tg)), EXPECTED[name]
    if isinstance(theirs, dict) and "raises" in theirs:
        assert isinstance(ours, dict), ours
        assert "raises" in ours, ours
        named = {c.__name__: c for c in CLASSES}
        assert issubclass(named[ours["raises"]], named[theirs["raises"]])
    else:
        assert same(ours, theirs), f"{ours}\nbut PyTorch: {theirs}"


def test_a_difference_would_be_noticed():
    assert same(
        [1, {"tensor": [1.0], "dtype": "torch.float32"}], [1, {"tensor": [1.0000001], "dtype": "torch.float32"}]
    )
    for other in (
        [1, {"tensor": [1.001], "dtype": "torch.float32"}],
        [1, {"tensor": [1.0], "dtype": "torch.float64"}],
        [1],
    ):
        assert not same([1, {"tensor": [1.0], "dtype": "torch.float32"}], other)


@pytest.mark.parity
def test_the_frozen_outcomes_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, f in CASES.items():
            assert same(through_json(outcome(f, torch)), EXPECTED[name]), name
