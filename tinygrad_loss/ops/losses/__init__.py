"""PyTorch's losses, each rounded once from float64."""
