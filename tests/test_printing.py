import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.fixtures.make_printing import DTYPES, array_of, cases, keywords_of, torch_text
from tinygrad_loss import dtypes
from tinygrad_loss.printing import format_tensor, get_printoptions, printoptions, set_printoptions

CASES = json.loads((Path(__file__).parent / "fixtures" / "printing.json").read_text())
DEFAULTS = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}


def our_text(
    array: np.ndarray, *, options: dict[str, Any] | None = None, default_dtype: str = "float32", **keywords: Any
) -> str:
    before = dtypes.get_default_dtype()
    dtypes.set_default_dtype(getattr(dtypes, default_dtype))
    try:
        with printoptions(**(options or {})):
            return format_tensor(array, **keywords)
    finally:
        dtypes.set_default_dtype(before)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['dtype']}{case['shape']}".replace(" ", ""))
def test_text_is_pytorchs(case):
    assert our_text(array_of(case), **keywords_of(case)) == case["text"]


def test_the_frozen_cases_are_those_of_the_script():
    frozen = [{key: value for key, value in case.items() if key != "text"} for case in CASES]
    # Compared as text, for NaN is not equal to itself.
    assert json.dumps(frozen) == json.dumps(cases())


def test_memory_layout_does_not_matter():
    array = np.arange(60.0).reshape(3, 4, 5)
    for view in (array.T, array[::-1, ::2], np.broadcast_to(array[:, :1], (3, 2, 5)), np.asfortranarray(array)):
        assert format_tensor(view) == format_tensor(view.copy(order="C"))
    with printoptions(threshold=5, edgeitems=1):
        assert format_tensor(array.T) == format_tensor(array.T.copy())


def test_a_scalar_of_numpy_prints_as_a_0d_array():
    assert format_tensor(np.float64(0.5)) == "tensor(0.5000, dtype=torch.float64)"


def test_no_floating_point_warning_and_no_change_of_the_array():
    # A signalling NaN raises a flag when NumPy converts it; warnings are errors here.
    array = np.array([0x7F800001, 0x7F7FFFFF, 0x00000001], np.uint32).view(np.float32)
    array.flags.writeable = False
    assert format_tensor(array) == "tensor([       nan, 3.4028e+38, 1.4013e-45])"


def test_a_large_array_costs_what_is_shown():
    for shape in ((10**7,), (10, 10**6), (2, 5, 10**6), (10**6, 10)):
        array = np.broadcast_to(np.float32(1), shape)  # 4 bytes: a pass over it would still take its time
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            format_tensor(array)
            seconds.append(time.perf_counter() - start)
        # Listing the elements takes 100 ms and more.
        assert min(seconds) < 0.02, shape


def test_options_are_set_read_and_restored():
    assert get_printoptions() == DEFAULTS
    try:
        set_printoptions(precision=7, sci_mode=True)
        assert get_printoptions() == {**DEFAULTS, "precision": 7, "sci_mode": True}
        set_printoptions(linewidth=100)  # sci_mode goes back to being chosen
        assert get_printoptions() == {**DEFAULTS, "precision": 7, "linewidth": 100}
        set_printoptions(**get_printoptions())
        assert get_printoptions() == {**DEFAULTS, "precision": 7, "linewidth": 100}
        set_printoptions(profile="short", edgeitems=5)
        assert get_printoptions() == {**DEFAULTS, "precision": 2, "edgeitems": 5}
        set_printoptions(profile="full")
        assert get_printoptions() == {**DEFAULTS, "threshold": math.inf}
    finally:
        set_printoptions(profile="default")
    assert get_printoptions() == DEFAULTS


def leave_by_an_error():
    with printoptions(precision=1), printoptions(sci_mode=True, edgeitems=9):
        assert get_printoptions() == {**DEFAULTS, "precision": 1, "sci_mode": True, "edgeitems": 9}
        raise KeyError("inside")


def test_the_context_manager_restores_after_an_error():
    with pytest.raises(KeyError, match="inside"):
        leave_by_an_error()
    assert get_printoptions() == DEFAULTS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "long"}, "profile must be one of 'default', 'short', 'full', got 'long'"),
        ({"precision": -1}, "precision must be an integer of at least 0, got -1"),
        ({"precision": 2.0}, "precision must be an integer"),
        ({"edgeitems": -3}, "edgeitems must be an integer"),
        ({"linewidth": math.inf}, "linewidth must be an integer"),
        ({"threshold": math.nan}, "threshold must be a number of at least 0, got nan"),
        ({"threshold": "all"}, "threshold must be a number"),
        ({"sci_mode": "auto"}, "sci_mode must be True, False or None"),
    ],
)
def test_a_bad_option_is_refused_and_changes_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        set_printoptions(**{"precision": 9, **options})
    assert get_printoptions() == DEFAULTS


def test_an_unsupported_dtype_is_refused():
    for array in (np.array(["a"]), np.array([None]), np.arange(3, dtype=np.uint64)):
        with pytest.raises(TypeError, match="supported dtypes"):
            format_tensor(array)


@st.composite
def printed(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any]]:
    """An array and the keywords it is printed with; magnitudes near each other, far apart, whole, special."""
    name = draw(st.sampled_from(DTYPES))
    dtype = np.dtype(name)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9).filter(lambda s: math.prod(s) <= 300))
    if dtype.kind in "fc":
        part = np.dtype(f"float{dtype.itemsize * (4 if dtype.kind == 'c' else 8)}")
        special = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, 1000.0, 1001.0, 1e-4, 0.5, 9.99995]
        if part.itemsize > 2:
            special += [99999.5, 1e8, 1.00000001e8]
        kinds = [
            st.sampled_from(special),
            st.integers(-1200, 1200).map(float),
            st.floats(-1.0, 1.0, width=16),
            st.floats(-60000.0, 60000.0, width=part.itemsize * 8).map(float),
            st.floats(width=part.itemsize * 8),
        ]
        chosen = draw(st.lists(st.sampled_from(range(len(kinds))), min_size=1, max_size=2, unique=True))
        element = st.one_of([kinds[k] for k in chosen]).map(lambda x: float(np.array(x).astype(part)))
        if dtype.kind == "c":
            element = st.builds(complex, element, element)
    else:
        element = st.one_of(hnp.from_dtype(dtype), st.sampled_from([0, 1]).map(dtype.type))
    array = draw(hnp.arrays(dtype, shape, elements=element))
    options = st.fixed_dictionaries(
        {},
        optional={
            "precision": st.integers(0, 9),
            "threshold": st.one_of(st.integers(0, 40), st.just(math.inf)),
            "edgeitems": st.integers(0, 4),
            "linewidth": st.integers(0, 130),
            "profile": st.sampled_from(["default", "short", "full"]),
            "sci_mode": st.booleans(),
        },
    )
    keywords = {
        "options": draw(options),
        "default_dtype": draw(st.sampled_from(["float32", "float32", "float64", "float16"])),
        "prefix": draw(st.sampled_from(["tensor(", "Weights("])),
    }
    if dtype.kind in "fc":
        keywords["requires_grad"] = draw(st.booleans())
        keywords["grad_fn"] = draw(st.sampled_from([None, "AddBackward0", "BinaryCrossEntropyWithLogitsBackward0"]))
    return array, keywords


@pytest.mark.parity
@settings(max_examples=500, deadline=None)
@given(printed())
def test_text_is_that_of_the_installed_pytorch(example):
    pytest.importorskip("torch")
    array, keywords = example
    assert our_text(array, **keywords) == torch_text(array, **keywords)
