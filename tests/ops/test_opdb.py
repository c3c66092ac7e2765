"""PyTorch's own samples of every op, run by PyTorch and by us: values, dtypes, views, two orders of gradient, errors.

``python tests/ops/test_opdb.py [name ...]`` prints the table; ``--reference`` adds PyTorch's larger set of samples.
"""

from __future__ import annotations

import functools
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg

pytestmark = pytest.mark.parity

_TORCH = """
add sub mul div true_divide floor_divide remainder fmod pow neg positive abs sign reciprocal rsqrt sqrt square exp exp2
expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh erf floor ceil round trunc frac clamp
clamp_min clamp_max maximum minimum where lerp addcmul addcdiv logaddexp xlogy nan_to_num isnan isinf isfinite isclose
allclose equal eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
bitwise_not bitwise_left_shift bitwise_right_shift __radd__ __rsub__ __rmul__ __rdiv__ __rmod__ __rpow__ __rmatmul__
__rand__ __ror__ __rxor__ sum mean prod std var std_mean var_mean max min amax amin argmax argmin median all any norm
linalg.vector_norm logsumexp cumsum cumprod count_nonzero reshape reshape_as view view_as unflatten flatten permute
transpose movedim t T mT squeeze unsqueeze expand expand_as broadcast_to repeat tile repeat_interleave cat stack hstack
vstack split chunk unbind flip roll tril triu diag diagonal trace narrow select contiguous clone meshgrid gather scatter
scatter_add index_select index_add masked_fill masked_select take_along_dim sort argsort topk unique nonzero bincount
__getitem__ index_put matmul mm bmm mv dot inner outer addmm baddbmm einsum tensordot softmax log_softmax sigmoid
"""
_FUNCTIONAL = """
relu relu6 elu selu celu gelu silu mish leaky_relu prelu hardtanh hardsigmoid hardswish hardshrink softshrink tanhshrink
threshold softplus softsign logsigmoid softmin glu normalize dropout pad embedding cosine_similarity pairwise_distance
scaled_dot_product_attention linear bilinear one_hot
"""
NAMES = [*_TORCH.split(), *(f"nn.functional.{name}" for name in _FUNCTIONAL.split())]
DTYPES = ("float64", "float32", "int64", "bool", "int32", "uint8")
TOLERANCE = {"float64": {"rtol": 1e-9, "atol": 1e-10}, "float32": {"rtol": 2e-6, "atol": 1e-5}}
# Where float32 itself, or PyTorch, is farther from the truth than that.
LOOSE = {
    # multiplies by the float32 nearest to 1 / 6
    ("nn.functional.hardsigmoid", "float64"): {"rtol": 1e-7, "atol": 0.0},
    # takes the logarithm of the base in float32
    ("pow", "float32"): {"rtol": 2e-5, "atol": 1e-5},
    # the samples' scores are in the hundreds: both are 1.7e-5 from the float64 result
    ("nn.functional.scaled_dot_product_attention", "float32"): {"rtol": 2e-5, "atol": 5e-5},
}
# How many samples are not run, and why; the table ends with it.
LEFT_OUT: Counter[str] = Counter()


def seeded(f: Callable[..., Any]) -> Callable[..., Any]:
    """PyTorch's samples of random ops seed the generator first."""

    def call(*args: Any, **kwargs: Any) -> Any:
        tg.manual_seed(42)
        return f(*args, **kwargs)

    return call


# Where the samples do not call the function of that name with its own arguments.
CALLS: dict[str, Callable[..., Any]] = {
    "contiguous": lambda x, *args, **kwargs: x.contiguous(*args, **kwargs),
    "expand": lambda x, shape: x.expand(shape),
    "expand_as": lambda x, other: x.expand_as(other),
    "reshape_as": lambda x, other: x.reshape_as(other),
    "view": lambda x, shape: x.view(shape),
    "view_as": lambda x, other: x.view_as(other),
    "repeat": lambda x, dims: x.repeat(dims),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "einsum": lambda tensors, equation: tg.einsum(equation, tensors),
    "where": lambda x, condition, other, **kwargs: tg.where(condition, x, other, **kwargs),
    "nn.functional.embedding": lambda w, i, **kwargs: tg.nn.functional.embedding(i, w, **kwargs),
    "nn.functional.dropout": seeded(lambda *args, **kwargs: tg.nn.functional.dropout(*args, **kwargs)),
    "nn.functional.scaled_dot_product_attention": seeded(
        lambda *args, **kwargs: tg.nn.functional.scaled_dot_product_attention(*args, **kwargs)
    ),
}


def ours(name: str) -> Callable[..., Any]:
    if name in CALLS:
        return CALLS[name]
    if name.startswith("__"):
        return getattr(tg.Tensor, name)  # type: ignore[no-any-return]
    return functools.reduce(getattr, name.split("."), tg)  # type: ignore[arg-type,return-value]


# --- from PyTorch to us -------------------------------------------------------------------------------------------


def is_torch_tensor(x: Any) -> bool:
    return type(x).__module__.startswith("torch") and hasattr(x, "untyped_storage")


def mapped(x: Any, f: Callable[[Any], Any]) -> Any:
    """Apply ``f`` to the leaves of nested tuples, lists, dicts and slices."""
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return tuple(mapped(v, f) for v in x)
    if isinstance(x, (tuple, list)):
        return type(x)(mapped(v, f) for v in x) if type(x) in (tuple, list) else tuple(mapped(v, f) for v in x)
    if isinstance(x, dict):
        return {k: mapped(v, f) for k, v in x.items()}
    if isinstance(x, slice):
        return slice(*(mapped(v, f) for v in (x.start, x.stop, x.step)))
    return f(x)


def leaves(x: Any) -> Iterator[Any]:
    found: list[Any] = []
    mapped(x, found.append)
    return iter(found)


class Converter:
    """Makes our twin of each of PyTorch's values; a tensor that appears twice stays one tensor."""

    def __init__(self) -> None:
        self.twins: dict[int, Any] = {}
        self.pairs: list[tuple[Any, Any]] = []  # (theirs, ours) of what requires a gradient

    def __call__(self, x: Any) -> Any:
        if not type(x).__module__.startswith("torch"):
            return x
        if not is_torch_tensor(x):
            name = str(x).removeprefix("torch.")
            return getattr(tg, name) if hasattr(tg, name) else name
        if id(x) not in self.twins:
            twin = self.twins[id(x)] = tg.from_numpy(x.detach().numpy())  # the same memory, the same strides
            if x.requires_grad:
                twin.requires_grad_()
                self.pairs.append((x, twin))
        return self.twins[id(x)]


def out_of_scope(x: Any) -> str | None:
    """What a sample contains that this framework has not: complex or half-precision numbers, sparse tensors."""
    import torch

    for leaf in leaves(x):
        if isinstance(leaf, complex) or leaf in (torch.complex64, torch.complex128, torch.complex32):
            return "complex"
        if isinstance(leaf, torch.dtype) and leaf in (torch.float16, torch.bfloat16):
            return "half"
        if isinstance(leaf, torch.Tensor):
            if leaf.is_complex():
                return "complex"
            if leaf.dtype in (torch.float16, torch.bfloat16):
                return "half"
            if leaf.layout is not torch.strided:
                return "sparse"
            if leaf.dim() > 64:
                return "more dimensions than NumPy has"
    return None


# --- one call -----------------------------------------------------------------------------------------------------


class Mismatch(AssertionError):
    pass


def same(theirs: Any, mine: Any, what: str) -> None:
    """Compare two results: kind, shape, dtype, values."""
    if isinstance(theirs, (tuple, list)):
        if not isinstance(mine, (tuple, list)) or len(mine) != len(theirs):
            raise Mismatch(f"{what}: {len(theirs)} results expected, got {type(mine).__name__} {mine!r:.80}")
        for i, (a, b) in enumerate(zip(theirs, mine, strict=True)):
            same(a, b, f"{what}[{i}]")
        return
    if not is_torch_tensor(theirs):
        if theirs != mine:
            raise Mismatch(f"{what}: expected {theirs!r}, got {mine!r}")
        return
    if not isinstance(mine, tg.Tensor):
        raise Mismatch(f"{what}: a Tensor expected, got {type(mine).__name__}")
    if tuple(theirs.shape) != tuple(mine.shape):
        raise Mismatch(f"{what}: shape {list(theirs.shape)} expected, got {list(mine.shape)}")
    if str(theirs.dtype) != str(mine.dtype):
        raise Mismatch(f"{what}: {theirs.dtype} expected, got {mine.dtype}")
    a, b = theirs.detach().numpy(force=True), mine.detach().numpy()
    tolerance = LOOSE.get((what.partition(":")[0], a.dtype.name)) or TOLERANCE.get(a.dtype.name)
    if tolerance is None:
        np.testing.assert_array_equal(b, a, err_msg=what)
    else:
        np.testing.assert_allclose(b, a, **tolerance, equal_nan=True, err_msg=what)


def tied_dim(name: str, sample: Any) -> int | None:
    """The dimension along which a result holds places of equal elements that PyTorch leaves open, if there is one."""
    place = {"sort": 0, "argsort": 0, "topk": 1, "median": 0}.get(name)
    if place is None or sample.kwargs.get("stable") or (name == "median" and not sample.args and not sample.kwargs):
        return None
    return int(sample.args[place] if len(sample.args) > place else sample.kwargs.get("dim", -1))


def same_elements(theirs: Any, mine: Any, x: Any, dim: int, name: str) -> Any:
    """Our results with PyTorch's places where ours hold the same elements, each once."""
    if name == "argsort":
        return same_elements((None, theirs), (None, mine), x, dim, "")[1]
    a, b, values = theirs[1].numpy(), mine[1]._array, x.detach().numpy()
    if a.shape != b.shape or not a.ndim or not a.size:
        return mine
    if a.ndim < values.ndim:
        a, b = np.expand_dims(a, dim), np.expand_dims(b, dim)
    distinct = all(len(set(row)) == len(row) for row in np.moveaxis(b, dim, -1).reshape(-1, b.shape[dim]).tolist())
    if distinct and np.array_equal(
        np.take_along_axis(values, a, dim), np.take_along_axis(values, b, dim), equal_nan=values.dtype.kind == "f"
    ):
        return (mine[0], tg.from_numpy(theirs[1].numpy()))
    return mine


def tensors_of(x: Any, kind: Callable[[Any], bool]) -> list[Any]:
    return [t for t in leaves(x) if kind(t)]


def shares(theirs: Any, x: Any) -> bool:
    return bool(theirs.numel()) and theirs.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()


def same_views(theirs: Any, mine: Any, inputs: Converter, what: str) -> None:
    """A result that shares storage with an operand there shares it here, and no other does."""
    originals = {id(t): t for t in inputs.originals}  # type: ignore[attr-defined]
    for a, b in zip(
        tensors_of(theirs, is_torch_tensor), tensors_of(mine, lambda t: isinstance(t, tg.Tensor)), strict=True
    ):
        for key, x in originals.items():
            if not a.numel() or not x.numel():
                continue
            there = shares(a, x)
            here = np.may_share_memory(b._array, inputs.twins[key]._array)
            if there != here:
                raise Mismatch(
                    f"{what}: the result {'shares' if there else 'does not share'} memory with its operand in PyTorch"
                )


def wrong_name(theirs: Any, mine: Any) -> str | None:
    """What ``grad_fn`` is called there and here, if they differ."""
    for a, b in zip(
        tensors_of(theirs, is_torch_tensor), tensors_of(mine, lambda t: isinstance(t, tg.Tensor)), strict=True
    ):
        there = a.grad_fn.name() if a.grad_fn is not None else None
        here = b.grad_fn.name() if b.grad_fn is not None else None
        if there != here:
            return f"{there} is {here} here"
    return None


def gradients(name: str, theirs: Any, mine: Any, pairs: list[tuple[Any, Any]], second: bool) -> None:
    """Compare vector-Jacobian products of random cotangents, and theirs in turn."""
    import torch

    outs = [
        (a, b)
        for a, b in zip(
            tensors_of(theirs, is_torch_tensor), tensors_of(mine, lambda t: isinstance(t, tg.Tensor)), strict=True
        )
        if a.requires_grad or b.requires_grad
    ]
    for a, b in outs:
        if a.requires_grad != b.requires_grad:
            raise Mismatch(f"requires_grad: {a.requires_grad} expected, got {b.requires_grad}")
    if not outs or not pairs:
        return
    rng = np.random.default_rng(0)
    cotangents = [rng.standard_normal(tuple(a.shape)).astype(a.detach().numpy().dtype) for a, _ in outs]
    v = [torch.from_numpy(c).requires_grad_(second) for c in cotangents]
    w = [tg.from_numpy(c).requires_grad_(second) for c in cotangents]
    xs, ys = [a for a, _ in pairs], [b for _, b in pairs]
    first = torch.autograd.grad([a for a, _ in outs], xs, v, create_graph=second, allow_unused=True)
    got = tg.autograd.grad([b for _, b in outs], ys, w, create_graph=second, allow_unused=True)
    first = [torch.zeros_like(x) if g is None else g for g, x in zip(first, xs, strict=True)]
    got = [tg.zeros_like(y) if g is None else g for g, y in zip(got, ys, strict=True)]
    same(first, got, f"{name}: gradient")
    if not second:
        return
    directions = [rng.standard_normal(tuple(g.shape)) for g in first]
    total = sum((g * torch.from_numpy(d)).sum() for g, d in zip(first, directions, strict=True))
    mine_total = sum((g * tg.from_numpy(d)).sum() for g, d in zip(got, directions, strict=True))
    if not total.requires_grad:  # type: ignore[union-attr]
        return
    try:
        expected = torch.autograd.grad(total, [*xs, *v], allow_unused=True, materialize_grads=True)  # type: ignore[arg-type]
    except (RuntimeError, NotImplementedError) as error:
        if "not implemented" in str(error) or "does not require grad" in str(error):
            return  # PyTorch has no second derivative of this
        raise
    found = tg.autograd.grad(mine_total, [*ys, *w], allow_unused=True, materialize_grads=True)
    same(list(expected), list(found), f"{name}: second gradient")


def error_of(f: Any, x: Any, args: Any, kwargs: Any) -> Exception | None:
    try:
        f(x, *args, **kwargs)
    except (RuntimeError, IndexError, ValueError) as error:
        return error
    return None


def refuses_leaf(their_f: Any, my_f: Any, theirs: Any, mine: Any) -> None:
    """A leaf that requires a gradient is not written, and stays what it was."""
    if not theirs[0].requires_grad or not theirs[0].is_leaf:
        return
    before = mine[0].detach().clone()
    errors = error_of(their_f, *theirs), error_of(my_f, *mine)
    if type(errors[0]) is not type(errors[1]):
        raise Mismatch(f"of a leaf in place: {errors[0]!r:.90} expected, got {errors[1]!r:.90}")
    if errors[0] is not None and (before.shape != mine[0].shape or not tg.equal(before, mine[0].detach())):
        same(theirs[0], mine[0], "a leaf that must not be written")


def check(name: str, their_f: Any, my_f: Any, sample: Any, *, second: bool, inplace: bool = False) -> str | None:
    """Run one sample on both sides; an AssertionError tells what differs, the result whether the tape's name does."""
    import torch

    fresh: dict[int, Any] = {}

    def leaf(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        if id(x) not in fresh:
            fresh[id(x)] = x.detach().requires_grad_(x.requires_grad)
        return fresh[id(x)]

    input, args, kwargs = (mapped(v, leaf) for v in (sample.input, sample.args, sample.kwargs))
    convert = Converter()
    convert.originals = list(fresh.values())  # type: ignore[attr-defined]
    my_input, my_args, my_kwargs = (mapped(v, convert) for v in (input, args, kwargs))
    if inplace:
        refuses_leaf(their_f, my_f, (input, args, kwargs), (my_input, my_args, my_kwargs))
        input, my_input = input.clone(), my_input.clone()
    try:
        theirs = their_f(input, *args, **kwargs)
    except Exception as error:  # noqa: BLE001 -- whatever PyTorch raises
        try:
            my_f(my_input, *my_args, **my_kwargs)
        except Exception:  # noqa: BLE001 -- it raises here too
            return None
        raise Mismatch(f"PyTorch raises {type(error).__name__}: {error!s:.100}") from None
    mine = my_f(my_input, *my_args, **my_kwargs)
    tied = tied_dim(name, sample)
    same(theirs, mine if tied is None else same_elements(theirs, mine, input, tied, name), f"{name}: value")
    if inplace:
        same(input, my_input, f"{name}: written")
        if mine is not my_input:
            raise Mismatch("an in-place method returns its tensor")
        if input._version != my_input._version[0]:
            raise Mismatch(f"version {input._version} expected, got {my_input._version[0]}")
    else:
        same_views(theirs, mine, convert, "value")
    gradients(name, theirs, mine, convert.pairs, second)
    return wrong_name(theirs, mine)


# --- the table ----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def op_infos() -> dict[str, list[Any]]:
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    infos: dict[str, list[Any]] = {}
    for info in op_db:
        infos.setdefault(info.name, []).append(info)
    return infos


def variants(info: Any) -> Iterator[tuple[str, Any, Any, bool]]:
    """(what, PyTorch's call, ours, in place)."""
    yield "function", info.op, lambda *a, **k: ours(info.name)(*a, **k), False
    method, inplace = info.method_variant, info.inplace_variant
    if method is not None and not info.name.startswith("__") and info.name not in CALLS:
        yield "method", method, lambda x, *a, **k: getattr(x, method.__name__)(*a, **k), False
    if inplace is not None and info.name not in CALLS:
        path = info.name.rpartition(".")[0]
        if path:  # nn.functional.relu(x, inplace=True)
            yield "inplace", inplace, lambda *a, **k: ours(info.name)(*a, inplace=True, **k), True
        else:
            yield "inplace", inplace, lambda x, *a, **k: getattr(x, inplace.__name__)(*a, **k), True


def samples(make: Any, dtype: Any, grad: bool) -> Iterator[Any]:
    """Until PyTorch's own maker stumbles: some of its reference samples ask integers for gradients."""
    try:
        yield from make("cpu", dtype, requires_grad=grad)
    except ValueError as error:
        if "requires_grad=True` is not supported" not in str(error):
            raise


def run(name: str, reference: bool = False, dtypes: tuple[str, ...] = DTYPES) -> tuple[int, int, list[str], set[str]]:
    """Run all samples of an op: how many pass, how many there are, what fails, what is called otherwise on the tape."""
    import torch

    passed, total, failures = 0, 0, []
    names: set[str] = set()
    for info in op_infos()[name]:
        for dtype_name in dtypes:
            dtype = getattr(torch, dtype_name)
            if dtype not in info.supported_dtypes("cpu"):
                continue
            grad = dtype.is_floating_point and info.supports_autograd
            make = info.reference_inputs if reference else info.sample_inputs
            torch.manual_seed(0)
            for i, sample in enumerate(samples(make, dtype, grad)):
                if not any(map(is_torch_tensor, leaves((sample.input, sample.args, sample.kwargs)))):
                    LEFT_OUT["numbers alone"] += 1
                    continue
                if reason := out_of_scope((sample.input, sample.args, sample.kwargs)):
                    LEFT_OUT[reason] += 1
                    continue
                for what, theirs, mine, inplace in variants(info):
                    if inplace and (sample.broadcasts_input or not is_torch_tensor(sample.input)):
                        continue  # PyTorch's own tests leave these out: there the result is larger than the tensor
                    total += 1
                    try:
                        second = dtype_name == "float64" and info.supports_gradgrad
                        name_there = check(name, theirs, mine, sample, second=second, inplace=inplace)
                        names |= {name_there} if name_there else set()
                        passed += 1
                    except Exception as error:  # noqa: BLE001 -- it goes into the table
                        place = "" if isinstance(error, AssertionError) else origin(error)
                        failures.append(
                            f"{name} {info.variant_test_name} {dtype_name} sample {i} {what}: {describe(sample)}\n"
                            f"    {type(error).__name__}: {str(error).strip():.300}{place}"
                        )
    return passed, total, failures, names


def run_errors(name: str) -> tuple[int, int, list[str]]:
    """Run the calls that PyTorch refuses."""
    passed, total, failures = 0, 0, []
    for info in op_infos()[name]:
        if info.error_inputs_func is None:
            continue
        for item in info.error_inputs("cpu"):
            sample = item.sample_input
            call = (sample.input, sample.args, sample.kwargs)
            if reason := out_of_scope(call):
                LEFT_OUT[f"{reason}, of the errors"] += 1
                continue
            convert = Converter()
            my_input, my_args, my_kwargs = (mapped(v, convert) for v in call)
            try:
                info.op(sample.input, *sample.args, **sample.kwargs)
                continue  # it is a sample of an error of another device
            except Exception as error:  # noqa: BLE001 -- whatever PyTorch raises
                expected = error
            total += 1
            try:
                ours(name)(my_input, *my_args, **my_kwargs)
                failures.append(
                    f"{name} error: {describe(sample)}\n    PyTorch raises {type(expected).__name__}: {expected!s:.200}"
                )
            except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
                # There is no out= here: a call that names it is refused, if for another reason.
                if isinstance(error, type(expected)) or "out" in sample.kwargs:
                    passed += 1
                else:
                    failures.append(
                        f"{name} error: {describe(sample)}\n    {type(expected).__name__}: {expected!s:.120}\n"
                        f"    but here {type(error).__name__}: {error!s:.120}"
                    )
    return passed, total, failures


def origin(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f" ({frame.filename.rpartition('/')[2]}:{frame.lineno})"


def describe(sample: Any) -> str:
    def short(x: Any) -> Any:
        return f"{str(x.dtype)[6:]}{list(x.shape)}" if is_torch_tensor(x) else x

    return " ".join(f"{mapped(part, short)!r:.200}" for part in (sample.input, sample.args, sample.kwargs))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_samples(name: str) -> None:
    _, total, failures, _ = run(name)
    assert total
    assert not failures, f"{len(failures)} of {total} fail:\n" + "\n".join(failures[:10])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_errors(name: str) -> None:
    _, total, failures = run_errors(name)
    assert not failures, f"{len(failures)} of {total} fail:\n" + "\n".join(failures[:10])


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    reference, verbose = "--reference" in arguments, "-v" in arguments
    names = [a for a in arguments if not a.startswith("-")] or NAMES
    sums = [0, 0, 0, 0]
    for name in names:
        passed, total, failures, other_names = run(name, reference)
        passed_errors, total_errors, error_failures = run_errors(name)
        sums = [a + b for a, b in zip(sums, (passed, total, passed_errors, total_errors), strict=True)]
        other = "; ".join(sorted(other_names))
        show(f"{name:45} {passed:5}/{total:<5} errors {passed_errors:3}/{total_errors:<3} {other}")
        if verbose:
            show("\n".join((failures + error_failures)[:6]))
    show("left out: " + (", ".join(f"{n} ({reason})" for reason, n in sorted(LEFT_OUT.items())) or "none"))
    show(f"{'all':45} {sums[0]:5}/{sums[1]:<5} errors {sums[2]:3}/{sums[3]:<3}")


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
