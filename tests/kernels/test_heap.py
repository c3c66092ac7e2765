"""What an array leaves behind serves the next one."""

import platform
import subprocess
import sys

import pytest

# In a process of its own: compiling or a large array may have moved the threshold in this one already.
COUNT = """
import resource
import numpy as np
if {kept}:
    from tinygrad_loss.kernels.heap import keep_freed_memory
    keep_freed_memory()
def layers():
    return [np.ones(25_000, np.float32) for _ in range(10)]
layers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    layers()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other thresholds")
def test_freed_memory_is_kept():
    run = subprocess.run([sys.executable, "-c", COUNT.format(kept=True)], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 500  # of 500 arrays of 24 pages
