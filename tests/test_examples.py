"""The examples run, and print what PyTorch's programs print."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
FIXTURES = Path(__file__).parent / "fixtures"


def example(name: str) -> ModuleType:
    """An example, imported as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_multilabel_mlp_prints_pytorchs_lines(capsys: pytest.CaptureFixture[str]) -> None:
    # Frozen: the output of the article's program under PyTorch 2.13.0, on the CPU, with the same seed.
    expected = (FIXTURES / "multilabel_mlp.txt").read_text(encoding="utf-8")
    assert example("multilabel_mlp").main([]) == 0
    assert capsys.readouterr().out == expected


def test_multilabel_mlp_plots_and_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "curves.png"
    assert example("multilabel_mlp").main(["--epochs", "2", "--verify", "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "gradients agree with finite differences" in out
    rows = re.findall(r"^(linear_relu_stack\.\S+) +(\d+) +(\S+) +(\S+)$", out, re.MULTILINE)
    assert [(name, int(n)) for name, n, _, _ in rows] == [
        ("linear_relu_stack.0.weight", 300),
        ("linear_relu_stack.0.bias", 30),
        ("linear_relu_stack.2.weight", 90),
        ("linear_relu_stack.2.bias", 3),
    ]
    assert all(float(error) < 1e-6 * float(scale) for _, _, scale, error in rows)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_multilabel_mlp_notices_a_wrong_gradient(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    from tinygrad_loss.ops.activation import sigmoid

    monkeypatch.setattr(sigmoid.row, "rules", (lambda g, x: g * 0.2,))
    assert example("multilabel_mlp").main(["--epochs", "1", "--verify"]) == 1
    assert "gradients DIFFER" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--epochs", "0"], "--epochs: expected a whole number of at least 1, got '0'"),
        (["--lr", "fast"], "--lr: expected a learning rate above 0, got 'fast'"),
        (["--lr", "nan"], "--lr: expected a learning rate above 0, got 'nan'"),
        (["--batch-size", "-3"], "--batch-size: expected a whole number of at least 1, got '-3'"),
        (["--plot", "no/such/folder/x.png"], "--plot: expected a FILE.png in a folder that exists"),
        (["--plot", "x.gif"], "--plot: expected a FILE.png"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["--seed"], "--seed: expected one argument"),
    ],
)
def test_a_wrong_argument_gets_one_line(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        example("multilabel_mlp").main(argv)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err
