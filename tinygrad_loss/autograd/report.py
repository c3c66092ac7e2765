"""What ``verify`` says: findings, the verdict that follows from them, and their text."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

# What makes a check fail, and what merely keeps it from saying anything.
FAILURES = (
    "sign", "scale", "transposed", "missing-unbroadcast", "overwritten", "ignores-incoming", "output-for-input",
    "shifted", "forgotten-term", "zero-gradient", "detached", "saved-modified", "wrong",
)  # fmt: skip
DOUBTS = ("kink", "vacuous", "nondeterministic", "precision", "not-finite")


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    kind : str
        A likely mistake (``sign``, ``scale``, ``transposed``, ...; ``wrong`` if none fits), or why nothing can be said
        (``kink``, ``vacuous``, ``nondeterministic``, ``precision``, ``not-finite``).
    op : str or None
        The op whose rule it is, or the class of a custom Function.
    input : str
        The input of the checked function.
    index : tuple of int
        The worst element.
    analytic, numeric, error_bar : float
        What the rule gave there, what finite differences gave, and how far those may be off.
    hint : str
        What it looks like, in words.
    where : str
        The user's source line that called the op.
    """

    kind: str
    op: str | None
    input: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error_bar: float
    hint: str = ""
    where: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether it says that a gradient is wrong."""
        return self.kind in FAILURES

    def __str__(self) -> str:
        head = f"{self.kind}" + (f" in {self.op}" if self.op else "") + (f"  ({self.where})" if self.where else "")
        place = f"{self.input}[{', '.join(map(str, self.index))}]" if self.index else self.input
        lines = [head]
        if self.analytic == self.analytic or self.numeric == self.numeric:
            lines.append(
                f"  d/d {place}: analytic {self.analytic:.10g}, numeric {self.numeric:.10g} +- {self.error_bar:.1e}"
            )
        else:
            lines.append(f"  at {place}")
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)


@dataclass
class GradientReport:
    """The result of a gradient check; true only if the verdict is ``"pass"``."""

    findings: list[Finding] = field(default_factory=list)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)  # name -> shape
    checked: int = 0
    elements: int = 0
    evaluations: int = 0
    worst: float = 0.0  # the largest |analytic - numeric| in units of its error bar
    order: int = 1
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """``"pass"``, ``"fail"`` or ``"inconclusive"``."""
        if any(f.is_failure for f in self.findings):
            return "fail"
        return "inconclusive" if self.findings else "pass"

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    def _summary(self) -> str:
        names = ", ".join(f"{name} {list(shape)}" for name, shape in self.inputs.items())
        order = {1: "gradient", 2: "second-order gradient"}[self.order]
        return (
            f"{self.verdict.upper()}: {order} with respect to {names or 'nothing'}\n"
            f"{self.checked} of {self.elements} elements one by one, {self.evaluations} evaluations"
        )

    def __str__(self) -> str:
        parts = [self._summary(), *self.notes, *(str(f) for f in self.findings)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        colour = {"pass": "#1a7f37", "fail": "#cf222e", "inconclusive": "#9a6700"}[self.verdict]
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(text)}</td>" for text in _cells(f))
            + f"</tr><tr><td></td><td colspan='6'><i>{html.escape(f.hint)}</i></td></tr>"
            for f in self.findings
        )
        head = "".join(f"<th>{h}</th>" for h in ("kind", "op", "input", "index", "analytic", "numeric", "where"))
        summary = html.escape(self._summary()).replace("\n", "<br>")
        notes = "".join(f"<p>{html.escape(n)}</p>" for n in self.notes)
        table = f"<table><tr>{head}</tr>{rows}</table>" if self.findings else ""
        return f"<div><p style='color:{colour}'><b>{summary}</b></p>{notes}{table}</div>"


def _cells(f: Finding) -> tuple[Any, ...]:
    numbers = (f"{f.analytic:.8g}", f"{f.numeric:.8g} ± {f.error_bar:.1e}")
    return f.kind, f.op or "", f.input, str(list(f.index)), *numbers, f.where
