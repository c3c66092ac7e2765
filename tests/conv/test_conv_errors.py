"""Wrong calls of convolution and its kin say what was given, what was expected and what to write."""

import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn

F = nn.functional
CALLS = [
    (lambda: nn.Conv2d(3, 6, 5)(tg.zeros(4, 1, 32, 32)), RuntimeError, ["3 channels, but got 1", "in_channels=1"]),
    (lambda: nn.Conv2d(3, 6, 5)(tg.zeros(4, 3)), RuntimeError, ["Expected 3D (unbatched) or 4D", "[4, 3]"]),
    (lambda: nn.Conv2d(3, 6, 5)(tg.zeros(4, 3, 4, 9)), RuntimeError, ["(4 x 9)", "(5 x 5)", "greater", "adds 1"]),
    (lambda: nn.Conv2d(3, 6, 5)(tg.zeros(4, 3, 9, 9).double()), RuntimeError, ["float64", "float32", "input.to("]),
    (lambda: F.conv2d([1.0], tg.zeros(1, 1, 1, 1)), TypeError, ["must be Tensor, not list"]),
    (lambda: F.conv1d(tg.zeros(1, 2, 5), tg.zeros(1, 2, 3), stride=0), RuntimeError, ["non-positive stride"]),
    (lambda: F.conv1d(tg.zeros(1, 2, 5), tg.zeros(1, 2, 3), padding=-1), RuntimeError, ["negative padding"]),
    (lambda: F.conv1d(tg.zeros(1, 2, 5), tg.zeros(1, 2, 3), padding=(1, 2)), RuntimeError, ["padding", "(1, 2)"]),
    (lambda: F.conv1d(tg.zeros(1, 2, 5), tg.zeros(1, 2, 3), padding="full"), RuntimeError, ["'valid', 'same'"]),
    (lambda: F.conv1d(tg.zeros(1, 2, 5), tg.zeros(1, 2, 3), stride=2, padding="same"), RuntimeError, ["strided"]),
    (lambda: F.conv1d(tg.zeros(1, 2, 5), tg.zeros(1, 2, 3), tg.zeros(2)), RuntimeError, ["1 elements", "[2]"]),
    (lambda: F.conv1d(tg.zeros(1, 4, 5), tg.zeros(3, 2, 3), groups=2), RuntimeError, ["groups=2", "[3, 2, 3]"]),
    (lambda: F.conv2d(tg.zeros(1, 2, 5, 5), tg.zeros(1, 2, 3)), RuntimeError, ["4-dimensional weight", "[1, 2, 3]"]),
    (
        lambda: F.conv_transpose1d(tg.zeros(1, 2, 5), tg.zeros(2, 1, 3), stride=2, output_padding=2),
        RuntimeError,
        ["output padding must be smaller", "(2,)"],
    ),
    (lambda: F.conv_transpose1d(tg.zeros(1, 2, 1), tg.zeros(2, 1, 2), padding=1), RuntimeError, ["too small"]),
    (lambda: F.conv2d(tg.zeros(1, 1, 4, 4), tg.zeros(1, 1, 2, 2), stride=2.0), TypeError, ["stride", "2.0"]),
    (lambda: F.conv2d(tg.zeros(1, 1, 4, 4), tg.zeros(1, 1, 2, 2), groups=1.0), TypeError, ["groups", "1.0"]),
    (lambda: F.conv2d(tg.zeros(1, 3, 9, 9), tg.zeros(0, 3, 5, 5)), RuntimeError, ["at least 1", "[0, 3, 5, 5]"]),
    (lambda: nn.MaxPool2d(2.0)(tg.zeros(1, 1, 4, 4)), TypeError, ["kernel_size", "2.0"]),
    (lambda: nn.Conv2d(3, 6, 5, groups=2), ValueError, ["in_channels", "divisible", "groups=2"]),
    (lambda: nn.Conv2d(3, 6, 5, padding_mode="mirror"), ValueError, ["'mirror'", "reflect"]),
    (lambda: nn.ConvTranspose2d(3, 6, 5, stride=2)(tg.zeros(1, 3, 2, 2), output_size=(9, 9)), ValueError, ["[7, 7]"]),
    (lambda: nn.ConvTranspose2d(3, 6, 3)(tg.zeros(1, 3, 4, 4), [6, 6, 6]), ValueError, ["[6, 6, 6]", "[6, 6]"]),
    (lambda: nn.MaxPool2d(3)(tg.zeros(1, 1, 2, 2)), RuntimeError, ["(1x2x2)", "(1x0x0)", "too small"]),
    (lambda: F.max_pool1d(tg.zeros(0, 4), 2), RuntimeError, ["0 dim batch size", "[1, 0, 4]"]),
    (lambda: F.max_pool2d(tg.zeros(1, 1, 4, 4), 2, padding=2), RuntimeError, ["at most half", "pad=2"]),
    (
        lambda: F.max_pool1d(tg.zeros(1, 1, 9), 3, padding=2, dilation=2),
        RuntimeError,
        ["at most half", "kernel_size=3"],
    ),
    (lambda: F.max_pool2d(tg.zeros(1, 1, 4, 4).bool(), 2), NotImplementedError, ["torch.bool", "input.float()"]),
    (lambda: F.avg_pool2d(tg.zeros(1, 1, 4, 4), 2, divisor_override=0), RuntimeError, ["not zero"]),
    (lambda: F.adaptive_avg_pool2d(tg.zeros(1, 1, 4, 4), (1, 2, 3)), RuntimeError, ["(1, 2, 3)"]),
    (lambda: nn.BatchNorm2d(3)(tg.zeros(2, 3)), ValueError, ["expected 4D input (got 2D input of shape [2, 3])"]),
    (lambda: nn.BatchNorm1d(3)(tg.zeros(2, 4)), RuntimeError, ["4 elements not 3", "num_features=4"]),
    (
        lambda: nn.BatchNorm1d(3)(tg.zeros(2, 3).double()),
        RuntimeError,
        ["mixed dtype", "torch.float64", "running_mean"],
    ),
    (lambda: F.batch_norm(tg.zeros(2, 3), tg.zeros(3), None, training=True), ValueError, ["both be None"]),
    (lambda: nn.BatchNorm1d(3)(tg.zeros(1, 3)), ValueError, ["more than 1 value per channel", "model.eval()"]),
    (lambda: F.batch_norm(tg.zeros(2, 3), None, None), RuntimeError, ["running_mean", "training=False"]),
    (lambda: F.unfold(tg.zeros(1, 1, 2, 2), 3), RuntimeError, ["[2, 2]", "[0, 0]"]),
    (lambda: F.fold(tg.zeros(1, 4, 5), (3, 3), 2), RuntimeError, ["2 * 2 = 4", "5"]),
    (lambda: F.interpolate(tg.zeros(1, 1, 2, 0), 3), RuntimeError, ["greater than 0", "[2, 0]"]),
    (lambda: F.interpolate(tg.zeros(1, 1, 2, 2), (1, 2, 3)), ValueError, ["(1, 2, 3)", "2 numbers"]),
    (lambda: F.interpolate(tg.zeros(1, 1, 2, 2), 3, recompute_scale_factor=True), ValueError, ["explicit size"]),
    (lambda: F.interpolate(tg.zeros(1, 1, 2, 2)), ValueError, ["either size or scale_factor"]),
    (lambda: F.interpolate(tg.zeros(1, 1, 2, 2), 3, mode="linear"), NotImplementedError, ["3D", "[1, 1, 2, 2]"]),
    (lambda: F.interpolate(tg.zeros(1, 1, 2, 2), 3, align_corners=True), ValueError, ["align_corners"]),
    (lambda: F.interpolate(tg.zeros(1, 1, 4, 4), 2, mode="bilinear", antialias=True), NotImplementedError, ["Resize"]),
    (lambda: F.interpolate(tg.zeros(1, 1, 4, 4), 2, mode="bicubic"), NotImplementedError, ["'bicubic'", "bilinear"]),
    (lambda: F.pixel_shuffle(tg.zeros(6, 2, 2), 2), RuntimeError, ["6", "4"]),
    (lambda: F.pad(tg.zeros(1, 3), (3, 0), mode="reflect"), RuntimeError, ["(3, 0)", "[1, 3]", "2 at most"]),
    (lambda: F.pad(tg.zeros(3), (1, 1, 1, 1)), RuntimeError, ["[1, 1, 1, 1]", "[3]"]),
    (lambda: F.pad(tg.zeros(3), (-2, -2)), RuntimeError, ["crops more"]),
]


@pytest.mark.parametrize(("call", "error", "parts"), CALLS, ids=range(len(CALLS)))
def test_message(call, error, parts):
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)


def test_a_wrong_batch_leaves_the_running_statistics_alone():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than 1 value"):
        layer(tg.zeros(1, 3))
    assert layer.running_mean.tolist() == [0, 0, 0]
    assert layer.num_batches_tracked.item() == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.pixel_shuffle(x, 1),
        lambda x: F.pixel_unshuffle(x, 1),
        lambda x: F.unfold(x, 1),
        lambda x: F.max_pool2d(x, 1),
        lambda x: F.avg_pool2d(x, 1),
        lambda x: F.interpolate(x, scale_factor=1),
    ],
)
def test_results_never_share_memory(call):
    x = tg.ones(1, 1, 2, 2)
    call(x).zero_()
    assert x.sum().item() == 4


@pytest.mark.parametrize("dtype", ["float16", "int64"])
def test_other_dtypes(dtype):
    kind = getattr(tg, dtype)
    x, weight = tg.arange(18).reshape(1, 2, 9).to(kind), tg.ones(1, 2, 2, dtype=kind)
    y = F.conv1d(x, weight)
    assert (y.dtype, y.tolist()[0][0][:2]) == (kind, [20, 24])
    assert F.max_pool1d(x, 3, return_indices=True)[1].dtype == tg.int64


def test_batch_norm_learns_as_configured():
    layer = nn.BatchNorm1d(2, momentum=None)
    x = tg.tensor([[0.0, 1.0], [2.0, 5.0]])
    layer(x)
    layer(x + 2)
    assert layer.num_batches_tracked.item() == 2
    assert layer.running_mean.tolist() == [2, 4]  # the average of both batches
    assert layer.running_var.tolist() == [2, 8]
    layer.eval()
    before = layer.running_mean.tolist()
    layer(x)
    assert layer.running_mean.tolist() == before
