"""Random numbers: the CPU stream of PyTorch itself, to the bit.

A `Generator` fills ndarrays, which tensors are wrapped around elsewhere. Facts about the stream that callers rely on
(established with PyTorch 2.13.0, each held by a test):

- An array that is not contiguous is filled in the order in which its elements lie in memory, not in index order.
- `normal` on 16 or more contiguous values works in blocks of 16 in the array's own dtype. On fewer, or on an array that
  is not contiguous, it makes pairs in float64 and keeps an unused second value for the next such call.
- A float32 takes one 32-bit word, a float64 two; an integer one if fewer than 2**28 values are possible, else two.
- `bernoulli` with a number, and so dropout, compares a float64 uniform with it; with a float32 array a float32 uniform.
- PyTorch's result depends on the processor in the last bit: this is the one of a processor with fused multiply-add.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_loss.kernels import mt19937
from tinygrad_loss.op import TensorBase, wrap

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]

Array = npt.NDArray[Any]
Shape = int | Sequence[int]

DEFAULT_SEED = 67280421310721
LOWEST = -(2**63)
FLOAT_DIGITS = {np.dtype("f4"): 24, np.dtype("f8"): 53}
FLOAT_MAX = {np.dtype(t): float(np.finfo(t).max) for t in ("f4", "f8")}
INTEGER_MAX = {np.dtype("?"): 1} | {np.dtype(t): int(np.iinfo(t).max) for t in ("u1", "i1", "i2", "i4", "i8")}


def _bad_dtype(what: str, out: Array, allowed: str) -> NotImplementedError:
    return NotImplementedError(f"{what} fills {allowed}, but got {out.dtype}: draw into such an array and convert it")


class Generator:
    """A stream of random numbers with PyTorch's seeds, states and values.

    Parameters
    ----------
    device : "cpu"
        There is no other.

    Notes
    -----
    MT19937 (Matsumoto and Nishimura 1998). `seed % 2**64` is remembered, its lower 32 bits seed. A filling method takes
    an ndarray of any layout, fills it and returns it. Generators may be shared by threads, pickled and copied.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_loss.random import Generator
    >>> g = Generator().manual_seed(0)
    >>> g.uniform(np.empty(3, np.float32)).tolist()
    [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]
    >>> g.randperm(5).tolist()
    [0, 4, 2, 1, 3]
    """

    def __init__(self, device: object = "cpu") -> None:
        if str(device) != "cpu":
            raise RuntimeError(f"a Generator lives on the device 'cpu', but got {device!r}: write Generator()")
        self.device = device
        self._lock = threading.Lock()  # kernels run without the GIL
        self._state = np.empty(mt19937.SIZE, np.uint64)
        self.manual_seed(DEFAULT_SEED)

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream of `seed`, an integer from -2**63 to 2**64 - 1; a negative one counts from 2**64 down."""
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
            raise RuntimeError(f"manual_seed expects an int, but got {seed!r} of type {type(seed).__name__}")
        if not LOWEST <= seed < 2**64:
            raise ValueError(f"manual_seed expects a seed from -2**63 to 2**64 - 1, but got {seed}")
        with self._lock:
            mt19937.seed(self._state, np.uint64(int(seed) % 2**64))
        return self

    def seed(self) -> int:
        """Seed from the operating system's entropy; return the seed."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return int(self._state[mt19937.SEED])

    def get_state(self) -> Any:
        """A copy of the state: a tensor of 5056 bytes (uint8), the same as PyTorch's."""
        with self._lock:
            return wrap(self._state.view(np.uint8).copy())

    def set_state(self, state: Any) -> None:
        """Continue from a state that `get_state`, here or in PyTorch, returned."""
        given = state._array if isinstance(state, TensorBase) else np.asarray(state)
        if given.dtype != np.uint8:
            raise TypeError(f"a state is a uint8 array, as get_state returns it, but got {given.dtype}")
        if given.size != 8 * mt19937.SIZE:
            raise RuntimeError(f"a state has {8 * mt19937.SIZE} bytes, but got {given.size}")
        new = np.frombuffer(given.tobytes(), np.uint64)
        left, seeded = divmod(int(new[mt19937.LEFT]), 2**32)[::-1]
        fresh = left == 1 and new[mt19937.NEXT] == 0
        if not seeded == 1 or not (fresh or (1 <= left <= 624 and new[mt19937.NEXT] == 625 - left)):
            raise RuntimeError("Invalid mt19937 state: pass what get_state returned, unchanged")
        with self._lock:
            self._state[:] = new

    def clone_state(self) -> "Generator":
        """A new generator that continues as this one will."""
        clone = Generator.__new__(Generator)
        clone.__setstate__((self.device, self.get_state()))
        return clone

    def __getstate__(self) -> tuple[object, Array]:
        return self.device, self.get_state()._array

    def __setstate__(self, pickled: tuple[object, Array]) -> None:
        self.device, state = pickled
        self._lock = threading.Lock()
        self._state = np.empty(mt19937.SIZE, np.uint64)
        self.set_state(state)

    def _fill(self, out: Array, kernel: Callable[..., None], *args: object) -> Array:
        """Run `kernel` on the state and a flat `out`; elements in the order in which they lie in memory."""
        if out.flags.c_contiguous:
            flat = out.reshape(-1)
        else:
            flat = np.empty(out.size, out.dtype)
        if not out.flags.writeable:
            raise RuntimeError("a read-only array, or one whose elements share memory, cannot be filled: pass a copy")
        if out.size:
            with self._lock:
                kernel(self._state, flat, *args)
            if not out.flags.c_contiguous:
                ordered = out.transpose(_memory_order(out))
                ordered[...] = flat.reshape(ordered.shape)
        return out

    def uniform(self, out: Array, low: float = 0.0, high: float = 1.0) -> Array:
        """Fill a float array with values uniform on [low, high)."""
        top = FLOAT_MAX.get(out.dtype)
        if top is None:
            raise _bad_dtype("uniform", out, "float32 and float64")
        if not -top <= low <= high <= top or high - low > top:
            raise RuntimeError(f"uniform expects low <= high, high - low finite in {out.dtype}, but got {low}, {high}")
        return self._fill(out, mt19937.uniform, float(low), float(high))

    def random(self, out: Array, low: int | None = None, high: int | None = None) -> Array:
        """Fill with integers uniform on [low, high), as PyTorch's `random_(low, high)`.

        Without `high`: up to the dtype's largest value (2**24 or 2**53 in a float array). Without both: from 0 on.
        With `low` the smallest int64 and no `high`: all 64 bits.
        """
        digits, most = FLOAT_DIGITS.get(out.dtype), INTEGER_MAX.get(out.dtype)
        if digits is None and most is None:
            raise _bad_dtype("random", out, "bool, uint8, int8 to int64, float32 and float64")
        top = 2**digits if digits else most
        assert top is not None
        if high is None and low is None:
            return self._fill(out, mt19937.integers, out.dtype.char in "lqd", np.uint64(top + 1), 0)
        low = 0 if low is None else int(low)
        if high is None and low == LOWEST:
            if out.dtype.itemsize < 8 and not digits:
                raise NotImplementedError(f"64 random bits fit int64 and floats, but got {out.dtype}")
            return self._fill(out, mt19937.integers, True, np.uint64(0), 0)
        high = top + 1 if high is None else int(high)
        if digits:
            low, high = _representable(low, high, out.dtype, digits)
        if not low < high:
            raise RuntimeError(f"random expects low < high, but got low={low} >= high={high}")
        bottom = LOWEST if digits or out.dtype == np.int64 else 0 if out.dtype.kind in "bu" else -top - 1
        for name, value in (("low", low), ("high - 1", high - 1)):
            if not bottom <= value <= (2**63 - 1 if digits else top):
                raise RuntimeError(f"{name} = {value} is out of bounds for {out.dtype}")
        if digits and max(abs(low), abs(high - 1)) > top:
            warnings.warn(f"{out.dtype} holds not every integer from {low} to {high - 1}", stacklevel=2)
        span = high - low
        return self._fill(out, mt19937.integers, span >= 2**28, np.uint64(span % 2**64), low)

    def normal(self, out: Array, mean: float = 0.0, std: float = 1.0) -> Array:
        """Fill a float array with values of the normal distribution (Box and Muller 1958)."""
        if out.dtype not in FLOAT_DIGITS:
            raise _bad_dtype("normal", out, "float32 and float64")
        if not std >= 0:
            raise RuntimeError(f"normal expects std >= 0, but got {std}")
        kernel = mt19937.normal_blocks if out.size >= 16 and out.flags.c_contiguous else mt19937.normal_pairs
        return self._fill(out, kernel, float(mean), float(std))

    def bernoulli(self, out: Array, p: float | Array = 0.5) -> Array:
        """Fill with 1 (True) with probability `p`, else 0; `p` is a number or a float array that broadcasts."""
        if out.dtype not in FLOAT_DIGITS and out.dtype not in INTEGER_MAX:
            raise _bad_dtype("bernoulli", out, "bool, integers, float32 and float64")
        if isinstance(p, np.ndarray):
            if p.dtype not in FLOAT_DIGITS:
                raise _bad_dtype("bernoulli", p, "from probabilities of float32 or float64")
            if not (p.size == 0 or (p.min() >= 0 and p.max() <= 1)):
                raise RuntimeError(f"bernoulli expects every p in [0, 1], but got values from {p.min()} to {p.max()}")
            try:
                spread = np.broadcast_to(p, out.shape)
            except ValueError:
                raise RuntimeError(f"p of shape {p.shape} does not broadcast to {out.shape}") from None
            if not out.flags.c_contiguous:
                spread = spread.transpose(_memory_order(out))
            return self._fill(out, mt19937.bernoulli, np.ascontiguousarray(spread).reshape(-1))
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli expects p in [0, 1], but got {p}")
        return self._fill(out, mt19937.bernoulli, np.array([p], np.float64))

    def exponential(self, out: Array, rate: float = 1.0) -> Array:
        """Fill a float array with values of density rate * exp(-rate * x)."""
        return self._continuous(out, mt19937.exponential, (rate,))

    def cauchy(self, out: Array, median: float = 0.0, sigma: float = 1.0) -> Array:
        """Fill a float array with values of the Cauchy distribution."""
        return self._continuous(out, mt19937.cauchy, (median, sigma))

    def log_normal(self, out: Array, mean: float = 1.0, std: float = 2.0) -> Array:
        """Fill a float array with exponentials of normal values."""
        return self._continuous(out, mt19937.log_normal, (mean, std))

    def _continuous(self, out: Array, kernel: Callable[..., None], parameters: tuple[float, ...]) -> Array:
        if out.dtype not in FLOAT_DIGITS:
            raise _bad_dtype(kernel.__name__, out, "float32 and float64")
        if not parameters[-1] > 0:
            raise RuntimeError(
                f"{kernel.__name__} expects a scale (rate, sigma, std) above 0, but got {parameters[-1]}"
            )
        return self._fill(out, kernel, *map(float, parameters))

    def geometric(self, out: Array, p: float) -> Array:
        """Fill with the number of trials up to the first success, each of probability `p`."""
        if out.dtype == np.bool_ or (out.dtype not in FLOAT_DIGITS and out.dtype not in INTEGER_MAX):
            raise _bad_dtype("geometric", out, "integers, float32 and float64")
        if not 0 < p < 1:
            raise RuntimeError(f"geometric expects p in (0, 1), but got {p}")
        return self._fill(out, mt19937.geometric, float(p))

    def randperm(self, n: int) -> Array:
        """The integers 0 to n - 1 (int64) in random order."""
        if n < 0:
            raise RuntimeError(f"a permutation has n >= 0 elements, but got n={n}")
        return self._fill(np.arange(n, dtype=np.int64), mt19937.permutation)

    def multinomial(self, weights: Array, num_samples: int, replacement: bool = False) -> Array:
        """Indices (int64) into the last axis of `weights` (n,) or (m, n), each as likely as its weight.

        With replacement by inverting the cumulative sum; without, or for one sample, by largest weight / exponential.
        """
        if weights.dtype not in FLOAT_DIGITS or weights.ndim not in (1, 2):
            raise RuntimeError(f"multinomial expects 1 or 2 dims of floats, but got {weights.dtype} {weights.shape}")
        if num_samples <= 0 or (not replacement and num_samples > weights.shape[-1]):
            raise RuntimeError(f"cannot take {num_samples} of {weights.shape[-1]} categories, {replacement=}")
        if not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(-1) <= 0).any():
            raise RuntimeError("multinomial expects weights that are finite, >= 0 and not all 0")
        if not replacement or num_samples == 1:
            # The smallest of exponential variables with these rates (Efraimidis and Spirakis 2006).
            keys = weights / self.exponential(np.empty(weights.shape, weights.dtype))
            return np.argsort(-keys, axis=-1, kind="stable")[..., :num_samples]
        out = np.empty((*weights.shape[:-1], num_samples), np.int64)
        for row, drawn in zip(np.atleast_2d(weights), np.atleast_2d(out), strict=True):
            cumulative = np.cumsum(row, dtype=row.dtype)
            cumulative /= cumulative[-1]
            cumulative[-1] = 1
            drawn[...] = np.searchsorted(cumulative, self.uniform(np.empty(num_samples)))
        return out


def _memory_order(out: Array) -> list[int]:
    """The axes of `out`, slowest in memory first."""
    return sorted(range(out.ndim), key=lambda axis: -abs(out.strides[axis]))


def _representable(low: int, high: int, dtype: np.dtype[Any], digits: int) -> tuple[int, int]:
    """The bounds moved inwards to values of a float dtype, so that no drawn value rounds to one outside."""
    above, below = int(dtype.type(low + 1)), int(dtype.type(high - 1))
    if above < low:
        low = above + 2 ** (abs(low + 1).bit_length() - digits)
    if below >= high:
        high = below - 2 ** (abs(high - 1).bit_length() - digits)
    return low, high


def _entropy_seeded() -> Generator:
    """A generator seeded by the operating system. By NumPy's seeding, which is the same: an import must not compile."""
    seed = int.from_bytes(os.urandom(8), "little")
    state = np.zeros(mt19937.SIZE, np.uint64)
    state[mt19937.SEED], state[mt19937.LEFT] = seed, 2**32 + 1
    legacy = np.random.RandomState(seed % 2**32).get_state(legacy=False)
    state[mt19937.KEY : mt19937.KEY + 624] = legacy["state"]["key"]
    generator = Generator.__new__(Generator)
    generator.__setstate__(("cpu", state.view(np.uint8)))
    return generator


default_generator = _entropy_seeded()


def manual_seed(seed: Any) -> Generator:
    """Seed the default generator, which is used where no other is given; return it."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default generator from the operating system's entropy; return the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """A copy of the default generator's state."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Continue the default generator from a state."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Sequence[object] | None = None, enabled: bool = True) -> Iterator[None]:
    """Inside, draw as usual; afterwards the default generator is where it was before.

    Examples
    --------
    >>> from tinygrad_loss.random import fork_rng, get_rng_state, manual_seed
    >>> before = get_rng_state()
    >>> with fork_rng():
    ...     _ = manual_seed(5)
    >>> bool((get_rng_state() == before).all())
    True
    """
    state = default_generator.get_state()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(state)
