"""
Constructors leave templates alone, as Airflow checks it for its own providers (``validate_operators_init``).

Templates are rendered after the constructor has run. So it assigns each templated argument as it is,
``self.x = x``, perhaps with a default for None, or hands it to ``super().__init__(x=x)``, and no more.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

import airflow_provider_segmind
from airflow_provider_segmind.compat import BaseOperator

ROOMS = ("decorators", "operators", "sensors")
BAD = {
    "check(field)": "is used",
    "check(self.field)": "is used",
    "self.field = field": "",
    "self.field = field or {}": "",
    "self.field = field if field is not None else {}": "",
    "self.other = field is None": "is not assigned",
    "self.field = {} if field is None else check(field)": "is used",
    "self.field = str(field)": "is used",
    "self.field = 'text'": "is assigned something else",
    "super().__init__(field=field)": "",
    "super().__init__(field='text')": "is assigned something else",
    "super().__init__(field=str(field))": "is used",
    "self.other = 1": "is not assigned",
    "if other: self.field = field": "is not assigned",
    "self.field = field\nif field: pass": "is used",
    "self.field = field\nself.check()": "",
}


def tasks() -> list[Any]:
    """Return all operators and sensors of this provider that have a constructor and templates."""
    found: dict[str, Any] = {}
    for room in ROOMS:
        package = importlib.import_module(f"{airflow_provider_segmind.__name__}.{room}")
        for each in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, member in vars(importlib.import_module(each.name)).items():
                if inspect.isclass(member) and issubclass(member, BaseOperator) and "__init__" in vars(member):
                    found[name] = member
    own = airflow_provider_segmind.__name__
    return [each for each in found.values() if each.__module__.startswith(own) and each.template_fields]


def constructor(task: type) -> ast.FunctionDef:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(task))).body
    assert isinstance(definition, ast.ClassDef)
    (init,) = [each for each in definition.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    return init


def name_of(node: ast.AST | None) -> str | None:
    """Return the argument that a node reads or writes: of ``x`` and ``self.x``, ``x``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def handed_on(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Return what a statement assigns to ``self`` or hands to ``super().__init__``."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Attribute) and (name := name_of(target)):
                yield name, node.value
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
        yield from ((each.arg, each.value) for each in node.keywords if each.arg)


def kept(name: str, value: ast.expr) -> ast.expr | None:
    """Return the part of a value that is the argument as it is; None if there is none."""
    if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or):
        value = value.values[0]
    elif isinstance(value, ast.IfExp) and ast.unparse(value.test) == f"{name} is not None":
        value = value.body
    return value if isinstance(value, ast.Name) and value.id == name else None


def problems(init: ast.FunctionDef, fields: set[str], inherited: set[str]) -> Iterator[str]:
    accepted: set[int] = set()
    for node in ast.walk(init):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            accepted.add(id(node.left))
        for name, value in handed_on(node):
            if name in fields and (argument := kept(name, value)) is not None:
                accepted.add(id(argument))
            elif name in fields and not any(name_of(part) in fields for part in ast.walk(value)):
                yield f"{name} is assigned something else"
    for node in [part for statement in init.body for part in ast.walk(statement)]:
        reads = isinstance(getattr(node, "ctx", None), ast.Load)
        if reads and name_of(node) in fields and id(node) not in accepted:
            yield f"{name_of(node)} is used in line {node.lineno}"  # type: ignore[attr-defined]
    statements = [each.value if isinstance(each, ast.Expr) else each for each in init.body]
    assigned = {name for statement in statements for name, _ in handed_on(statement)}
    yield from (f"{name} is not assigned" for name in sorted(fields - inherited - assigned))


@pytest.mark.parametrize("task", tasks(), ids=lambda task: task.__name__)
def test_a_constructor_leaves_templates_alone(task: Any) -> None:
    fields = set(task.template_fields)
    inherited = {field for base in task.__bases__ for field in getattr(base, "template_fields", ())}
    assert not [*problems(constructor(task), fields, inherited)]


def test_all_tasks_are_looked_at() -> None:
    names = {task.__name__ for task in tasks()}
    assert names >= {
        *("SegmindInferenceOperator", "KlingImageToVideoOperator", "SegmindSyncInferenceOperator"),
        *("SegmindPixelFlowOperator", "SegmindRequestSensor", "SegmindCreditsSensor"),
        "SegmindDecoratedOperator",
    }


@pytest.mark.parametrize(("statements", "problem"), BAD.items())
def test_the_rule_sees_what_airflows_sees(statements: str, problem: str) -> None:
    (init,) = ast.parse(f"def __init__(self, field, other):\n{textwrap.indent(statements, '    ')}").body
    assert isinstance(init, ast.FunctionDef)
    found = [*problems(init, {"field"}, set())]
    assert bool(found) == bool(problem)
    assert any(problem in each for each in found) or not problem
