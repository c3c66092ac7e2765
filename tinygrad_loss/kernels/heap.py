"""Keep freed memory for the next array: a training step allocates the same sizes over and over."""

import numpy as np

__all__ = ["keep_freed_memory"]


def keep_freed_memory() -> None:
    """Let glibc reuse what arrays of up to 32 MB leave behind, where it would hand it back to the kernel each time.

    It serves blocks beyond a threshold, at first 128 kB, by memory maps, and every page of a new map faults at its
    first touch: a third of the CNN's step at batch 32. Freeing a mapped block moves the threshold to its size, up to
    32 MB, and that of trimming to twice as much (mallopt(3), M_MMAP_THRESHOLD). This block's pages are never touched;
    with another C library it does nothing.
    """
    np.empty((32 << 20) - 8192, np.uint8)
