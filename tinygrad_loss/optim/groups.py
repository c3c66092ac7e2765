"""Parameter groups, and the state dict that holds them and what the optimizer remembers."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from typing import Any

import numpy as np

from ..op import TensorBase, wrap


class _Required:
    """The default of an option that every parameter group must set itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()
Group = dict[str, Any]


def check_params(params: Any) -> tuple[list[Any], list[str]]:
    """The Tensors of ``params``, and their names if they came with names."""
    if isinstance(params, (set, frozenset)):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
            "will change between runs. Please use a list instead."
        )
    entries: list[Any] = [params] if isinstance(params, TensorBase) else list(params)
    names = [entry[0] for entry in entries if isinstance(entry, tuple)]
    if names and len(names) != len(entries):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    tensors = [entry[1] for entry in entries] if names else entries
    for p in tensors:
        if not isinstance(p, TensorBase):
            raise TypeError(
                f"optimizer can only optimize Tensors, but one of the params is {type(p).__module__}.{type(p).__name__}"
            )
        if not (p.is_leaf or p.retains_grad):  # type: ignore[attr-defined]
            raise ValueError(
                f"can't optimize a non-leaf Tensor: this one, of shape {list(p._array.shape)}, was computed. Pass the "
                f"Tensor that it was computed from, or write x.detach().requires_grad_()"
            )
    return tensors, names


def complete(group: Group, groups: list[Group], defaults: dict[str, Any]) -> None:
    """Give a new group the options that it does not set; after an error it is as it was."""
    if not isinstance(group, dict):
        raise TypeError(f"param_group must be a dict, but got {type(group)}: write {{'params': [...]}}")
    if "params" not in group:
        raise KeyError(f"a parameter group needs 'params', got a dict with {sorted(map(str, group))}")
    tensors, names = check_params(group["params"])
    for name, default in defaults.items():
        if default is required and name not in group:
            raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
    if any(("param_names" in other) != bool(names) for other in groups):
        raise ValueError(
            f"all optimizer param groups should be with/without names. cannot add param group "
            f"{'with' if names else 'without'} names to the optimizer"
        )
    ids = set(map(id, tensors))
    if not ids.isdisjoint(id(p) for other in groups for p in other["params"]):
        raise ValueError("some parameters appear in more than one parameter group")
    if len(ids) != len(tensors):
        warnings.warn(
            "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error",
            stacklevel=5,
        )
    group["params"] = tensors
    if names:
        group["param_names"] = names
    for name, default in defaults.items():
        group.setdefault(name, default)


def pack(groups: list[Group], state: dict[Any, Any]) -> dict[str, Any]:
    """The state dict: numbers stand for the parameters."""
    numbers: dict[int, int] = {}
    packed = []
    start = 0
    for group in groups:
        for i, p in enumerate(group["params"], start):
            numbers.setdefault(id(p), i)
        start += len(group["params"])
        options = {key: value for key, value in group.items() if key != "params"}
        packed.append({**options, "params": [numbers[id(p)] for p in group["params"]]})
    return {
        "state": {
            numbers[id(key)] if isinstance(key, TensorBase) else key: dict(value) if isinstance(value, dict) else value
            for key, value in state.items()
        },
        "param_groups": packed,
    }


def unpack(state_dict: dict[str, Any], groups: list[Group]) -> tuple[defaultdict[Any, Any], list[Group]]:
    """A copy of what a state dict holds, with these groups' parameters for its numbers."""
    if not {"state", "param_groups"} <= state_dict.keys():
        raise KeyError(f"an optimizer's state dict has 'state' and 'param_groups', got {sorted(map(str, state_dict))}")
    saved = copy.deepcopy(state_dict["param_groups"])
    if len(saved) != len(groups):
        raise ValueError(
            f"loaded state dict has a different number of parameter groups: {len(saved)}, and the optimizer has "
            f"{len(groups)}"
        )
    params: dict[Any, Any] = {}
    for i, (group, new) in enumerate(zip(groups, saved, strict=True)):
        if len(new["params"]) != len(group["params"]):
            raise ValueError(
                f"loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                f"group {i} has {len(new['params'])} parameters, the optimizer's {len(group['params'])}"
            )
        params.update(zip(new["params"], group["params"], strict=True))
        new["params"] = group["params"]
        if "param_names" in group:
            new.setdefault("param_names", group["param_names"])
    state: defaultdict[Any, Any] = defaultdict(dict)
    for key, value in state_dict["state"].items():
        if key in params:
            state[params[key]] = _copied(value, params[key], None)
        else:
            state[key] = value
    return state, saved


def _copied(value: Any, p: TensorBase, name: Any) -> Any:
    """A copy of what a state dict holds of a parameter: floating point Tensors in its dtype, step counts as they are.

    PyTorch does not copy, so that two optimizers may come to share, and both change, one momentum buffer.
    """
    if isinstance(value, TensorBase):
        keep = name == "step" or p._array.dtype.kind != "f"
        return wrap(np.array(value._array, dtype=value._array.dtype if keep else p._array.dtype))
    if isinstance(value, dict):
        return {key: _copied(v, p, key) for key, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_copied(v, p, None) for v in value)
    return copy.deepcopy(value)
