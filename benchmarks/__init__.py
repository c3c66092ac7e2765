"""Measurements against PyTorch 2.13.0, in one run and alternating: `python -m benchmarks.core` and its neighbours."""
