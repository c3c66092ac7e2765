"""From a list of samples to a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any, NoReturn

import numpy as np

from ...op import edge_of, wrap
from ...ops.create import as_tensor, tensor
from ...ops.joining import stack
from ...tensor import Tensor

__all__ = ["default_collate", "default_convert"]

NOT_NUMBERS = "SaUO"  # bytes, text, objects: what no tensor holds


def default_collate(batch: Sequence[Any]) -> Any:
    """Make one batch of a list of samples: a new first dimension for what can be a tensor, the structure kept.

    Parameters
    ----------
    batch : list of samples
        All of the kind of the first:

        ============================  ====================================================
        Tensors, arrays               a Tensor (batch, ...); their shapes must be equal
        ints, bools                   an int64, a bool Tensor
        floats                        a float64 Tensor
        str, bytes                    left as they are
        dicts, namedtuples            the same, of batches
        tuples, lists                 a list of batches
        ============================  ====================================================

    Raises
    ------
    RuntimeError
        For tensors of unequal shapes, or sequences of unequal lengths.
    TypeError
        For samples of any other kind.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.utils.data.default_collate([(1, {"name": "a"}), (2, {"name": "b"})])
    [tensor([1, 2]), {'name': ['a', 'b']}]
    """
    if not len(batch):
        raise IndexError("default_collate got no samples: a batch sampler must not yield an empty list")
    sample = batch[0]
    if isinstance(sample, Tensor):
        return _tensors(batch)
    if isinstance(sample, np.ndarray):
        if sample.dtype.kind in NOT_NUMBERS:
            _unknown(f"an array of dtype {sample.dtype}")
        return _tensors([as_tensor(s) for s in batch])
    if isinstance(sample, (np.bool_, np.number)):
        return as_tensor(list(batch))
    if isinstance(sample, (float, int)):
        return _numbers(batch)
    if isinstance(sample, (str, bytes)):
        return batch
    if isinstance(sample, Mapping):
        return _mapping(sample, {key: default_collate([s[key] for s in batch]) for key in sample})
    if isinstance(sample, Sequence):
        if any(len(s) != len(sample) for s in batch):
            sizes = sorted(set(map(len, batch)))
            raise RuntimeError(
                f"each element in list of batch should be of equal size, but the samples have {sizes} parts: make them "
                f"alike in the data set, or pass a collate_fn= of your own"
            )
        return _sequence(sample, [default_collate(column) for column in zip(*batch, strict=True)])
    return _unknown(str(type(sample)))


def default_convert(data: Any) -> Any:
    """Make Tensors of the arrays in one sample, its structure kept; loaders of ``batch_size=None`` do this.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_loss as tg
    >>> tg.utils.data.default_convert({"x": np.array([1, 2]), "name": "a"})
    {'x': tensor([1, 2]), 'name': 'a'}
    """
    if isinstance(data, np.ndarray) and data.dtype.kind not in NOT_NUMBERS:
        return as_tensor(data)
    if isinstance(data, (np.bool_, np.number)):
        return as_tensor(data)
    if isinstance(data, (Tensor, np.ndarray, str, bytes)):
        return data
    if isinstance(data, Mapping):
        return _mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, Sequence):
        return _sequence(data, [default_convert(part) for part in data])
    return data


def _numbers(batch: Sequence[Any]) -> Tensor:
    """Python numbers as PyTorch takes them: all floats if the first is one, else of the highest kind among them."""
    kinds = set(map(type, batch))
    if kinds == {float}:
        return wrap(np.array(batch, np.float64))  # type: ignore[no-any-return]
    if kinds == {int} and min(batch) >= -(2**63) and max(batch) < 2**63:
        return wrap(np.array(batch, np.int64))  # type: ignore[no-any-return]
    return tensor(batch, dtype=float if isinstance(batch[0], float) else None)


def _tensors(batch: Sequence[Any]) -> Tensor:
    """Stack Tensors of one shape; through the tape only if it should know of them."""
    try:
        arrays = [t._array for t in batch]
    except AttributeError:
        i = next(i for i, t in enumerate(batch) if not isinstance(t, Tensor))
        raise TypeError(
            f"default_collate: the first sample has a Tensor where sample {i} of the batch has {type(batch[i])}: make "
            f"them alike in the data set, or pass a collate_fn= of your own"
        ) from None
    shape, dtype = arrays[0].shape, arrays[0].dtype
    shapes = [a.shape for a in arrays]
    if shapes.count(shape) < len(shapes):
        i = next(i for i, other in enumerate(shapes) if other != shape)
        raise RuntimeError(
            f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(shapes[i])} at "
            f"entry {i}: default_collate makes batches of samples of one shape. Pad or crop them in the data set, or "
            f"pass DataLoader(..., collate_fn=...) a function that makes a batch of a list of samples."
        )
    if [a.dtype for a in arrays].count(dtype) < len(arrays):
        return stack(batch)
    if any(edge_of(t) is not None for t in batch):
        return stack(batch)
    return wrap(np.array(arrays))  # type: ignore[no-any-return]


def _mapping(like: Mapping[Any, Any], parts: dict[Any, Any]) -> Any:
    """A mapping of the same class, with what else it carries if it can be copied."""
    return _rebuilt(like, parts, MutableMapping, lambda out: out.update(parts))


def _sequence(like: Sequence[Any], parts: list[Any]) -> Any:
    """A namedtuple or sequence of the same class; a list in place of a tuple, as in PyTorch."""
    if isinstance(like, tuple):
        return type(like)(*parts) if hasattr(like, "_fields") else parts

    def fill(out: Any) -> None:
        for i, part in enumerate(parts):
            out[i] = part

    return _rebuilt(like, parts, MutableSequence, fill)


def _rebuilt(like: Any, parts: Any, mutable: type, fill: Callable[[Any], None]) -> Any:
    if type(like) is type(parts):
        return parts
    try:
        if not isinstance(like, mutable):
            return type(like)(parts)
        out = copy.copy(like)
        fill(out)
        return out
    except TypeError:  # its class cannot be made this way, as range cannot
        return parts


def _unknown(found: str) -> NoReturn:
    raise TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {found}. Return "
        f"one of these from the data set (the transform ToTensor makes a Tensor of an image), or pass a collate_fn= of "
        f"your own."
    )
