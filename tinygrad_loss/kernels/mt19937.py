"""The Mersenne Twister (Matsumoto and Nishimura 1998) and what is drawn from it, step by step as PyTorch draws.

A state is one uint64 array laid out as the bytes of PyTorch's `get_rng_state()`: states travel both ways unchanged.
Every kernel fills a contiguous one-dimensional `out`; the caller has checked the arguments and holds the generator's
lock.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numba.extending import intrinsic

from tinygrad_loss.kernels.jit import JIT_DISABLED, bits, from_bits, jit

N, M = 624, 397
SEED, LEFT, NEXT, KEY, NORMAL, NORMAL_IS_VALID, SIZE = 0, 1, 2, 3, 628, 630, 632
SEEDED = np.uint64(1 << 32)  # the upper half of word LEFT

# Numba promotes uint64 with a signed literal to float64, so every constant that meets a word has the word's type.
MATRIX_A, UPPER, LOWER = np.uint64(0x9908B0DF), np.uint64(0x80000000), np.uint64(0x7FFFFFFF)
TEMPER_B, TEMPER_C, LOW32 = np.uint64(0x9D2C5680), np.uint64(0xEFC60000), np.uint64(0xFFFFFFFF)
ZERO, ONE, U7, U11, U15, U18, U30, U32 = (np.uint64(i) for i in (0, 1, 7, 11, 15, 18, 30, 32))
SEED_FACTOR = np.uint64(1812433253)
MASK24, MASK53 = np.uint32(2**24 - 1), np.uint64(2**53 - 1)

# Cephes' logf, sinf and cosf (Moshier 1992); ln 2 and -pi / 4 as sums whose first terms times an integer are exact.
F0, F1, HALF, TWO_PI = (np.float32(x) for x in (0.0, 1.0, 0.5, 2 * math.pi))
SQRT_HALF, LN2_HIGH, LN2_LOW = (np.float32(x) for x in (0.707106781186547524, 0.693359375, -2.12194440e-4))
L0, L1, L2 = (np.float32(x) for x in (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1))
L3, L4, L5 = (np.float32(x) for x in (-1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1))
L6, L7, L8 = (np.float32(x) for x in (2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1))
FOUR_OVER_PI = np.float32(1.27323954473516)
PIO4_1, PIO4_2, PIO4_3 = (np.float32(-x) for x in (0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8))
SIN_0, SIN_1, SIN_2 = (np.float32(x) for x in (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1))
COS_0, COS_1, COS_2 = (np.float32(x) for x in (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2))
BLOCK = 2048  # words or uniforms held at a time where they cannot be written into `out` itself


@jit
def seed(state: Any, value: Any) -> None:
    """Start the stream of `value`: all 64 bits are remembered, the lower 32 seed."""
    state[:] = ZERO
    state[SEED] = value
    state[LEFT] = SEEDED | ONE
    x = value & LOW32
    state[KEY] = x
    for i in range(1, N):
        x = (SEED_FACTOR * (x ^ (x >> U30)) + np.uint64(i)) & LOW32
        state[KEY + i] = x


@jit
def _twist(upper: Any, lower: Any) -> Any:
    """One step of the recurrence without its shifted term."""
    y = (upper & UPPER) | (lower & LOWER)
    return (y >> ONE) ^ ((lower & ONE) * MATRIX_A)


@jit
def _refill(state: Any) -> None:
    """Advance all 624 words."""
    key = state[KEY : KEY + N]
    for i in range(N - M):
        key[i] = key[i + M] ^ _twist(key[i], key[i + 1])
    for i in range(N - M, N - 1):
        key[i] = key[i + M - N] ^ _twist(key[i], key[i + 1])
    key[N - 1] = key[M - 1] ^ _twist(key[N - 1], key[0])


@jit
def words(state: Any, out: Any) -> None:
    """Fill `out` (uint32) with raw draws."""
    done = 0
    while done < out.size:
        first = int(state[NEXT])
        if state[LEFT] == SEEDED | ONE:  # freshly seeded (next is 0) or used up (next is 624)
            _refill(state)
            first = 0
        count = min(N - first, out.size - done)
        key, part = state[KEY + first : KEY + first + count], out[done : done + count]
        for i in range(count):
            y = key[i]
            y ^= y >> U11
            y ^= (y << U7) & TEMPER_B
            y ^= (y << U15) & TEMPER_C
            part[i] = y ^ (y >> U18)
        done += count
        state[NEXT] = np.uint64(first + count)
        state[LEFT] = SEEDED | np.uint64(N + 1 - first - count)


@jit
def _wide(hi: Any, lo: Any) -> Any:
    """Two draws as one of 64 bits, the first one on top."""
    return (np.uint64(hi) << U32) | np.uint64(lo)


@jit
def unit(state: Any, out: Any) -> None:
    """Uniform on [0, 1): 24 bits of one word in float32, 53 bits of two in float64."""
    word = out.view(np.uint32)  # the draws land where their values will stand
    words(state, word)
    if out.itemsize == 4:
        for i in range(out.size):
            out[i] = np.float32(word[i] & MASK24) * np.float32(2.0**-24)
    else:
        for i in range(out.size):
            out[i] = np.float64(_wide(word[2 * i], word[2 * i + 1]) & MASK53) * 2.0**-53


if JIT_DISABLED:

    def fma(a: Any, b: Any, c: Any) -> Any:
        """a * b + c rounded once."""
        plain = a * b + c
        if not math.isfinite(plain):
            return plain
        return type(plain)(float(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))))

else:

    @intrinsic
    def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
        """a * b + c rounded once: the compilers of PyTorch's wheels contract these, and the last bit shows it."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.fma(*args)

        return a(a, a, a), generate


@jit
def uniform(state: Any, out: Any, low: Any, high: Any) -> None:
    """Uniform on [low, high)."""
    unit(state, out)
    low, high = out.dtype.type(low), out.dtype.type(high)
    span = high - low
    for i in range(out.size):
        x = fma(out[i], span, low)
        out[i] = low if x == high else x


@jit
def integers(state: Any, out: Any, wide: Any, span: Any, low: Any) -> None:
    """A draw modulo `span` (0: no modulo) plus `low`, modulo 2**64; the draw is one word or, if `wide`, two."""
    per = 2 if wide else 1
    buffer = np.empty(min(per * out.size, BLOCK), np.uint32)
    step = BLOCK // per
    for start in range(0, out.size, step):
        part = out[start : start + step]
        word = buffer[: per * part.size]
        words(state, word)
        if not wide:
            short = np.uint32(span)
            for i in range(part.size):
                part[i] = np.int64(word[i] % short) + low
        elif span == ZERO:
            for i in range(part.size):
                part[i] = np.int64(_wide(word[2 * i], word[2 * i + 1])) + low
        else:
            for i in range(part.size):
                part[i] = np.int64(_wide(word[2 * i], word[2 * i + 1]) % span) + low


@jit
def permutation(state: Any, out: Any) -> None:
    """Fisher-Yates over what `out` holds, one draw a step, none for the last element."""
    n = out.size
    wide = n >= 0xFFFFFFFF // 20  # PyTorch's bound for a second word
    per = 2 if wide else 1
    buffer = np.empty(min(per * n, BLOCK), np.uint32)
    step = BLOCK // per
    for start in range(0, n - 1, step):
        count = min(step, n - 1 - start)
        word = buffer[: per * count]
        words(state, word)
        for i in range(count):
            left = np.uint64(n - start - i)
            x = _wide(word[2 * i], word[2 * i + 1]) if wide else np.uint64(word[i])
            here = start + i
            there = here + np.int64(x % left)
            out[here], out[there] = out[there], out[here]


@jit
def _log(x: Any) -> Any:
    """Natural logarithm of a normal float32 as Cephes' logf, in the order of operations of avx_mathfun."""
    b = bits(x)
    m = from_bits(np.int32((b & np.int32(0x7FFFFF)) | np.int32(0x3F000000)))
    small = m < SQRT_HALF
    e = np.float32((b >> np.int32(23)) - np.int32(127 if small else 126))
    t = m - F1 + (m if small else F0)
    z = t * t
    y = fma(fma(fma(fma(L0, t, L1), t, L2), t, L3), t, L4)
    y = fma(fma(fma(fma(y, t, L5), t, L6), t, L7), t, L8)
    y = fma(y * t, z, e * LN2_LOW)
    y = fma(-z, HALF, y)
    return fma(e, LN2_HIGH, t + y)


@jit
def _sincos(x: Any) -> Any:
    """Sine and cosine of a float32 that is not negative, as Cephes' sinf and cosf."""
    j = (np.int32(x * FOUR_OVER_PI) + np.int32(1)) & np.int32(~1)
    k = np.float32(j)
    x = fma(k, PIO4_3, fma(k, PIO4_2, fma(k, PIO4_1, x)))
    z = x * x
    c = fma(fma(COS_0, z, COS_1), z, COS_2) * z
    c = fma(c, z, -z * HALF) + F1
    s = fma(fma(SIN_0, z, SIN_1), z, SIN_2) * z
    s = fma(s, x, x)
    sine, cosine = (s, c) if j & np.int32(2) == np.int32(0) else (c, s)
    return -sine if j & np.int32(4) else sine, cosine if (j - np.int32(2)) & np.int32(4) else -cosine


@jit
def _box_muller(out: Any, mean: Any, std: Any) -> None:
    """Turn blocks of 16 uniforms into blocks of 16 normals: value i of a block pairs with value i + 8."""
    # Gathered, so that LLVM sees long plain loops and vectorizes the one in float32.
    pairs = np.empty((2, min(out.size // 16 * 8, BLOCK)), out.dtype)
    for start in range(0, out.size - 15, 2 * BLOCK):
        blocks = out[start : start + 2 * BLOCK]
        count = blocks.size // 16
        u, v = pairs[0, : 8 * count], pairs[1, : 8 * count]
        for block in range(count):
            for i in range(8):
                u[8 * block + i] = blocks[16 * block + i]
                v[8 * block + i] = blocks[16 * block + 8 + i]
        if out.itemsize == 4:
            for i in range(u.size):
                radius = np.sqrt(np.float32(-2) * _log(F1 - np.float32(u[i])))
                sine, cosine = _sincos(TWO_PI * np.float32(v[i]))
                u[i] = fma(radius * cosine, np.float32(std), np.float32(mean))
                v[i] = fma(radius * sine, np.float32(std), np.float32(mean))
        else:
            for i in range(u.size):
                length = math.sqrt(-2.0 * math.log(1.0 - u[i]))
                theta = 2.0 * math.pi * np.float64(v[i])
                u[i] = fma(length * math.cos(theta), np.float64(std), np.float64(mean))
                v[i] = fma(length * math.sin(theta), np.float64(std), np.float64(mean))
        for block in range(count):
            for i in range(8):
                blocks[16 * block + i] = u[8 * block + i]
                blocks[16 * block + 8 + i] = v[8 * block + i]


@jit
def normal_blocks(state: Any, out: Any, mean: Any, std: Any) -> None:
    """Normal values, 16 or more: blocks of 16, and the last 16 drawn anew when a part of a block is left."""
    unit(state, out)
    _box_muller(out, mean, std)
    if out.size % 16:
        tail = out[out.size - 16 :]
        unit(state, tail)
        _box_muller(tail, mean, std)


@jit
def normal_pairs(state: Any, out: Any, mean: Any, std: Any) -> None:
    """Normal values one after the other, in float64; the second one of a last pair waits in the state."""
    waiting = state[NORMAL : NORMAL + 1].view(np.float64)
    first = 0
    if out.size and state[NORMAL_IS_VALID]:
        out[0] = fma(waiting[0], std, mean)
        waiting[0] = 0.0
        state[NORMAL_IS_VALID] = ZERO
        first = 1
    u = np.empty((out.size - first + 1) // 2 * 2, np.float64)
    unit(state, u)
    for i in range(first, out.size, 2):
        radius = math.sqrt(-2.0 * math.log1p(-u[i - first + 1]))
        theta = 2.0 * math.pi * u[i - first]
        out[i] = fma(radius * math.cos(theta), std, mean)
        if i + 1 < out.size:
            out[i + 1] = fma(radius * math.sin(theta), std, mean)
        else:
            waiting[0] = radius * math.sin(theta)
            state[NORMAL_IS_VALID] = ONE


@jit
def bernoulli(state: Any, out: Any, p: Any) -> None:
    """1 with probability `p`, else 0: a uniform of p's dtype below p. `p` has one value, or as many as `out`."""
    buffer = np.empty(min(out.size, BLOCK), p.dtype)
    one = p.size == 1
    for start in range(0, out.size, BLOCK):
        part = out[start : start + BLOCK]
        u = buffer[: part.size]
        unit(state, u)
        if one:
            for i in range(part.size):
                part[i] = u[i] < p[0]
        else:
            for i in range(part.size):
                part[i] = u[i] < p[start + i]


@jit
def exponential(state: Any, out: Any, rate: Any) -> None:
    """Exponential values of the given rate."""
    u = np.empty(out.size, np.float64)
    unit(state, u)
    for i in range(out.size):
        out[i] = -1.0 / rate * math.log1p(-u[i])


@jit
def geometric(state: Any, out: Any, p: Any) -> None:
    """Number of trials up to the first success."""
    u = np.empty(out.size, np.float64)
    unit(state, u)
    for i in range(out.size):
        out[i] = np.ceil(math.log(u[i]) / math.log1p(-p))


@jit
def cauchy(state: Any, out: Any, median: Any, sigma: Any) -> None:
    """Cauchy values."""
    u = np.empty(out.size, np.float64)
    unit(state, u)
    for i in range(out.size):
        out[i] = fma(sigma, math.tan(math.pi * (u[i] - 0.5)), median)


@jit
def log_normal(state: Any, out: Any, mean: Any, std: Any) -> None:
    """Exponentials of normal values."""
    x = np.empty(out.size, np.float64)
    normal_pairs(state, x, mean, std)
    for i in range(out.size):
        out[i] = math.exp(x[i])
