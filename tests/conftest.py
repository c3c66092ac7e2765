"""What every test runs under: fixed seeds, a drawing backend without a screen, a kernel cache that cannot be stale."""

import hashlib
import os
import random
from pathlib import Path

import hypothesis
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


def _kernels_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "tinygrad_loss" / "kernels").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Set while this file is imported, before Numba is, and inherited by xdist's workers and by the programs that tests
# start. Numba renews a cached kernel when the kernel's own file changes, not when a function inlined from another file
# does: after an edit to such a function the tests would pass on old machine code. A directory for each state of the
# sources rules that out. Workers share it: each file in it is replaced atomically, and a lost entry is compiled anew.
os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".numba_cache" / _kernels_digest())
os.environ["MPLBACKEND"] = "Agg"

hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,  # a failure is seen by everyone or by no one
    deadline=None,  # the first call of a kernel compiles it
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # for the same reason
)
hypothesis.settings.load_profile("repeatable")
hypothesis.settings.register_profile("seeded", hypothesis.settings.get_profile("repeatable"), derandomize=False)


def pytest_configure(config):
    import numba

    if config.getoption("hypothesis_seed", None) is not None:  # asked for: other draws than the repeatable ones
        hypothesis.settings.load_profile("seeded")
    if numba.config.DISABLE_JIT:
        # Compiled kernels overflow and divide by zero silently, as IEEE 754 says; the same lines run by Python on NumPy
        # scalars warn. What NumPy does outside the kernels is held to account by the ordinary, compiled run.
        np.seterr(all="ignore")


@pytest.fixture(autouse=True)
def _seed():
    """Start every test from the same random state, whatever ran before it on this worker."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 -- the legacy state is what a test or scikit-learn might draw from unseeded


@pytest.fixture
def rng():
    """Return NumPy's generator, seeded: for inputs and random cotangents."""
    return np.random.default_rng(0)


# Programs that tests start as processes of their own: not to be imported by the collection of doctests.
collect_ignore_glob = ["data/worker_programs.py", "fixtures/make_*.py"]
