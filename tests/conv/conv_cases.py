"""The calls that the tests of this folder make in both frameworks, with what they are made on. Imports no framework."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

Case = tuple[str, tuple[Any, ...], dict[str, Any]]


def case(function: str, *shapes: Any, **parameters: Any) -> Case:
    return function, shapes, parameters


CASES: list[Case] = [
    case("conv1d", (2, 3, 7), (4, 3, 3), (4,)),
    case("conv1d", (2, 4, 9), (4, 2, 2), None, stride=2, padding=1, groups=2, dilation=2),
    case("conv2d", (2, 3, 5, 6), (4, 3, 3, 2), (4,)),
    case("conv2d", (1, 2, 5, 5), (2, 1, 3, 3), (2,), padding=1, groups=2),
    case("conv2d", (2, 2, 7, 6), (3, 2, 3, 3), None, stride=(2, 3), padding=(2, 0), dilation=(1, 2)),
    case("conv2d", (1, 2, 5, 5), (2, 2, 2, 4), (2,), padding="same"),
    case("conv2d", (2, 5, 6), (3, 2, 1, 1), (3,), stride=2),
    case("conv2d", (1, 2, 4, 4), (2, 2, 3, 3), (2,), padding=4, stride=3),
    case("conv_transpose1d", (2, 3, 4), (3, 2, 3), (2,), stride=2, output_padding=1),
    case("conv_transpose2d", (2, 4, 3, 3), (4, 1, 3, 2), (2,), stride=(2, 1), padding=1, groups=2),
    case("conv_transpose2d", (1, 2, 3, 4), (2, 2, 2, 3), None, stride=3, dilation=(4, 2), output_padding=(3, 2)),
    case("max_pool1d", (2, 3, 7), kernel_size=3, stride=2, padding=1),
    case("max_pool2d", (2, 3, 6, 6), kernel_size=2),
    case("max_pool2d", (1, 2, 7, 8), kernel_size=(3, 2), stride=2, padding=1, dilation=2, ceil_mode=True),
    case("avg_pool1d", (2, 3, 7), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    case("avg_pool2d", (2, 3, 6, 6), kernel_size=3, padding=1, stride=2),
    case("avg_pool2d", (2, 3, 7, 5), kernel_size=3, padding=1, stride=2, ceil_mode=True, count_include_pad=False),
    case("avg_pool2d", (1, 2, 5, 5), kernel_size=2, divisor_override=3),
    case("adaptive_avg_pool1d", (2, 3, 7), output_size=3),
    case("adaptive_avg_pool2d", (2, 3, 5, 7), output_size=(3, None)),
    case("adaptive_max_pool1d", (2, 3, 7), output_size=4),
    case("adaptive_max_pool2d", (1, 2, 7, 5), output_size=(3, 2)),
    case("unfold", (2, 2, 5, 4), kernel_size=(2, 3), padding=1, stride=(2, 1), dilation=(2, 1)),
    case("fold", (1, 8, 6), output_size=(4, 3), kernel_size=2),
    case("fold", (2, 12, 6), output_size=(5, 4), kernel_size=(2, 3), padding=1, stride=(2, 3), dilation=(2, 1)),
    case("interpolate", (1, 2, 3, 4), scale_factor=2, mode="nearest"),
    case("interpolate", (1, 2, 5, 4), size=(3, 7), mode="nearest"),
    case("interpolate", (1, 2, 3, 4), scale_factor=(1.7, 2), mode="bilinear", align_corners=False),
    case("interpolate", (1, 2, 5, 4), size=(3, 6), mode="bilinear", align_corners=True),
    case("interpolate", (1, 2, 5), size=8, mode="linear"),
    case("pixel_shuffle", (2, 8, 2, 3), upscale_factor=2),
    case("pixel_unshuffle", (2, 2, 4, 6), downscale_factor=2),
    case("pad", (2, 2, 3, 4), pad=(1, 2, 0, 1), value=0.5),
    case("pad", (2, 2, 3, 4), pad=(-1, 2, 1, 0)),
    case("pad", (2, 2, 3, 4), pad=(1, 3, 2, 0), mode="reflect"),
    case("pad", (2, 2, 3, 4), pad=(1, 2, 2, 0), mode="replicate"),
    case("pad", (2, 2, 3, 4), pad=(4, 1, 0, 3), mode="circular"),
    case("batch_norm", (4, 3, 2, 2), "mean", "variance", (3,), (3,), training=True),
    case("batch_norm", (4, 3), "mean", "variance", (3,), None, training=True, momentum=0.3, eps=0.1),
    case("batch_norm", (4, 3, 2), "mean", "variance", (3,), (3,), training=False),
    case("instance_norm", (2, 3, 4), None, None, (3,), (3,)),
]
IDS = [f"{i}-{name}" for i, (name, _, _) in enumerate(CASES)]


def arrays(i: int, dtype: Any = np.float64) -> list[Any]:
    """The operands of case i: the same on every machine and with every NumPy."""
    draw = np.random.RandomState(zlib.crc32(f"{i}".encode()))  # its stream is frozen for good
    found: list[Any] = []
    for spec in CASES[i][1]:
        if spec == "mean":
            found.append(np.array([0.1, -0.2, 0.3], dtype))
        elif spec == "variance":
            found.append(np.array([0.5, 1.5, 2.0], dtype))
        else:
            found.append(None if spec is None else draw.standard_normal(spec).astype(np.float32).astype(dtype))
    return found


def evaluate(framework: Any, F: Any, i: int, tensor: Any) -> list[np.ndarray[Any, Any]]:
    """The value of case i, the running statistics it leaves, its gradients, and their gradient along a direction."""
    name, shapes, parameters = CASES[i]
    operands = [None if a is None else tensor(a) for a in arrays(i)]
    fixed = [spec in ("mean", "variance") for spec in shapes]
    leaves = [x for x, is_fixed in zip(operands, fixed, strict=True) if x is not None and not is_fixed]
    for x in leaves:
        x.requires_grad_(True)
    y = getattr(F, name)(*operands, **parameters)
    draw = np.random.RandomState(5)
    cotangent = tensor(draw.standard_normal(tuple(y.shape)))
    cotangent.requires_grad_(True)
    first = framework.autograd.grad(y, leaves, cotangent, create_graph=True)
    along = sum((g * tensor(draw.standard_normal(tuple(g.shape)))).sum() for g in first)
    second = framework.autograd.grad(along, [*leaves, cotangent], allow_unused=True)
    results = [y, *(x for x, is_fixed in zip(operands, fixed, strict=True) if is_fixed), *first]
    for g, x in zip(second, [*leaves, cotangent], strict=True):
        results.append(x * 0 if g is None else g)
    return [r.detach().numpy() for r in results]


LAYERS = [
    "Conv1d(4, 6, 3, stride=2, padding=1)",
    "Conv2d(3, 6, 5)",
    "Conv2d(4, 8, (3, 2), padding='same', dilation=2, groups=2, bias=False, padding_mode='reflect')",
    "Conv2d(4, 4, 3, padding=(1, 2), padding_mode='circular')",
    "ConvTranspose1d(4, 6, 3)",
    "ConvTranspose2d(3, 4, 2, stride=2, output_padding=1, dilation=2)",
    "MaxPool1d(2)",
    "MaxPool2d(2, 2)",
    "MaxPool2d(3, stride=(2, 1), padding=1, dilation=1, ceil_mode=True)",
    "AvgPool1d(2)",
    "AvgPool2d(2, padding=1)",
    "AdaptiveAvgPool1d(3)",
    "AdaptiveAvgPool2d((1, None))",
    "AdaptiveMaxPool1d(3)",
    "AdaptiveMaxPool2d(2)",
    "BatchNorm1d(3)",
    "BatchNorm2d(3, momentum=None, affine=False)",
    "BatchNorm2d(3, track_running_stats=False)",
    "InstanceNorm1d(3)",
    "InstanceNorm2d(3, affine=True, track_running_stats=True)",
    "Upsample(scale_factor=2)",
    "Upsample(size=(3, 4), mode='bilinear', align_corners=True)",
    "UpsamplingNearest2d(size=3)",
    "UpsamplingBilinear2d(scale_factor=2)",
    "PixelShuffle(2)",
    "PixelUnshuffle(2)",
    "Unfold(2)",
    "Fold((3, 4), 2, padding=1)",
    "ZeroPad1d(1)",
    "ZeroPad2d((1, 2, 3, 4))",
    "ConstantPad1d(2, 3.5)",
    "ConstantPad2d(2, 3.5)",
    "ReflectionPad1d(1)",
    "ReflectionPad2d((1, 2, 3, 4))",
    "ReplicationPad1d(2)",
    "ReplicationPad2d(2)",
    "CircularPad1d(1)",
    "CircularPad2d(1)",
]


def layer(framework: Any, source: str) -> Any:
    """Make a layer of the list under seed 0."""
    framework.manual_seed(0)
    return eval(f"nn.{source}", {"nn": framework.nn})
