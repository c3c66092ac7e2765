"""The examples run, and print what PyTorch's programs print."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

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


def accuracy(out: str) -> float:
    found = re.search(r"Accuracy of the network on the 450 test images: ([\d.]+) %", out)
    assert found is not None
    return float(found[1])


def test_cifar10_cnn_resumes_to_the_same_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = example("cifar10_cnn").main
    common = ["--data", "digits", "--batch-size", "128", "--every", "5"]
    assert main([*common, "--epochs", "2", "--save", str(tmp_path / "whole.pth")]) == 0
    whole = capsys.readouterr().out
    assert main([*common, "--epochs", "1", "--save", str(tmp_path / "part.pth")]) == 0
    first = capsys.readouterr().out
    assert (
        main([*common, "--epochs", "2", "--resume", str(tmp_path / "part.pth"), "--save", str(tmp_path / "part.pth")])
        == 0
    )
    second = capsys.readouterr().out
    assert (tmp_path / "whole.pth").read_bytes() == (tmp_path / "part.pth").read_bytes()
    assert second.startswith("resumed after epoch 1\n")
    trained = [line for line in (first + second).splitlines() if "loss:" in line]
    assert trained == [line for line in whole.splitlines() if "loss:" in line]
    assert accuracy(second) == accuracy(whole)


def test_cifar10_cnn_learns_the_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert example("cifar10_cnn").main(["--data", "digits", "--plot", str(tmp_path / "x.png")]) == 0
    out = capsys.readouterr().out
    assert accuracy(out) > 95
    assert re.findall(r"^  (\d) +[\d.]+ %$", out, re.MULTILINE) == [str(i) for i in range(10)]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_cifar10_cnn_offline_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    from tinygrad_loss.vision import datasets, download

    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-binary.tar.gz")
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    assert example("cifar10_cnn").main(["--root", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "could not download http://127.0.0.1:9/cifar-10-binary.tar.gz" in err
    assert "--data digits trains on images that scikit-learn carries" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--data", "mnist"], "--data: invalid choice: 'mnist'"),
        (["--epochs", "0"], "--epochs: expected a whole number of at least 1, got '0'"),
        (["--resume", "no.pth"], "--resume: there is no file 'no.pth'"),
        (["--save", "no/such/x.pth"], "--save: there is no folder"),
        (["--plot", "x.jpg"], "--plot: expected a FILE.png"),
    ],
)
def test_cifar10_cnn_names_a_wrong_argument(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        example("cifar10_cnn").main(argv)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err


def test_an_image_of_the_wrong_size_is_explained() -> None:
    import tinygrad_loss as tg

    net = example("cifar10_cnn").Net()
    with pytest.raises(RuntimeError, match=r"takes 400 features, the input of shape \[1, 44944\] has 44944"):
        net(tg.zeros(1, 3, 224, 224))
