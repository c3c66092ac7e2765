"""The package's architecture: who may import whom, what an import costs, and that every public name is documented."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import tinygrad_loss as tg

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "tinygrad_loss"

# A file imports only from rooms above its own. A new room gets its place here, deliberately.
ROOMS = [
    "kernels",
    "dtypes",
    "op",
    "random",
    "ops",
    "autograd",
    "printing",
    "interop",
    "tensor",
    "tape",
    "linalg",
    "unpickler",
    "torch_archive",
    "serialization",
    "nn",
    "optim",
    "utils",
    "vision",
    "func",
    "testing",
    "verify",
    "__init__",
]
# Numba is LLVM's front end and installs llvmlite, in which its intrinsics are written.
KERNELS_MAY_IMPORT = {"numpy", "numba", "llvmlite", *sys.stdlib_module_names}
HEAVY = {"torch", "scipy", "sklearn", "matplotlib", "tqdm", "PIL"}


# ---- who imports whom ----------------------------------------------------------------------------


def module_name(path, root):
    """Return the dotted name of a file: a package's is that of its `__init__`, which is one module among the others."""
    return ".".join(path.relative_to(root).with_suffix("").parts)


def read_package(root):
    """Map each module of the package under `root` to its syntax tree."""
    files = sorted((root / PACKAGE).rglob("*.py"))
    return {module_name(path, root): ast.parse(path.read_text(encoding="utf-8"), path.name) for path in files}


def room_of(module):
    return module.split(".")[1]


def walk_run_time(node):
    """Walk a tree, leaving out what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for alternative in child.orelse:
                yield alternative
                yield from walk_run_time(alternative)
        else:
            yield child
            yield from walk_run_time(child)


def imports_of(module, tree, modules):
    """Yield (line, module) of every import in a file, those inside functions too."""

    def resolve(name):
        return f"{name}.__init__" if f"{name}.__init__" in modules else name

    for node in walk_run_time(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, resolve(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*module.split(".")[: -node.level], *base.split(".")]).rstrip(".")
            for alias in node.names:
                # `from package import name` reaches a module of that name, or else what the package's __init__ defines
                inner = resolve(f"{base}.{alias.name}")
                yield node.lineno, inner if inner in modules else resolve(base)


def cycle_in(graph):
    """Return one cycle of a graph {node: successors} as a list of nodes, or None."""
    done = set()

    def visit(node, path):
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return None
        for successor in sorted(graph[node]):
            if found := visit(successor, [*path, node]):
                return found
        done.add(node)
        return None

    return next((found for node in sorted(graph) if (found := visit(node, []))), None)


def layout_errors(modules):
    """Return what is wrong with the imports of a package {module: tree}, a line each."""
    errors = []
    inside = {module: set() for module in modules}
    for module, tree in modules.items():
        room = room_of(module)
        if room not in ROOMS:
            errors.append(f"{module}: `{room}` has no place in ROOMS")
            continue
        for line, target in imports_of(module, tree, modules):
            where = f"{module}:{line} imports {target}"
            top = target.split(".")[0]
            if top == "torch":
                errors.append(f"{where}: there is no PyTorch inside")
            if top != PACKAGE:
                if room == "kernels" and top not in KERNELS_MAY_IMPORT:
                    errors.append(f"{where}: kernels import NumPy and Numba alone")
            elif target not in modules:
                errors.append(f"{where}: there is no such module")
            elif room_of(target) == room:
                inside[module].add(target)
            elif room_of(target) in ROOMS and ROOMS.index(room_of(target)) > ROOMS.index(room):
                errors.append(f"{where}: `{room_of(target)}` stands below `{room}`")
    if cycle := cycle_in(inside):
        errors.append(f"a cycle: {' -> '.join(cycle)}")
    return errors


def test_each_file_imports_only_from_rooms_above_its_own():
    modules = read_package(ROOT)
    assert len(modules) > 10
    assert layout_errors(modules) == []


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"op": "from tinygrad_loss.tensor import Tensor", "tensor": ""}, "`tensor` stands below `op`"),
        ({"op": "from tinygrad_loss import tensor", "tensor": ""}, "`tensor` stands below `op`"),
        ({"op": "import tinygrad_loss.tensor as t", "tensor": ""}, "`tensor` stands below `op`"),
        ({"op": "def f():\n    from tinygrad_loss import tensor", "tensor": ""}, "op:2 imports tinygrad_loss.tensor"),
        ({"op": "if x:\n    import tinygrad_loss.tensor", "tensor": ""}, "`tensor` stands below `op`"),
        (
            {"ops.loss": "from ..nn import functional", "nn.__init__": "", "nn.functional": ""},
            "`nn` stands below `ops`",
        ),
        ({"ops.loss": "from ..nn import F", "nn.__init__": "F = 1"}, "imports tinygrad_loss.nn.__init__"),
        ({"op": "import tinygrad_loss"}, "`__init__` stands below `op`"),
        ({"op": "from tinygrad_loss import exp"}, "`__init__` stands below `op`"),
        ({"op": "from . import exp"}, "`__init__` stands below `op`"),
        ({"op": "from tinygrad_loss.missing import x"}, "no such module"),
        ({"extra": ""}, "`extra` has no place"),
        ({"kernels.a": "import scipy.special"}, "kernels import NumPy and Numba alone"),
        ({"kernels.a": "from safetensors import numpy"}, "kernels import NumPy and Numba alone"),
        ({"kernels.a": "from tinygrad_loss import op", "op": ""}, "`op` stands below `kernels`"),
        ({"tensor": "import torch"}, "no PyTorch"),
        ({"tensor": "def f():\n    from torch import nn"}, "no PyTorch"),
        ({"nn.a": "from . import b", "nn.b": "from .a import f", "nn.__init__": ""}, "nn.a -> tinygrad_loss.nn.b ->"),
        ({"nn.a": "from tinygrad_loss.nn import f", "nn.__init__": "from .a import f"}, "a cycle"),
    ],
)
def test_a_wrong_import_would_be_noticed(files, error):
    modules = {f"{PACKAGE}.{name}": ast.parse(code) for name, code in {"__init__": "", **files}.items()}
    assert re.search(re.escape(error), "\n".join(layout_errors(modules)))


def test_imports_that_are_allowed_pass():
    files = {
        "__init__": "from tinygrad_loss.tensor import Tensor\nfrom . import nn",
        "kernels.exp": "import numba, math\nfrom tinygrad_loss.kernels import log\nfrom llvmlite import ir",
        "kernels.log": "from numpy.typing import NDArray",
        "op": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tinygrad_loss.tensor import Tensor",
        "tensor": "from .op import Op\nfrom tinygrad_loss.kernels import exp\nimport safetensors",
        "nn.__init__": "from tinygrad_loss.nn.linear import Linear\nfrom . import functional",
        "nn.functional": "from ..tensor import Tensor",
        "nn.linear": "from . import functional as F",
    }
    assert layout_errors({f"{PACKAGE}.{name}": ast.parse(code) for name, code in files.items()}) == []


# ---- every public name is documented -------------------------------------------------------------


def has_docstring(obj):
    """Tell whether a function, class, module or callable object has a docstring of its own, not an inherited one."""
    if inspect.isclass(obj):
        own = vars(obj).get("__doc__")
        # dataclasses and named tuples write their own signature where there is no docstring
        return bool(own) and not own.startswith(f"{obj.__name__}(")
    if inspect.isroutine(obj) or inspect.ismodule(obj):
        return bool(obj.__doc__)
    return bool(obj.__doc__) and obj.__doc__ != type(obj).__doc__


def undocumented(module):
    """Return the names in a module's `__all__` that are missing, or that can be called and have no docstring."""
    bad = [] if has_docstring(module) else [module.__name__]
    for name in module.__all__:
        obj = getattr(module, name, None)
        if not hasattr(module, name) or ((callable(obj) or inspect.ismodule(obj)) and not has_docstring(obj)):
            bad.append(f"{module.__name__}.{name}")
    return bad


def public_modules():
    yield tg
    for info in pkgutil.walk_packages(tg.__path__, f"{PACKAGE}."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            module = importlib.import_module(info.name)
            if hasattr(module, "__all__"):
                yield module


def test_every_public_name_is_documented():
    assert [name for module in public_modules() for name in undocumented(module)] == []


def test_an_undocumented_name_would_be_noticed():
    class Described:
        """Described."""

    class Heir(Described):
        pass

    sample = types.ModuleType("sample", "A module.")
    sample.__all__ = ["pi", "Described", "Heir", "silent", "said", "missing", "instance", "module"]
    sample.pi = 3.14
    sample.Described = Described
    sample.Heir = Heir
    sample.silent = lambda: None
    sample.said = has_docstring
    sample.instance = type("Op", (), {"__call__": lambda self: None, "__doc__": "An op."})()
    sample.module = types.ModuleType("sample.module")
    assert undocumented(sample) == [f"sample.{name}" for name in ("Heir", "silent", "missing", "instance", "module")]


# ---- what an import costs, and the version -------------------------------------------------------

COUNT_COMPILATIONS = """
import sys
from numba.core import compiler
compiled = []
compile_extra = compiler.compile_extra
def counted(typing, target, function, *args, **kwargs):
    compiled.append(function.__name__)
    return compile_extra(typing, target, function, *args, **kwargs)
compiler.compile_extra = counted
before = set(sys.modules)  # Numba itself imports the top of SciPy where it finds one
"""


def import_costs(program, tmp_path):
    """Return what of HEAVY a program imports, and the functions it compiles, with an empty kernel cache."""
    report = f"print(sorted({HEAVY!r} & {{name.split('.')[0] for name in sys.modules.keys() - before}}), compiled)"
    code = f"{COUNT_COMPILATIONS}\n{program}\n{report}"
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_import_compiles_nothing_and_stays_light(tmp_path):
    assert import_costs("import tinygrad_loss", tmp_path) == "[] []"
    assert not any(tmp_path.rglob("*.nbi"))


def test_a_costly_import_would_be_noticed(tmp_path):
    assert import_costs("import tqdm, scipy.special", tmp_path) == "['scipy', 'tqdm'] []"
    assert import_costs("import numba\n@numba.njit('f8(f8)')\ndef f(x):\n    return x", tmp_path).endswith(" ['f']")


def test_version_is_that_of_the_project():
    declared = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert tg.__version__ == declared[1]
