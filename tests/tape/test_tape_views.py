"""The tape printed, drawn, and stepped through in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import tinygrad_loss as tg
from tinygrad_loss.op import Node

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def diamond() -> tuple[Any, Any]:
    """``a`` is used twice: its gradient is 5 + 2, and only complete after both."""
    x = tg.tensor(2.0, requires_grad=True, dtype=tg.float64)
    a = x * 3
    return x, a * 5 + a * 2


def test_a_line_per_op() -> None:
    w = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = tg.tensor([[1.0, 1.0]])
    entries = list(tg.tape(((x @ w).exp() * 2).sum()))
    assert [e.op for e in entries] == ["matmul", "exp", "mul", "sum"]
    assert [e.inputs for e in entries] == [("x", "w"), ("#1",), ("#2", "2"), ("#3",)]
    assert [e.shape for e in entries] == [(1, 2), (1, 2), (1, 2), ()]
    assert [e.saved for e in entries] == [8, 8, 0, 0]
    assert {e.dtype for e in entries} == {"float32"}
    assert all(re.search(r"test_tape_views\.py:\d+$", e.line) for e in entries)
    lines = repr(tg.tape(((x @ w).exp() * 2).sum())).splitlines()
    assert len(lines) == 6
    assert re.match(r"2 +exp +#1 +\[1, 2\] +float32 +8 B +test_tape_views.py:\d+$", lines[2])
    assert lines[-1] == "4 ops, 16 B saved: matmul 8 B, exp 8 B"


def test_memory_counts_an_array_once() -> None:
    w = tg.ones(100, requires_grad=True, dtype=tg.float64)
    e = w.exp()
    t = tg.tape((e * e).sum())
    assert [entry.saved for entry in t] == [800, 800, 0]
    assert t.memory() == {"exp": 800}
    assert t.saved_bytes == 800
    small = e[:1]
    assert [entry.saved for entry in tg.tape(e * small)] == [800, 0, 800]
    assert tg.tape(small * e).saved_bytes == 800
    d = tg.ones(100, requires_grad=True, dtype=tg.float64)
    assert [entry.saved for entry in tg.tape(d[:1] * d)] == [0, 800]


@pytest.mark.parametrize("early", [True, False])
def test_norms_after_backward(early: bool) -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True, dtype=tg.float64)
    loss = (x * x).sum()
    t = tg.tape(loss) if early else None
    assert t is None or [e.norm for e in t] == [None, None]
    loss.backward()
    t = t or tg.tape(loss)
    assert [e.norm for e in t] == [pytest.approx(2**0.5), 1.0]
    assert "|grad|" in repr(t)


def test_looking_changes_no_gradient_and_leaves_no_hook() -> None:
    x, loss = diamond()
    t = tg.tape(loss)
    repr(t), t.to_svg(), t.to_dot()
    loss.backward()
    assert x.grad.item() == 21
    node = loss.grad_fn
    assert node.watch.before
    del t
    assert not node.watch.before


def test_what_has_no_tape_is_refused() -> None:
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        tg.tape(tg.ones(2))
    with pytest.raises(TypeError, match="got int"):
        tg.tape(3)  # type: ignore[arg-type]


def chain(n: int) -> Any:
    x = h = tg.tensor([0.5, 0.25], requires_grad=True)
    for _ in range(n):
        h = h.tanh()
        h = h * x
    return h


def test_svg_of_few_ops_shows_each() -> None:
    _, loss = diamond()
    root = ET.fromstring(tg.tape(loss).to_svg())
    space = {"s": "http://www.w3.org/2000/svg"}
    titles = [t.text or "" for t in root.findall(".//s:title", space)]
    assert [t.split()[1] for t in titles] == ["mul", "mul", "mul", "add"]
    assert "value: 6." in titles[0]
    assert "gradient: 7." in titles[0]
    assert len(root.findall(".//s:path", space)) == 4
    assert tg.tape(loss)._repr_svg_() == tg.tape(loss).to_svg()


def boxes_of(svg: str) -> list[tuple[float, float, float]]:
    pattern = r'</title><rect x="([\d.-]+)" y="(\d+)" width="([\d.]+)"'
    return [(float(x), float(y), float(w)) for x, y, w in re.findall(pattern, svg)]


def test_svg_of_many_ops_folds_and_nothing_overlaps() -> None:
    t = tg.tape(chain(250))
    assert len(t) == 500
    boxes = boxes_of(t.to_svg())
    assert 10 <= len(boxes) <= 40
    for i, (x, y, w) in enumerate(boxes):
        for x2, y2, w2 in boxes[:i]:
            assert y != y2 or x + w <= x2 or x2 + w2 <= x


def five_ops() -> Any:
    return tg.tape(diamond()[1].exp())


def five_hundred_ops() -> Any:
    return tg.tape(chain(250))


def a_wide_program() -> Any:
    x = tg.ones(2, 3, requires_grad=True)
    return tg.tape(sum((x.logsumexp(1, keepdim=True) * k for k in range(17)), x))


def folded_modules() -> Any:
    model = tg.nn.Sequential(*(tg.nn.Sequential(tg.nn.Linear(3, 3), tg.nn.Tanh()) for _ in range(170)))
    return tg.tape(model(tg.ones(2, 3)).sum(), module=model)


@pytest.mark.parametrize("program", [five_ops, five_hundred_ops, a_wide_program, folded_modules])
def test_no_label_overlaps_another_or_leaves_its_box_or_the_drawing(program: Any) -> None:
    root = ET.fromstring(program().to_svg())
    space = {"s": "http://www.w3.org/2000/svg"}
    canvas = (0.0, 0.0, float(root.attrib["width"]), float(root.attrib["height"]))
    advance, ascent, descent = 0.61 * 12, 0.95 * 12, 0.25 * 12  # of the widest common monospace, at font-size 12

    def inside(a: Any, b: Any) -> bool:
        return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]

    def apart(a: Any, b: Any) -> bool:
        return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]

    boxes, labels = [], []
    for group in root.findall("s:g", space):
        rect = group.find("s:rect", space)
        assert rect is not None
        x, y, w, h = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
        boxes.append((x, y, x + w, y + h))
        assert inside(boxes[-1], canvas)
        texts = group.findall("s:text", space)
        assert len(texts) == 2
        for text in texts:
            middle, base, half = float(text.attrib["x"]), float(text.attrib["y"]), len(text.text or "") * advance / 2
            labels.append((middle - half, base - ascent, middle + half, base + descent))
            assert inside(labels[-1], boxes[-1]), text.text
    assert 5 <= len(boxes) <= 55
    for things in (boxes, labels):
        assert all(apart(a, b) for i, a in enumerate(things) for b in things[:i])


def test_modules_fold_into_boxes() -> None:
    model = tg.nn.Sequential(*(tg.nn.Linear(3, 3) for _ in range(30)))
    h = tg.ones(2, 3)
    for layer in model:
        h = layer(h).tanh() * 1.5
    t = tg.tape(h.sum(), module=model)
    assert len(t) > 40
    svg = t.to_svg()
    assert len(boxes_of(svg)) == 30
    assert ">7 (3 ops)<" in svg
    assert 'label="7";' in t.to_dot()


def test_dot_has_every_edge() -> None:
    _, loss = diamond()
    t = tg.tape(loss)
    text = t.to_dot()
    edges = sum(e is not None for node in t.nodes for e in node.edges)
    assert text.count(" -> ") == edges == 5
    assert "leaf0 -> op1;" in text
    assert text.count("{") == text.count("}")


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.data: Any = None
        self.inside = False
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.inside = dict(attrs).get("id") == "data"
        self.outside += [v for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.data = json.loads(data)
            self.inside = False


def test_page_holds_formula_rule_and_the_sum_of_a_diamond(tmp_path: Path) -> None:
    _, loss = diamond()
    tg.tape(loss).to_html(tmp_path / "tape.html")
    text = (tmp_path / "tape.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.outside == []
    assert "http" not in text
    ops = page.data["ops"]
    assert ops[1]["formula"] == "#1 * 5"
    assert "lambda g, b: " in ops[1]["rule"]
    assert "lambda g, a: " in ops[1]["rule"]
    to_a = [s for step in page.data["backward"] for s in step["sends"] if s["to"] == "#1"]
    assert [(float(s["share"]), s["arrived"], float(s["after"])) for s in to_a] == [(2, 1, 2), (5, 2, 7)]


@pytest.mark.slow  # it starts a browser, which a busy machine does not always do in time
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_page_steps_in_a_browser(tmp_path: Path) -> None:
    _, loss = diamond()
    path = tmp_path / "tape.html"
    tg.tape(loss).to_html(path)

    def seen(keys: str, at: str = "") -> str:
        press = "".join(f"dispatchEvent(new KeyboardEvent('keydown', {{key: '{k}'}}));" for k in keys.split())
        path.with_name("pressed.html").write_text(
            path.read_text(encoding="utf-8").replace("</body>", f"<script>{press}</script></body>"), encoding="utf-8"
        )
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", f"file://{tmp_path / 'pressed.html'}{at}",
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)  # type: ignore[arg-type]
        dom = re.sub(r"<script.*?</script>", "", run.stdout, flags=re.DOTALL)
        return html.unescape(re.sub(r"<[^>]+>", " ", dom))

    assert "step 1 of 8: forward, op 1 mul" in seen("")
    assert "step 2 of 8: forward, op 2 mul" in seen("ArrowRight ArrowRight ArrowLeft")
    text = seen("", "#6")
    assert "backward, op 3 mul" in text
    assert "1 of 2 uses have sent their share: it has to wait" in text
    text = seen("ArrowRight", "#6")
    assert "2 of 2 uses have sent their share: complete" in text
    assert re.search(r"2\.\s*\+ 5\.\s*= 7\.", text)


def test_rules_of_one_line_are_told_apart() -> None:
    from tinygrad_loss.tape.page import rules

    a, b = tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)
    node: Node = (a - b).grad_fn
    first, second = rules(node.row).splitlines()
    assert first != second.replace("d b", "d a")
