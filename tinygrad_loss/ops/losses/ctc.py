"""PyTorch's function on sequences of labels whose timing is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dtypes import Array
from ...op import TensorBase, wrap
from ..blending import logaddexp
from ..elementwise import where_row
from ..index import index_row
from ..joining import cat
from ..shape import reshape
from ..slicing import slice_row
from .checks import check_floating, check_reduction, check_tensors, position
from .reduce import reduced, widened

if TYPE_CHECKING:
    from ...tensor import Tensor

Lengths = Any  # a Tensor, a sequence of ints, or one int for a single sequence


def _numbers(name: str, values: Lengths, batch: int, at_most: int, limit: str) -> Array:
    """Lengths as an array, checked."""
    given = values._array if isinstance(values, TensorBase) else np.asarray(values)
    if given.dtype.kind not in "iu":
        raise RuntimeError(f"ctc_loss(): {name} must be integral, got {given.dtype.name}: write {name}.long()")
    lengths = given.reshape(-1).astype(np.int64)
    if lengths.size != batch:
        raise RuntimeError(
            f"ctc_loss(): {name} must be of size batch_size, {batch}, one for each sequence, got {lengths.size}"
        )
    for n in np.flatnonzero((lengths < 0) | (lengths > at_most)):
        raise RuntimeError(
            f"ctc_loss(): expected {name} to have values between 0 and {at_most}, {limit}, but {name}[{n}] is {lengths[n]}"
        )
    return lengths


def _padded(targets: Array, lengths: Array, classes: int) -> Array:
    """Targets as (N, S), one row for each sequence, every label that counts checked."""
    if targets.ndim == 1:
        rows = np.zeros((lengths.size, max(lengths, default=0)), np.int64)
        rows[np.arange(rows.shape[1]) < lengths[:, None]] = targets[: lengths.sum()]
    else:
        rows = np.where(np.arange(targets.shape[1]) < lengths[:, None], targets, 0).astype(np.int64)
    bad = (np.arange(rows.shape[1]) < lengths[:, None]) & ((rows < 0) | (rows >= classes))
    if bad.any():
        n, s = position(int(np.argmax(bad)), rows.shape)
        raise IndexError(
            f"ctc_loss(): label {s} of target {n} is {rows[n, s]}, but log_probs has {classes} classes, numbered from 0 to "
            f"{classes - 1}"
        )
    return rows


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    r"""Return minus the log-probability of a sequence of labels, summed over all timings (connectionist temporal classification).

    A timing says for each frame which label or blank is heard there; it stands for the sequence that is left when repeated
    labels are merged and blanks dropped. The gradient with respect to the log-probability of a label in a frame is minus
    the probability that the label is heard there, given the sequence.

    Parameters
    ----------
    log_probs : Tensor of shape (T, N, C), or (T, C)
        Log-probabilities of C classes in T frames: what ``log_softmax`` along the last dimension gives.
    targets : Tensor of shape (N, S), or of all sequences one behind the other
        Labels, without blanks.
    input_lengths, target_lengths : Tensors or sequences of N ints
        How many frames and labels of each sequence count.
    blank : int
        The class that stands for no label.
    reduction : "mean", "sum" or "none"
        "mean" divides each loss by the number of its labels, then takes the mean over the batch.
    zero_infinity : bool
        Count 0, with gradient 0, for sequences that do not fit into their frames; their loss is infinite.

    Notes
    -----
    Sums over timings are taken forward in time as logarithms, so that nothing underflows, in float64, and rounded once.
    PyTorch's gradient is that of the logits behind the log-probabilities, larger by exp(log_probs); after ``log_softmax``
    both are the same. After A. Graves et al., "Connectionist temporal classification" (2006).

    Raises
    ------
    RuntimeError
        If sizes, lengths or the blank do not fit; it says which.
    IndexError
        If a label is no class number.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> logp = tg.log_softmax(tg.zeros(3, 1, 2), dim=2)  # three frames, blank or label, all alike
    >>> loss = tg.nn.functional.ctc_loss(logp, tg.tensor([[1]]), [3], [1])
    >>> loss, (-loss).exp()  # six of the eight timings give the label once
    (tensor(0.2877), tensor(0.7500))
    """
    check_reduction(reduction)
    check_tensors("ctc_loss", log_probs=log_probs, targets=targets)
    x, t, dtype = log_probs._array, targets._array, log_probs._array.dtype
    if x.ndim not in (2, 3) or not x.size:
        raise RuntimeError(
            f"ctc_loss(): log_probs must have shape (T, N, C) or (T, C) and not be empty, got {list(x.shape)}"
        )
    check_floating("ctc_loss", log_probs)
    if not 0 <= blank < x.shape[-1]:
        raise RuntimeError(f"ctc_loss(): blank must be in label range, 0 to {x.shape[-1] - 1}, got {blank}")
    batch = x.shape[1] if x.ndim == 3 else 1
    if x.ndim == 2:
        t = t.reshape(1, -1)
    if t.ndim not in (1, 2) or (t.ndim == 2 and len(t) != batch):
        raise RuntimeError(
            f"ctc_loss(): targets must have shape ({batch}, S), one row for each sequence, or (sum of lengths,), got "
            f"{list(t.shape)}"
        )
    frames = _numbers("input_lengths", input_lengths, batch, x.shape[0], "the number of frames")
    lengths = _numbers("target_lengths", target_lengths, batch, t.shape[-1], "the size of the targets")
    if t.ndim == 1 and lengths.sum() != t.size:
        raise RuntimeError(
            f"ctc_loss(): target_lengths add up to {lengths.sum()}, but the targets hold {t.size} labels one behind the other"
        )
    (logp,) = widened(log_probs)
    losses = _losses(
        reshape(logp, (x.shape[0], batch, x.shape[-1])), _padded(t, lengths, x.shape[-1]), blank, frames, lengths
    )
    if zero_infinity:
        losses = where_row(losses == np.inf, 0.0, losses)
    if reduction == "mean":
        losses = losses / wrap(np.maximum(lengths, 1.0))
    name = "WhereBackward0" if zero_infinity else "CtcLossBackward0"
    if x.ndim == 2:
        losses, name = reshape(losses, ()), "SqueezeBackward1"
    return reduced(losses, reduction, dtype, name)  # type: ignore[no-any-return]


def _losses(logp: Any, targets: Array, blank: int, frames: Array, lengths: Array) -> Any:
    """Minus the logarithm of the sum over timings of each sequence, in the recursion of Graves' section 4.1."""
    steps, batch, _ = logp._array.shape
    places = 2 * targets.shape[1] + 1
    # a blank before, between and behind the labels; a path stays, goes on by one, or leaps over a blank between two
    # different labels
    labels = np.full((batch, places), blank)
    labels[:, 1::2] = targets
    leap = np.zeros((batch, places), bool)
    leap[:, 3::2] = targets[:, 1:] != targets[:, :-1]
    n = np.arange(batch)[:, None]
    heard = index_row(logp, index=(np.arange(steps)[:, None, None], n, labels))
    nowhere = wrap(np.full((batch, 2), -np.inf))
    start = np.where(np.arange(places) == 0, 0.0, -np.inf) + np.zeros((batch, 1))
    # before the first frame every path is at the first blank, from where the first label is one step away
    paths = wrap(start)
    for f in range(max(frames, default=0)):
        padded = cat([nowhere, paths], dim=1)
        one, two = (slice_row(padded, index=(slice(None), slice(k, k + places))) for k in (1, 0))
        onward = logaddexp(paths, one)
        onward = logaddexp(onward, where_row(wrap(leap), two, -np.inf))
        onward = onward + slice_row(heard, index=(f,))
        going = wrap((f < frames)[:, None])
        paths = where_row(going, onward, paths)
    last = 2 * lengths
    ends = [index_row(paths, index=(n[:, 0], last)), index_row(paths, index=(n[:, 0], np.maximum(last - 1, 0)))]
    return -logaddexp(ends[0], where_row(wrap(lengths > 0), ends[1], -np.inf))
