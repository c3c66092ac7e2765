"""Timing two ways of doing one thing so that the ratio can be trusted on a noisy machine."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Comparison:
    """Medians in seconds for each call, and the median of the ratios of neighbouring rounds."""

    name: str
    ours: float
    theirs: float
    speedup: float
    goal: float | None = None

    def __str__(self) -> str:
        mark = "" if self.goal is None else f"   goal {self.goal:g}x  {'ok' if self.speedup >= self.goal else 'MISSED'}"
        return f"{self.name:<44}{_time(self.ours):>12}{_time(self.theirs):>12}{self.speedup:>8.2f}x{mark}"


HEADER = f"{'':<44}{'ours':>12}{'PyTorch':>12}{'faster':>9}"


def compare(
    name: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    rounds: int = 15,
    seconds: float = 0.05,
    goal: float | None = None,
) -> Comparison:
    """Time both in turn, `rounds` times about `seconds` each; the ratio is taken round by round."""
    counts = [_calls_in(f, seconds) for f in (ours, theirs)]
    times: list[tuple[float, float]] = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            a, b = (_timed(f, n) for f, n in zip((ours, theirs), counts, strict=True))
            times.append((a, b))
    finally:
        gc.enable()
    a, b = (statistics.median(column) for column in zip(*times, strict=True))
    return Comparison(name, a, b, statistics.median(theirs / ours for ours, theirs in times), goal)


def _calls_in(f: Callable[[], object], seconds: float) -> int:
    f()
    n = 1
    while (spent := _timed(f, n) * n) < seconds / 4:
        n = max(2 * n, int(n * seconds / 4 / max(spent, 1e-7)))
    return max(1, int(n * seconds / spent))


def _timed(f: Callable[[], object], n: int) -> float:
    start = time.perf_counter()
    for _ in range(n):
        f()
    return (time.perf_counter() - start) / n


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"
