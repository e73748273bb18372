"""The names that docs/upgrades.md declares public, and what their docstrings lack."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("upgrades.md")
PACKAGE = "airflow_provider_segmind"
_ROW = re.compile(rf"^\| `({PACKAGE}[\w.]*)` \| (.+) \|$", re.MULTILINE)


def public_names() -> list[tuple[str, str]]:
    """Return each public name and the module that has it."""
    found = []
    for module, names in _ROW.findall(PAGE.read_text()):
        listed = _errors(module) if names == "all errors" else re.findall(r"`(\w+)`", names)
        found += [(module, name) for name in listed]
    return found


def problems(module: str, name: str) -> Iterator[str]:
    """Yield what is not documented of a public name: itself, a method, or an argument of its constructor."""
    found = getattr(import_module(module), name)
    if not inspect.getdoc(found) or not _own_doc(found):
        yield f"{module}.{name} has no docstring"
    if not inspect.isclass(found):
        return
    for method, function in _public_methods(found):
        if not inspect.getdoc(function):
            yield f"{module}.{name}.{method} has no docstring"
    for argument in _arguments(found):
        if f":param {argument}:" not in _docs(found):
            yield f"{module}.{name} does not document its argument {argument!r}"


def _errors(module: str) -> list[str]:
    found = import_module(module)
    return [name for name, each in vars(found).items() if inspect.isclass(each) and issubclass(each, Exception)]


def _own_doc(found: Any) -> bool:
    """Whether a docstring was written: a dataclass without one gets its signature."""
    return bool(found.__doc__) and not found.__doc__.startswith(f"{found.__name__}(")


def _classes(found: type) -> list[type]:
    return [each for each in found.__mro__ if each.__module__.startswith(PACKAGE)]


def _docs(found: type) -> str:
    return "\n".join(each.__doc__ or "" for each in _classes(found))


def _public_methods(found: type) -> Iterator[tuple[str, Any]]:
    for each in _classes(found):
        for name, member in vars(each).items():
            if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
                yield name, getattr(each, name)


def _arguments(found: type) -> Iterator[str]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for each in _classes(found):
        init = vars(each).get("__init__")
        # Airflow wraps the constructor of each operator, also one that a class only inherits.
        if init is not None and inspect.unwrap(init).__module__.startswith(PACKAGE):
            parameters = list(inspect.signature(init).parameters.values())[1:]
            yield from (parameter.name for parameter in parameters if parameter.kind not in kinds)
