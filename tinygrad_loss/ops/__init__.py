"""The rows, by family: each op's forward, rule, NumPy definition and sample domain side by side."""
