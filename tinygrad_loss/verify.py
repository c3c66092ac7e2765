"""``python -m tinygrad_loss.verify FILE.py[:function]``: run the gradient checks that a file declares.

A check is a function whose name starts with ``verify_`` or ``check_``, without arguments, which returns what
``autograd.verify`` returned (or several of them); or any function named on the command line. The exit code is 0 when all
pass, 1 when one fails, 2 when one is inconclusive (or there is nothing to check).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from .autograd import GradientReport

EXIT = {"pass": 0, "fail": 1, "inconclusive": 2}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _checks(module: Any, function: str | None) -> dict[str, Callable[[], Any]]:
    if function is not None:
        return {function: getattr(module, function)} if callable(getattr(module, function, None)) else {}
    return {
        name: value
        for name, value in vars(module).items()
        if name.startswith(("verify_", "check_")) and callable(value) and value.__module__ == module.__name__
    }


def _reports(result: Any) -> list[GradientReport]:
    if isinstance(result, GradientReport):
        return [result]
    if isinstance(result, Iterable) and not isinstance(result, str):
        return [report for item in result for report in _reports(item)]
    raise TypeError(
        f"a check returns what autograd.verify returned, got {type(result).__name__}: write `return verify(fn, inputs)`"
    )


def main(argv: list[str] | None = None) -> int:
    r"""Run the checks of a file and print their reports; return the exit code.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tinygrad_loss.verify import main
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "exercise.py"
    >>> _ = path.write_text(
    ...     "import tinygrad_loss as tg\n"
    ...     "def verify_square():\n"
    ...     "    return tg.autograd.verify(lambda x: x * x, tg.tensor([1.0, 2.0]))\n"
    ... )
    >>> main([str(path)])
    verify_square
    PASS: gradient with respect to input [2]
    2 of 2 elements one by one, 10 evaluations
    0
    """
    parser = _Parser(prog="python -m tinygrad_loss.verify", description=str(__doc__).splitlines()[0])
    parser.add_argument("target", metavar="FILE.py[:function]")
    target = parser.parse_args(argv).target
    name, _, function = target.rpartition(":") if ":" in target and not Path(target).exists() else (target, "", "")
    path = Path(name)
    if not path.is_file():
        parser.error(f"there is no file {name!r}")
    checks = _checks(_load(path), function or None)
    if not checks:
        what = f"no function {function!r}" if function else "no function verify_... or check_..."
        parser.error(f"{name} has {what}")
    codes = []
    for label, check in checks.items():
        print(label)
        for report in _reports(check()):
            print(report)
            codes.append(EXIT[report.verdict])
    return 1 if 1 in codes else max(codes, default=2)


if __name__ == "__main__":
    sys.exit(main())
