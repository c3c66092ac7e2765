"""The README's programs print what it says, and its commands are the ones that CI runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL)
PROGRAMS = [(match["code"], match["output"] or "") for match in BLOCK.finditer(README)]


def printed_by(code):
    """Run a program in an interpreter of its own, warnings being errors, and return what it prints."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize(("code", "output"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_program_prints_what_the_readme_says(code, output):
    assert printed_by(code) == output


def test_every_python_block_is_executed():
    assert len(PROGRAMS) == README.count("```python") >= 1


def test_a_wrong_answer_would_be_noticed():
    code, output = PROGRAMS[0]
    assert output
    assert printed_by(code + "print('more')\n") != output


def test_a_failing_program_would_be_noticed():
    with pytest.raises(AssertionError, match="NameError"):
        printed_by("undefined")


def test_first_screen_has_the_two_commands_of_ci():
    first_screen = "\n".join(README.splitlines()[:20])
    commands = re.findall(r"^python3 -m venv .*$", first_screen, re.MULTILINE)
    assert [command.rpartition("&& ")[2] for command in commands] == [
        ".venv/bin/python examples/multilabel_mlp.py",
        ".venv/bin/pytest -n auto",
    ]
    assert README.count("\npython3 -m venv ") == 2, ".ci/run reads the README's lines that begin with `python3 -m venv`"
