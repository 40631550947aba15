"""Finds the node's Pythons that the trainer can use, and what PyTorch they have."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Dict, List, Optional, Tuple

from .core import AgentError, Call, Params, op
from .process import execute

MINIMUM = (3, 11)
TORCH_MINIMUM = (2, 9)
_NAMES = ("python3", "python3.13", "python3.12", "python3.11", "python3.14", "python")
_CHOICE = re.compile(r"(/[A-Za-z0-9_@+.,/ -]+|python3(\.\d{1,2})?)\Z")

_LOOK = """
import importlib.util as u, json, sys
print(json.dumps({"path": sys.executable, "version": list(sys.version_info[:3]), "prefix": sys.prefix, "base_prefix": sys.base_prefix,
 "venv": bool(u.find_spec("venv") and u.find_spec("ensurepip")), "has_torch": u.find_spec("torch") is not None,
 "sites": [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]}))
"""

_TORCH = """
import json, torch
a = torch.cuda.is_available()
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "available": a, "devices": torch.cuda.device_count() if a else 0}))
"""


def _json_of(python: str, script: str, call: Optional[Call], timeout: float) -> Optional[Dict[str, Any]]:
    try:
        finished = execute([python, "-c", script], call=call, timeout=timeout)
        value = json.loads(finished.out.strip().splitlines()[-1]) if finished.code == 0 and finished.out.strip() else None
    except (AgentError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def look_at(python: str, call: Optional[Call] = None) -> Optional[Dict[str, Any]]:
    """A Python's path, version and site folders, and whether it can make environments; None if it does not run."""
    return _json_of(python, _LOOK, call, 30.0)


def torch_of(python: str, call: Optional[Call] = None) -> Optional[Dict[str, Any]]:
    """PyTorch's version, CUDA version and whether a GPU can be used; None if it cannot be imported."""
    # From a network file system the first import takes its time.
    return _json_of(python, _TORCH, call, 180.0)


def numbers_of(version: str) -> Tuple[int, ...]:
    """(2, 11, 0) of "2.11.0+cu130"."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else (0,)


def torch_fits(torch: Optional[Dict[str, Any]], gpus: bool) -> bool:
    """Whether the trainer can use this PyTorch: new enough, and with CUDA where there are GPUs."""
    return torch is not None and numbers_of(str(torch.get("version", ""))) >= TORCH_MINIMUM and (not gpus or bool(torch.get("available")))


def choose_python(chosen: Optional[str], gpus: bool, call: Call, try_torch: bool = True) -> Dict[str, Any]:
    """The Python that environments are made from: the user's choice, else the first with a PyTorch that fits, else the first.

    Gives what `look_at` gives, and `torch` (null: none that fits). Raises AgentError `python`, `venv`.
    """
    if chosen is not None and not _CHOICE.match(chosen):
        raise AgentError("bad-request", "%r is no Python." % chosen)
    found: List[Dict[str, Any]] = []
    seen: List[str] = []
    for name in [chosen] if chosen is not None else [sys.executable, *_NAMES]:
        facts = look_at(name, call) if name else None
        if facts is None or facts["prefix"] in [other["prefix"] for other in found]:
            continue
        seen.append("%s is %s" % (facts["path"], ".".join(map(str, facts["version"]))))
        if tuple(facts["version"]) >= MINIMUM:
            found.append(facts)
    if not found:
        raise AgentError(
            "python",
            "Python 3.11 or newer is needed for training; %s." % ("; ".join(seen) if seen else "none was found"),
            "Install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv), or give this node the path of one.",
        )
    able = [facts for facts in found if facts["venv"]]
    if not able:
        raise AgentError(
            "venv",
            "%s cannot make environments: its venv module is missing." % found[0]["path"],
            "Install it (Debian, Ubuntu: apt-get install python3-venv), or give this node the path of another Python.",
        )
    for facts in able:
        torch = torch_of(facts["path"], call) if try_torch and facts["has_torch"] else None
        if torch_fits(torch, gpus):
            return {**facts, "torch": torch}
    return {**able[0], "torch": None}


@op("torch")
def torch(call: Call, params: Params) -> object:
    """PyTorch of the Python at a path; null if it has none."""
    python = params.text("python")
    if not _CHOICE.match(python):
        raise AgentError("bad-request", "%r is no Python." % python)
    return torch_of(python, call)


@op("python")
def python(call: Call, params: Params) -> object:
    """The Python that environments are made from, and its PyTorch if that fits. `python`: the user's choice; `gpus`: whether CUDA is needed.

    `torch` false: it is not tried (the import takes seconds), and null.
    """
    facts = choose_python(params.text("python", None), params.flag("gpus"), call, params.flag("torch", True))
    return {"path": facts["path"], "version": ".".join(map(str, facts["version"])), "torch": facts["torch"]}
