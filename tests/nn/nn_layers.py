"""The table of layers that drives the tests: how each is made, and what it is called with. Imports no framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layer:
    """One construction of a layer.

    ``make(nn)`` builds it from either framework's ``nn``; ``inputs`` are shapes, or ("int", n, shape) for integers.
    """

    name: str
    make: Any
    inputs: tuple[Any, ...] = ((2, 3),)
    low: float = -3.0
    high: float = 3.0
    random: bool = False  # whether forward draws random numbers
    twice: bool = True  # whether second derivatives are compared
    rough: bool = False  # whether PyTorch computes its float64 gradient with float32 constants

    def arrays(self, dtype: Any = np.float64) -> list[np.ndarray[Any, Any]]:
        """Inputs that are the same on every machine and with every NumPy."""
        draw = np.random.RandomState(7)  # its stream is frozen for good
        result = []
        for spec in self.inputs:
            if spec and spec[0] == "int":
                result.append(draw.randint(0, spec[1], size=spec[2]))
            else:
                result.append(draw.uniform(self.low, self.high, size=spec).astype(np.float32).astype(dtype))
        return result


def layer(name: str, make: Any, *inputs: Any, **options: Any) -> Layer:
    return Layer(name, make, inputs or ((2, 3),), **options)


LAYERS = [
    layer("linear", lambda nn: nn.Linear(3, 4), (2, 3)),
    layer("linear-no-bias", lambda nn: nn.Linear(3, 4, bias=False), (5, 2, 3)),
    layer("linear-vector", lambda nn: nn.Linear(3, 4), (3,)),
    layer("linear-wide", lambda nn: nn.Linear(17, 33), (4, 17)),
    layer("bilinear", lambda nn: nn.Bilinear(3, 4, 5), (2, 3), (2, 4)),
    layer("bilinear-no-bias", lambda nn: nn.Bilinear(3, 4, 5, bias=False), (6, 2, 3), (6, 2, 4)),
    layer("identity", lambda nn: nn.Identity(1, two=3)),
    layer("flatten", lambda nn: nn.Flatten(), (2, 3, 4)),
    layer("flatten-dims", lambda nn: nn.Flatten(0, -2), (2, 3, 4)),
    layer("unflatten", lambda nn: nn.Unflatten(1, (2, 3)), (4, 6)),
    layer("unflatten-inferred", lambda nn: nn.Unflatten(-1, (-1, 2)), (4, 6)),
    layer("relu", lambda nn: nn.ReLU()),
    layer("relu-inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))),
    layer("elu", lambda nn: nn.ELU()),
    layer("elu-alpha", lambda nn: nn.ELU(alpha=0.5)),
    layer("elu-inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.ELU(0.7, inplace=True)), twice=False),
    layer("sigmoid", lambda nn: nn.Sigmoid()),
    layer("logsigmoid", lambda nn: nn.LogSigmoid()),
    layer("tanh", lambda nn: nn.Tanh()),
    layer("softplus", lambda nn: nn.Softplus()),
    layer("softplus-beta", lambda nn: nn.Softplus(beta=2, threshold=3.5)),
    layer("softmax", lambda nn: nn.Softmax(dim=1)),
    layer("softmax-first", lambda nn: nn.Softmax(dim=0), (2, 3, 4)),
    layer("log-softmax", lambda nn: nn.LogSoftmax(dim=-1), (2, 3, 4)),
    layer("softmax2d", lambda nn: nn.Softmax2d(), (2, 3, 2, 2)),
    layer("softmin", lambda nn: nn.Softmin(dim=1), (2, 3)),
    layer("relu6", lambda nn: nn.ReLU6(), (4, 5), low=-4, high=9),
    layer("relu6-inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.ReLU6(inplace=True))),
    layer("selu", lambda nn: nn.SELU(), (3, 4)),
    layer("celu", lambda nn: nn.CELU(alpha=0.7), (3, 4), twice=False, rough=True),
    layer("gelu", lambda nn: nn.GELU(), (3, 4)),
    layer("gelu-tanh", lambda nn: nn.GELU(approximate="tanh"), (3, 4)),
    layer("silu", lambda nn: nn.SiLU(), (3, 4)),
    layer("silu-inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.SiLU(inplace=True))),
    layer("mish", lambda nn: nn.Mish(), (3, 4)),
    layer("leaky-relu", lambda nn: nn.LeakyReLU(0.2), (3, 4)),
    layer("leaky-relu-inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(0.2, inplace=True))),
    layer("prelu", lambda nn: nn.PReLU(), (3, 4)),
    layer("prelu-channels", lambda nn: nn.PReLU(4, init=0.1), (3, 4, 2)),
    layer("hardtanh", lambda nn: nn.Hardtanh(-0.5, 2), (3, 4)),
    layer("hardsigmoid", lambda nn: nn.Hardsigmoid(), (3, 8), low=-5, high=5, twice=False, rough=True),
    layer("hardswish", lambda nn: nn.Hardswish(), (3, 8), low=-5, high=5),
    layer("hardshrink", lambda nn: nn.Hardshrink(), (3, 4)),
    layer("softshrink", lambda nn: nn.Softshrink(0.3), (3, 4)),
    layer("tanhshrink", lambda nn: nn.Tanhshrink(), (3, 4)),
    layer("threshold", lambda nn: nn.Threshold(0.1, 20), (3, 4)),
    layer("softsign", lambda nn: nn.Softsign(), (3, 4)),
    layer("glu", lambda nn: nn.GLU(), (3, 4)),
    layer("glu-first", lambda nn: nn.GLU(0), (4, 3)),
    layer("dropout", lambda nn: nn.Dropout(), (4, 5), random=True),
    layer("dropout-p", lambda nn: nn.Dropout(p=0.2), (3, 20), random=True),
    layer("dropout-all", lambda nn: nn.Dropout(p=1.0), random=True),
    layer("dropout-none", lambda nn: nn.Dropout(p=0.0), random=True),
    layer("dropout-inplace", lambda nn: nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.3, inplace=True)), random=True),
    layer("dropout-eval", lambda nn: nn.Dropout().eval(), random=True),
    layer("dropout1d", lambda nn: nn.Dropout1d(), (4, 5, 3), random=True),
    layer("dropout1d-unbatched", lambda nn: nn.Dropout1d(0.3), (5, 3), random=True),
    layer("dropout2d", lambda nn: nn.Dropout2d(), (4, 5, 2, 2), random=True),
    layer("dropout3d", lambda nn: nn.Dropout3d(), (3, 4, 2, 2, 1), random=True),
    layer("dropout3d-unbatched", lambda nn: nn.Dropout3d(), (4, 2, 2, 1), random=True),
    layer("alpha-dropout", lambda nn: nn.AlphaDropout(), (4, 5), random=True),
    layer("feature-alpha-dropout", lambda nn: nn.FeatureAlphaDropout(0.3), (4, 5, 3), random=True),
    layer("embedding", lambda nn: nn.Embedding(5, 4), ("int", 5, (2, 6))),
    layer("embedding-padding", lambda nn: nn.Embedding(5, 4, padding_idx=-2), ("int", 5, (2, 6))),
    layer(
        "embedding-max-norm", lambda nn: nn.Embedding(5, 4, max_norm=1, norm_type=3.0), ("int", 4, (7,)), twice=False
    ),
    layer("embedding-frequency", lambda nn: nn.Embedding(5, 4, scale_grad_by_freq=True), ("int", 5, (9,)), twice=False),
    layer("layer-norm", lambda nn: nn.LayerNorm(4), (2, 3, 4)),
    layer("layer-norm-dims", lambda nn: nn.LayerNorm([3, 4], eps=0.1), (2, 3, 4)),
    layer("layer-norm-plain", lambda nn: nn.LayerNorm(4, elementwise_affine=False), (3, 4)),
    layer("layer-norm-no-bias", lambda nn: nn.LayerNorm((4,), bias=False), (3, 4)),
    layer("group-norm", lambda nn: nn.GroupNorm(2, 6), (3, 6, 2)),
    layer("group-norm-matrix", lambda nn: nn.GroupNorm(3, 6, eps=0.01), (3, 6)),
    layer("group-norm-plain", lambda nn: nn.GroupNorm(1, 6, affine=False), (3, 6, 2, 2)),
    layer("rms-norm", lambda nn: nn.RMSNorm(4), (2, 3, 4)),
    layer("rms-norm-dims", lambda nn: nn.RMSNorm([3, 4], eps=0.1), (2, 3, 4)),
    layer("rms-norm-small", lambda nn: nn.RMSNorm(4), (3, 4), low=-1e-3, high=1e-3, twice=False),
    layer("rms-norm-plain", lambda nn: nn.RMSNorm(4, elementwise_affine=False), (3, 4)),
    layer("cosine-similarity", lambda nn: nn.CosineSimilarity(), (2, 3), (2, 3)),
    layer("cosine-similarity-spread", lambda nn: nn.CosineSimilarity(dim=0, eps=0.5), (4, 3), (3,)),
    layer("pairwise-distance", lambda nn: nn.PairwiseDistance(), (2, 3), (2, 3)),
    layer("pairwise-distance-1", lambda nn: nn.PairwiseDistance(p=1, keepdim=True), (2, 3), (3,)),
    layer("pairwise-distance-3", lambda nn: nn.PairwiseDistance(p=3.0, eps=0.1), (4, 2, 3), (2, 3)),
    layer("pairwise-distance-inf", lambda nn: nn.PairwiseDistance(p=float("inf")), (2, 3), (2, 3)),
    layer(
        "sequential",
        lambda nn: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2), nn.Sigmoid())),
    ),
]

# (function of nn.init, shape of the tensor it fills, keyword arguments)
INITS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("uniform_", (3, 4), {}),
    ("uniform_", (17,), {"a": -2.0, "b": 0.5}),
    ("normal_", (3,), {}),
    ("normal_", (20,), {"mean": 1.0, "std": 0.1}),
    ("trunc_normal_", (5,), {}),
    ("trunc_normal_", (40,), {"mean": 0.5, "std": 0.7, "a": -0.2, "b": 1.0}),
    ("trunc_normal_", (30,), {"std": 2.0, "a": 0.9, "b": 1.1}),
    ("trunc_normal_", (33,), {"std": 0.5, "a": 1.0, "b": 3.0}),
    ("constant_", (2, 2), {"val": 0.3}),
    ("ones_", (3,), {}),
    ("zeros_", (3,), {}),
    ("eye_", (2, 3), {}),
    ("dirac_", (4, 2, 3), {}),
    ("dirac_", (4, 3, 3, 2), {"groups": 2}),
    ("dirac_", (2, 2, 1, 2, 3), {}),
    ("xavier_uniform_", (3, 5), {}),
    ("xavier_uniform_", (3, 2, 2, 2), {"gain": 1.7}),
    ("xavier_normal_", (3, 7), {"gain": 0.5}),
    ("kaiming_uniform_", (3, 5), {}),
    ("kaiming_uniform_", (3, 5), {"a": 2.0, "mode": "fan_out"}),
    ("kaiming_uniform_", (3, 2, 4), {"nonlinearity": "relu"}),
    ("kaiming_normal_", (4, 5), {"mode": "FAN_OUT", "nonlinearity": "tanh"}),
    ("orthogonal_", (3, 5), {}),
    ("orthogonal_", (5, 3), {"gain": 2.0}),
    ("orthogonal_", (4, 2, 2), {}),
    ("sparse_", (5, 4), {"sparsity": 0.3}),
    ("sparse_", (6, 3), {"sparsity": 0.9, "std": 2.0}),
]


def init_id(case: tuple[str, tuple[int, ...], dict[str, Any]]) -> str:
    name, shape, kwargs = case
    return "-".join([name, "x".join(map(str, shape)), *(f"{k}={v}" for k, v in kwargs.items())])
