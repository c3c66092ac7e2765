"""Elementary functions of one number, free of branches, so that LLVM vectorizes every loop that calls them.

Range reduction after Cody and Waite, "Software Manual for the Elementary Functions" (1980); the rounding of x / ln 2
by adding 1.5 * 2**52, and the forms of expm1, log and log1p after Muller, "Elementary Functions" (3rd ed., 2016),
chapters 10 and 11. The coefficients are minimax polynomials computed with the Remez algorithm in 50 digits.

A name ends in the width of its argument. For float64, exp, log and log1p are within 1 ULP, the others within 3. For
float32 all but exp32 and sigmoid32 compute to 28 bits or more in float64, so the one rounding at the end is within 0.6.
"""

import numpy as np

from .jit import Bits, Single, bits, by_dtype, fma, from_bits, inline

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
LN2_HI = 0.6931471803691238  # 33 bits: n * LN2_HI is exact for every n that occurs
LN2_LO = 1.9082149292705877e-10
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
ROUND_BITS = 0x4338000000000000
ROUND_BIASED = ROUND + 1023.0  # leaves the exponent's bits as they stand in a float64

LOG2_E_32 = np.float32(LOG2_E)
LN2_HI_32 = np.float32(0.693145751953125)  # 16 bits
LN2_LO_32 = np.float32(1.428606765330187e-06)
ROUND_32 = np.float32(12582912.0)  # 1.5 * 2**23
ROUND_BITS_32 = np.int32(0x4B400000)
ONE_32 = np.float32(1)
SCALE_32 = np.float32(2.0**-24)
SATURATED_32 = np.float32(70)  # sigmoid(17) is 1
P0, P1, P2, P3, P4 = (
    np.float32(c)
    for c in (0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.008368716575205326, 0.00138146395329386)
)
LOWEST_32, HIGHEST_32 = np.float32(-104), np.float32(89)


@inline
def reduce32(x: Single) -> tuple[Single, Single, Single, Bits]:
    """(r, s, lost, k) with e**x = (1 + r + s + lost) * 2**k; lost is what the rounding of r lost.

    k carries the bits of ROUND_32, which a shift by 23 drops.
    """
    t = x * LOG2_E_32 + ROUND_32
    n = t - ROUND_32
    near = x - n * LN2_HI_32
    r = near - n * LN2_LO_32
    lost = (near - r) - n * LN2_LO_32
    q = P0 + r * (P1 + r * (P2 + r * (P3 + r * P4)))
    return r, r * r * q, lost, bits(t)


@inline
def exp32(x: Single) -> Single:
    """e**x in float32 arithmetic alone."""
    x = LOWEST_32 if x < LOWEST_32 else x  # keeps NaN
    x = HIGHEST_32 if x > HIGHEST_32 else x
    r, s, lost, k = reduce32(x)
    u = r + (s + lost)
    # 2**k in two factors: a single one cannot reach the subnormal results, nor 2**128
    k = np.int32(k - ROUND_BITS_32)
    half = np.int32(k >> 1)
    low = from_bits(np.int32((half + 127) << 23))
    high = from_bits(np.int32((k - half + 127) << 23))
    return (ONE_32 + u) * low * high


@inline
def sigmoid32(x: Single) -> Single:
    """1 / (1 + e**-x) in float32 arithmetic alone.

    All but the result is scaled by 2**-24, which brings e**104 into range. With e**-x = s + s u, the denominator
    1 + s + s u is carried with the parts that its two roundings lost, and the quotient is corrected by its exact
    remainder (Markstein, "IA-64 and Elementary Functions", 2000).
    """
    x = LOWEST_32 if x < LOWEST_32 else x
    x = SATURATED_32 if x > SATURATED_32 else x
    r, q, _, k = reduce32(-x)
    u = r + q  # without what r lost it stays within 1 ULP: the quotient is the only other rounding
    s = from_bits(np.int32((k << 23) + (103 << 23)))
    whole = SCALE_32 + s
    d = fma(s, u, whole)
    lost = fma(s, u, whole - d) + (SCALE_32 - (whole - s))
    y = ONE_32 / d
    return fma(y, fma(-y, lost, fma(-y, d, ONE_32)), y) * SCALE_32


@inline
def reduce64(x: float, more: float) -> tuple[float, float, float]:
    """(u, low, high) with e**(x + more) = (1 + u) * low * high, both factors powers of two, |more| < ulp(x)."""
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    t = x * LOG2_E + ROUND
    n = t - ROUND
    near = x - n * LN2_HI
    r = near - n * LN2_LO
    lost = (near - r) - n * LN2_LO + more
    q = 2.7557233524209914e-07 + r * (2.5112240342566263e-08 + r * 2.0926894364700284e-09)
    q = 2.4801587373539667e-05 + r * (2.7557234235187413e-06 + r * q)
    q = 0.001388888888885855 + r * (0.0001984126989706077 + r * q)
    q = 0.5 + r * (0.16666666666666685 + r * (0.04166666666666673 + r * (0.008333333333316737 + r * q)))
    k = bits(t) - ROUND_BITS
    half = k >> 1
    low = from_bits(np.int64((half + 1023) << 52))
    high = from_bits(np.int64((k - half + 1023) << 52))
    q = r * r * q
    return r + (q + (lost + lost * (r + q))), low, high


@inline
def coarse(x: float) -> tuple[float, float]:
    """(u, scale) with e**x = (1 + u) * scale to 28 bits, for x <= 0: what a float32 result needs, at half the price.

    u keeps that relative accuracy down to 0, as expm1 wants it. Below -700, e**x is as good as 0.
    """
    x = -700.0 if x < -700.0 else x
    t = x * LOG2_E + ROUND_BIASED
    r = x - (t - ROUND_BIASED) * LN2
    q = 0.04166620614399009 + r * (0.008368889287082952 + r * 0.0013950465111772713)
    q = 0.5000000095150422 + r * (0.16666518841343972 + r * q)
    return r + r * r * q, from_bits(np.int64(bits(t) << 52))


@inline
def exp_coarse(x: float) -> float:
    """e**x to 28 bits for x <= 0, 1 at 0."""
    u, scale = coarse(np.float64(x))
    return scale + scale * u


@inline
def exp_and_expm1_coarse(x: float) -> tuple[float, float]:
    """(e**x, e**x - 1) to 28 bits, for x <= 0."""
    u, scale = coarse(x)
    return scale + scale * u, (scale - 1.0) + scale * u


@inline
def exp_sum(x: float, more: float) -> float:
    """e**(x + more), |more| < ulp(x): what a rounding lost counts, since the exponential magnifies it by |x|."""
    u, low, high = reduce64(x, more)
    return (1.0 + u) * low * high


@inline
def exp64(x: float) -> float:
    """e**x."""
    return exp_sum(np.float64(x), 0.0)


@inline
def exp_and_expm1(x: float) -> tuple[float, float]:
    """(e**x, e**x - 1), both exact to about 1 ULP, for one range reduction."""
    x = np.float64(x)
    u, low, high = reduce64(x, 0.0)
    scale = low * high  # overflows from x = 709.4 on: the product below does not
    shifted = (scale - 1.0) + scale * u
    e = (1.0 + u) * low * high
    shifted = e - 1.0 if x > 30.0 else shifted
    # 2**n - 1 is exact, and x itself is the answer where its square vanishes (it keeps -0 and subnormals)
    return e, x if abs(x) < 1e-17 else shifted


@inline
def expm1_64(x: float) -> float:
    """e**x - 1 without cancellation near 0."""
    return exp_and_expm1(x)[1]


@inline
def expm1_32(x: Single) -> float:
    """e**x - 1 to 28 bits."""
    z = np.float64(x)
    y = exp_and_expm1_coarse(np.float64(100) if z > 100.0 else z)[1]  # e**100 is infinite as a float32
    return z if abs(z) < 1e-17 else y  # keeps -0


@inline
def log_tail(z: float) -> float:
    """What 2 artanh(s) = s (2 + log_tail(s**2)) has beyond its first term."""
    q = 0.18181775508559225 + z * (0.1538709765133738 + z * (0.13249961980371008 + z * 0.13252755512649497))
    return z * (
        0.6666666666666666 + z * (0.40000000000006286 + z * (0.2857142856907298 + z * (0.22222222648749274 + z * q)))
    )


@inline
def log_core(f: float, k: float, c: float) -> float:
    """log((1 + f) * 2**k) + c for sqrt(1/2) - 1 <= f <= sqrt(2) - 1 and a tiny c."""
    s = f / (2.0 + f)
    square = 0.5 * f * f
    return k * LN2_HI - ((square - (s * (square + log_tail(s * s)) + (k * LN2_LO + c))) - f)


@inline
def split(x: float) -> tuple[float, float]:
    """(f, k) with x = (1 + f) * 2**k for a normal x > 0, as `log_core` wants them."""
    shifted = bits(x) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
    # k from the exponent bits by the same trick as the rounding: no conversion from int64, which AVX2 lacks
    k = from_bits(np.int64((shifted >> 52) + (ROUND_BITS - 1023))) - ROUND
    m = from_bits(np.int64((shifted & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD))
    return m - 1.0, k


@inline
def log64(x: float) -> float:
    """The natural logarithm; -inf at 0, NaN below."""
    x = np.float64(x)
    tiny = x < 2.2250738585072014e-308
    f, k = split(x * 18014398509481984.0 if tiny else x)  # 2**54
    y = log_core(f, k - 54.0 if tiny else k, 0.0)
    y = x if x == np.inf else y
    y = -np.inf if x == 0.0 else y
    return y if x >= 0.0 else np.nan


@inline
def log_over(x: float, y: float) -> float:
    """log(x) - y, with y taken off before anything is rounded: where they are close, that keeps all but the last digits."""
    tiny = x < 2.2250738585072014e-308
    f, k = split(x * 18014398509481984.0 if tiny else x)  # 2**54
    k = k - 54.0 if tiny else k
    large = k * LN2_HI
    head = large - y
    back = head - large
    lost = (large - (head - back)) - (y + back)  # TwoDiff (Knuth)
    lost = lost if abs(lost) < 1.0 else 0.0  # NaN where y is infinite
    s = f / (2.0 + f)
    square = 0.5 * f * f
    d = head - ((square - (s * (square + log_tail(s * s)) + (k * LN2_LO + lost))) - f)
    d = x - y if x == np.inf else d
    d = -np.inf - y if x == 0.0 else d
    return d if x >= 0.0 else np.nan


@inline
def log1p_64(x: float) -> float:
    """log(1 + x) without cancellation near 0; -inf at -1, NaN below."""
    x = np.float64(x)
    u = 1.0 + x
    f, k = split(u)
    # what the rounding of 1 + x lost, relative to u
    c = (1.0 - (u - x) if x > 1.0 else x - (u - 1.0)) / u
    near = k == 0.0  # 1 + x needs no rounding at all then: f is x
    y = log_core(x if near else f, k, 0.0 if near else c)
    y = x if abs(x) < 1e-17 or x == np.inf else y
    y = -np.inf if x == -1.0 else y
    return y if x >= -1.0 else np.nan


@inline
def log_short(f: float, k: float) -> float:
    """log((1 + f) * 2**k) to 36 bits."""
    s = f / (2.0 + f)
    z = s * s
    q = z * (0.66666665641328 + z * (0.4000033621048162 + z * (0.28537238799733833 + z * 0.2358356164770845)))
    return k * LN2 + (2.0 * s + s * q)


@inline
def log32(x: Single) -> float:
    """The natural logarithm to 36 bits; -inf at 0, NaN below."""
    z = np.float64(x)
    f, k = split(z)  # a subnormal float32 is a normal float64
    y = log_short(f, k)
    y = z if z == np.inf else y
    y = -np.inf if z == 0.0 else y
    return y if z >= 0.0 else np.nan


@inline
def log1p_32(x: Single) -> float:
    """log(1 + x) to 36 bits; -inf at -1, NaN below."""
    z = np.float64(x)
    f, k = split(1.0 + z)
    y = log_short(z if k == 0.0 else f, k)
    y = z if abs(z) < 1e-17 or z == np.inf else y
    y = -np.inf if z == -1.0 else y
    return y if z >= -1.0 else np.nan


@inline
def tanh64(x: float) -> float:
    """The hyperbolic tangent, from expm1(-2|x|)."""
    t = expm1_64(-2.0 * abs(x))
    y: float = np.copysign(-t / (2.0 + t), x)
    return y


@inline
def tanh32(x: Single) -> float:
    """The hyperbolic tangent to 27 bits."""
    z = np.float64(x)
    t = exp_and_expm1_coarse(-2.0 * abs(z))[1]
    y: float = np.copysign(-t / (2.0 + t), z)
    return y


@inline
def sigmoid64(x: float) -> float:
    """1 / (1 + e**-x), from e**-|x|."""
    x = np.float64(x)
    e = exp64(-abs(x))
    return (e if x < 0.0 else 1.0) / (1.0 + e)


@inline
def tail32(x: Single) -> float:
    """log(1 + e**-|x|) to 28 bits, as 2 artanh(e / (2 + e))."""
    e = exp_coarse(-abs(np.float64(x)))
    s = e / (2.0 + e)
    z = s * s
    q = 0.28616886405456915 + z * (0.21427641218542315 + z * 0.2430099472469051)
    q = z * (0.6666667562272293 + z * (0.39998877680829914 + z * q))
    return 2.0 * s + s * q


@inline
def tail64(x: float) -> float:
    """log(1 + e**-|x|)."""
    return log1p_64(exp64(-abs(x)))


@inline
def flip32(k: Bits) -> Bits:
    """Turns the bits of a float into an integer that sorts as it does, NaN at the ends, and back."""
    return np.int32(k ^ ((k >> 31) & 0x7FFFFFFF))


@inline
def flip64(k: Bits) -> Bits:
    """`flip32` for 64 bits."""
    return np.int64(k ^ ((k >> 63) & 0x7FFFFFFFFFFFFFFF))


exp = by_dtype(exp32, exp64)
expm1 = by_dtype(expm1_32, expm1_64)
log = by_dtype(log32, log64)
log1p = by_dtype(log1p_32, log1p_64)
tanh = by_dtype(tanh32, tanh64)
sigmoid = by_dtype(sigmoid32, sigmoid64)
flip = by_dtype(flip32, flip64)
tail = by_dtype(tail32, tail64)  # softplus(x) is tail(x), plus x where x > 0
exp_wide = by_dtype(exp_coarse, exp64)  # e**x for x <= 0, as a float64 with what the dtype of x needs
