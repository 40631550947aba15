"""Loads the agent's modules from memory and serves. Run by the bootstrap line, with `modules` (name -> source) in scope."""

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
from typing import Any, Dict, Optional

PACKAGE = "mambascope_agent"


class _Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds the package's modules in a dictionary, so that nothing is written to the node to start the agent."""

    def __init__(self, sources: Dict[str, str]) -> None:
        self._sources = sources

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:
        if fullname == PACKAGE:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        package, _, name = fullname.rpartition(".")
        if package != PACKAGE or name not in self._sources:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=name + ".py")

    def get_source(self, fullname: str) -> str:
        return "" if fullname == PACKAGE else self._sources[fullname.rpartition(".")[2]]

    def is_package(self, fullname: str) -> bool:
        return fullname == PACKAGE

    def get_code(self, fullname: str) -> Any:
        text, name = self.get_source(fullname), "<agent>/" + fullname.rpartition(".")[2] + ".py"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        return compile(text, name, "exec")


def start(sources: Dict[str, str]) -> None:
    """Imports every module, so that each registers its operations, then serves until standard input ends."""
    sys.meta_path.insert(0, _Sources(sources))
    for name in sorted(sources):
        if name != "boot":
            importlib.import_module(PACKAGE + "." + name)
    importlib.import_module(PACKAGE + ".serve").serve()


start(modules)  # type: ignore[name-defined]  # noqa: F821
