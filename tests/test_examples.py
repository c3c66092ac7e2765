"""The examples run, and print what PyTorch's programs print."""

from __future__ import annotations

import importlib.util
import itertools
import math
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
        (["--save", "."], "--save: '.' is a folder"),
    ],
)
def test_cifar10_cnn_names_a_wrong_argument(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        example("cifar10_cnn").main(argv)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", None])
def test_cifar10_cnn_cannot_resume_what_it_has_not_saved(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tinygrad_loss as tg

    path = tmp_path / "x.pth"
    if content is None:
        tg.save({"weight": tg.ones(1)}, path)
    else:
        path.write_bytes(content)
    assert example("cifar10_cnn").main(["--data", "digits", "--resume", str(path)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"--resume {path}: this is not what --save writes" in err


def test_cifar10_cnn_says_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert example("cifar10_cnn").main(["--root", str(tmp_path / "file")]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "cannot write in" in err


def test_an_image_of_the_wrong_size_is_explained() -> None:
    import tinygrad_loss as tg

    net = example("cifar10_cnn").Net()
    with pytest.raises(RuntimeError, match=r"takes 400 features, the input of shape \[1, 44944\] has 44944"):
        net(tg.zeros(1, 3, 224, 224))


# --- binary_mlp ---------------------------------------------------------------------------------------------------


def test_binary_mlp_prints_pytorchs_lines(capsys: pytest.CaptureFixture[str]) -> None:
    # Frozen: the output of the article's program under PyTorch 2.13.0, on the CPU, with the same seed.
    expected = (FIXTURES / "binary_mlp.txt").read_text(encoding="utf-8")
    assert example("binary_mlp").main([]) == 0
    assert capsys.readouterr().out == expected


def test_binary_mlp_with_logits_takes_the_same_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "loss.png"
    assert example("binary_mlp").main(["--iterations", "201", "--logits", "--plot", str(picture)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    expected = (FIXTURES / "binary_mlp.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [*expected[:8], "last " + expected[7].split()[1]]
    assert last == f"wrote {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_binary_mlp_shows_the_trap_of_two_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("binary_mlp").main(["--trap"]) == 0
    out = capsys.readouterr().out
    assert "the target size [1000] must be the same as the input size [1000, 1]. Write target.unsqueeze(1)" in out
    assert "predictions - labels has the shape [1000, 1000] and no error is raised" in out
    all_pairs = re.search(r"its mean square ([\d.]+)", out)
    least = re.search(r"the first mean square is then ([\d.]+)", out)
    assert least is not None
    assert all_pairs is not None
    assert float(least[1]) < float(all_pairs[1])
    assert float(least[1]) == pytest.approx(0.498 * 0.502, abs=5e-6)  # the variance of the labels


@pytest.mark.parametrize(
    ("name", "argv", "words"),
    [
        ("binary_mlp", ["--iterations", "0"], "--iterations: expected a whole number of at least 1, got 0"),
        ("binary_mlp", ["--lr", "nan"], "--lr: expected a learning rate above 0, got nan"),
        ("binary_mlp", ["--plot", "no/such/x.png"], "--plot: expected a FILE.png in a folder that exists"),
        ("losses_tour", ["--plot", "x.gif"], "--plot: expected a FILE.png in a folder that exists"),
        ("losses_tour", ["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_the_losses_examples_name_a_wrong_argument(
    name: str, argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        example(name).main(argv)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err


# --- losses_tour --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """What the tour prints, and its picture."""
    import contextlib
    import io

    picture = tmp_path_factory.mktemp("tour") / "formulas.png"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert example("losses_tour").main(["--plot", str(picture)]) == 0
    return out.getvalue(), picture.read_bytes()


def printed(out: str, label: str) -> str:
    """What stands behind a label."""
    found = re.search(rf"^ *{re.escape(label)} +(\S+)$", out, re.MULTILINE)
    assert found is not None, label
    return found[1]


def test_losses_tour_prints_the_articles_numbers(tour: tuple[str, bytes]) -> None:
    out, picture = tour
    for spelling in (
        "by hand",
        "F.binary_cross_entropy(sigmoid(x), t)",
        "nn.BCELoss()(sigmoid(x), t)",
        "F.binary_cross_entropy_with_logits(x, t)",
        "nn.BCEWithLogitsLoss()(x, t)",
    ):
        assert printed(out, spelling) == "0.7361"
    assert printed(out, "three labels") == "0.7833"
    assert out.count("tensor([ 0.2637, -0.0736, -0.1381])") == 2
    assert picture.startswith(b"\x89PNG")


def test_losses_tour_shows_that_definitions_agree(tour: tuple[str, bytes]) -> None:
    out, _ = tour
    p, q = (0.1, 0.2, 0.7), (0.2, 0.3, 0.5)
    pairs = list(zip(p, q, strict=True))
    entropy, cross = -sum(a * math.log(a) for a in p), -sum(a * math.log(b) for a, b in pairs)
    assert printed(out, "entropy of p: -sum p log p") == f"{entropy:.4f}"
    assert printed(out, "divergence of p from q: sum p (log p - log q)") == f"{cross - entropy:.4f}"
    for label in (
        "entropy + divergence",
        "cross-entropy: -sum p log q",
        "F.cross_entropy(log q, p), the target as probabilities",
    ):
        assert printed(out, label) == f"{cross:.4f}"
    reverse = sum(b * math.log(b / a) for a, b in pairs)
    assert printed(out, "divergence of q from p: it is no distance") == f"{reverse:.4f}"
    for one, other in (
        ("CrossEntropyLoss()(x, k)", "NLLLoss()(LogSoftmax(dim=1)(x), k)"),
        ("BCEWithLogitsLoss()(x, t)", "BCELoss()(Sigmoid()(x), t)"),
    ):
        assert printed(out, one) == printed(out, other)
    assert out.count("tensor([0.7000, 0.2000, 0.1000])") == 2
    shares = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))
    for label in ("loss at the minimum", "-log(likelihood of all ten draws) / 10", "entropy of the shares"):
        assert printed(out, label) == f"{shares:.4f}"
    hand = out.partition("by hand, largest difference")[2].partition("---")[0]
    differences = [float(v) for v in re.findall(r" (\S+)$", hand, re.MULTILINE)[1:]]
    assert len(differences) == 3
    assert max(differences) < 1e-14


def test_losses_tour_shows_where_formulas_part(tour: tuple[str, bytes]) -> None:
    out, _ = tour
    assert re.findall(r"^  naive +(\S+)$", out, re.MULTILINE) == ["inf", "-inf", "3.4076"]
    shifted = re.findall(r"^  shifted by the largest +(\S+)$", out, re.MULTILINE)
    assert shifted == re.findall(r"^  tg.logsumexp +(\S+)$", out, re.MULTILINE) == ["1002.4076", "-999.5924", "3.4076"]
    assert printed(out, "log of the shifted sum: 1 + 4e-9 rounds to 1") == "0.0000e+00"
    assert printed(out, "F.cross_entropy") == f"{math.log1p(2 * math.exp(-20)):.4e}"
    tables = [line.split() for line in out.partition("three formulas")[2].splitlines() if line.startswith("  ")]
    rows = [[float(v) for v in cells[-9:]] for cells in tables]
    (places, naive, theirs, exact, truth), (_, naive_slope, their_slope, exact_slope, true_slope) = rows[:5], rows[5:]
    assert exact == pytest.approx(truth, rel=1e-3, abs=0)
    assert exact_slope == pytest.approx(true_slope, rel=1e-3, abs=0)
    assert truth == pytest.approx(
        [x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x)) for x in places], rel=1e-3
    )
    assert math.inf in naive
    assert theirs[1] == 0 < truth[1]  # -17
    assert math.isnan(naive_slope[0])  # 0 / 0 at -90
    assert their_slope[6] == 0 > true_slope[6]  # 17


def test_gradient_verification_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert example("gradient_verification").main(["--plot", str(tmp_path / "v.png")]) == 0
    out = capsys.readouterr().out
    sections = dict(re.findall(r"^--- (.*)\n((?:(?!---).*\n)*)", out, re.MULTILINE))
    said = {
        title: (text.split(":")[0], re.findall(r"^([a-z-]+)(?: in (\w+))?", text, re.MULTILINE)[:1])
        for title, text in sections.items()
    }
    assert list(said.items())[:9] == [
        ("right", ("PASS", [])),
        ("a sign lost", ("FAIL", [("sign", "Softsign")])),
        ("a factor 2 too many", ("FAIL", [("scale", "Softsign")])),
        ("the incoming gradient forgotten", ("FAIL", [("ignores-incoming", "Softsign")])),
        ("the output where the input belongs", ("FAIL", [("output-for-input", "Softsign")])),
        ("an index off by one", ("FAIL", [("shifted", "Softsign")])),
        ("a kink: any slope between the one-sided ones is a subgradient", ("INCONCLUSIVE", [("kink", "")])),
        ("a vacuous check: softmax sums to 1 whatever x is", ("INCONCLUSIVE", [("vacuous", "")])),
        ("random numbers inside", ("INCONCLUSIVE", [("nondeterministic", "mul")])),
    ]
    assert len(said) == 10
    compared = r"analytic (\S+), numeric (\S+) \+- (\S+)\n"
    for title, factor in (("a sign lost", -1), ("a factor 2 too many", 2)):
        assert "gradient_verification.py:" in sections[title]
        ((analytic, numeric, bar),) = re.findall(compared, sections[title])
        assert float(analytic) == pytest.approx(factor * float(numeric), rel=1e-8)
        assert float(bar) < 1e-8 * abs(float(numeric))
    assert "the gradient of x is 2 times the right one" in sections["a factor 2 too many"]
    rows = re.findall(
        r"^ +(\de-\d\d)(?: +\S+){2} +\S+ +(\S+) ",
        sections["d/dx exp(x) at 1 with steps from 1e-1 to 1e-15"],
        re.MULTILINE,
    )
    assert len(rows) == 15
    errors = [float(error) for _, error in rows]
    best = errors.index(min(errors))
    assert 3 <= best <= 6  # the V: truncation falls, rounding rises
    assert all(a > b for a, b in itertools.pairwise(errors[: best + 1]))
    assert errors[0] > 1e6 * errors[best] < errors[-1]
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        example("gradient_verification").main(["--plot", "v.gif"])
    assert "--plot: expected a FILE.png in a folder that exists, got 'v.gif'" in capsys.readouterr().err
