"""``python -m tinygrad_loss.verify FILE.py[:function]``: run the gradient checks that a file declares.

A check is a function whose name starts with ``verify_`` or ``check_``, without arguments, which returns what
``autograd.verify`` returned (or several of them); or any function named on the command line. The exit code is 0 when all
pass, 1 when one fails or raises, 2 when one is inconclusive (or there is nothing to check, or the file cannot be run).
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from .autograd import GradientReport

EXIT = {"pass": 0, "fail": 1, "inconclusive": 2}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _load(path: Path) -> Any:
    name = f"verified_{path.stem}"  # a file called random.py must not take that module's place
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


def _checks(module: Any, function: str | None) -> dict[str, Callable[[], Any]]:
    if function is not None:
        return {function: getattr(module, function)} if callable(getattr(module, function, None)) else {}
    return {
        name: value
        for name, value in vars(module).items()
        if name.startswith(("verify_", "check_"))
        and callable(value)
        and value.__module__ == module.__name__
        and all(
            p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            for p in inspect.signature(value).parameters.values()
        )
    }


def _tell(error: BaseException, path: Path) -> str:
    """What a user's file raised, from its own first line on; of a failed assertion the message alone."""
    if isinstance(error, AssertionError) and str(error):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != str(path):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


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
    path = Path(name).resolve()
    if not path.is_file():
        parser.error(f"there is no file {name!r}")
    try:
        checks = _checks(_load(path), function or None)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- user code, which may raise anything, is told
        parser.error(f"{name} cannot be run:\n{_tell(error, path)}")
    if not checks:
        what = f"no function {function!r}" if function else "no function verify_... or check_... without arguments"
        parser.error(f"{name} has {what}")
    codes = []
    for label, check in checks.items():
        print(label)
        try:
            for report in _reports(check()):
                print(report)
                codes.append(EXIT[report.verdict])
        except Exception as error:  # noqa: BLE001 -- user code, which may raise anything, is told; the others are run
            print(f"RAISED: {_tell(error, path)}")
            codes.append(1)
    return 1 if 1 in codes else max(codes, default=2)


if __name__ == "__main__":
    sys.exit(main())
