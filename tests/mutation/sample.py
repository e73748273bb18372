"""All mutants of what decides about money, and which of them count."""

from __future__ import annotations

import ast
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from pathlib import Path

from mutmut.__main__ import create_mutants
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, walk_mutatable_files

FOLDER = Path("mutants")
"""Where mutmut works."""

_LOGGERS = ("log", "self.log")
_OF_ERRORS = ("Error", "Exception")


class Words(StrEnum):
    """Why a mutant does not count: what it changes is for people to read."""

    LOG = "a line of the log"
    SENTENCE = "a text with a space in it"
    MESSAGE = "the message of an error"
    TYPE = "a name of a type"


@dataclass(frozen=True)
class Mutant:
    """
    One change of one function.

    :param name: As mutmut has it.
    :param change: The function's line before and after it.
    :param words: Why it does not count; None if it counts.
    """

    name: str
    change: str
    words: Words | None

    @property
    def module(self) -> str:
        """The module, without the package."""
        return self.name.partition(".")[2].rpartition(".")[0]


def all_mutants() -> list[Mutant]:
    """Write all mutants that mutmut makes into its folder, and return them, always in the same order."""
    FOLDER.mkdir(exist_ok=True)
    for path in walk_mutatable_files():
        if not (FOLDER / f"{path}.meta").exists():  # mutmut was interrupted, and would take what is there for all
            (FOLDER / path).unlink(missing_ok=True)
    with redirect_stdout(StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(1)
    return [mutant for path in sorted(walk_mutatable_files()) for mutant in _mutants_of(path)]


def results_of(mutants: Sequence[Mutant]) -> dict[str, int | None]:
    """Return what mutmut has written down of each: the exit code of pytest; None if it has not run."""
    known: dict[str, int | None] = {}
    for path in walk_mutatable_files():
        known |= _notes_on(path)
    return {each.name: known[each.name] for each in mutants}


def _notes_on(path: Path) -> dict[str, int | None]:
    return dict(json.loads((FOLDER / f"{path}.meta").read_text())["exit_code_by_key"])


def draw(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """Return so many of those that count; the same seed draws the same from the same code."""
    counted = [each for each in mutants if each.words is None]
    return random.Random(seed).sample(counted, min(count, len(counted)))  # noqa: S311 - a sample to repeat


def _mutants_of(path: Path) -> Iterator[Mutant]:
    names = sorted(_notes_on(path), key=_in_order) if (FOLDER / f"{path}.meta").exists() else []
    tree = ast.parse((FOLDER / path).read_text())
    functions = {each.name: each for each in ast.walk(tree) if isinstance(each, _FUNCTIONS)}
    for name in names:
        own_name = name.rpartition(".")[2]
        before = functions[f"{own_name.rpartition('__mutmut_')[0]}__mutmut_orig"]
        steps = _path_to_change(before, functions[own_name])
        yield Mutant(name, _shown(steps), _words(steps))


def _in_order(name: str) -> tuple[str, int]:
    function, _, number = name.rpartition("_")
    return function, int(number)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Step = tuple[ast.AST | list[ast.AST], ast.AST | list[ast.AST]]


def _path_to_change(before: ast.AST, after: ast.AST) -> list[_Step]:
    """Return the nodes that differ, before and after, from the function down to the smallest one."""
    steps: list[_Step] = [(before, after)]
    while True:
        pairs = list(_differing_children(*steps[-1]))
        if len(pairs) != 1:
            return steps
        steps.append(pairs[0])


def _differing_children(before: object, after: object) -> Iterator[_Step]:
    """Yield the differing parts of two nodes; nothing if the nodes themselves are what differs."""
    if type(before) is not type(after) or not isinstance(before, ast.AST) or not isinstance(after, ast.AST):
        return
    parts: list[_Step] = []
    for name in before._fields:
        one, other = getattr(before, name, None), getattr(after, name, None)
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            pairs = list(zip(one, other, strict=True))
        else:
            pairs = [(one, other)]
        for left, right in pairs:
            if _same(left, right) or (name == "name" and isinstance(before, _FUNCTIONS)):
                continue
            if not isinstance(left, ast.AST) or not isinstance(right, ast.AST):
                return
            parts.append((left, right))
    yield from parts


def _same(one: object, other: object) -> bool:
    return (
        ast.dump(one) == ast.dump(other)
        if isinstance(one, ast.AST) and isinstance(other, ast.AST)
        else _equal(one, other)
    )


def _equal(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def _words(steps: Sequence[_Step]) -> Words | None:
    nodes = [before for before, _ in steps if isinstance(before, ast.AST)]
    if any(_is_log(node) for node in nodes):
        return Words.LOG
    if any(isinstance(node, ast.Call) and _name(node) == "cast" for node in nodes):
        return Words.TYPE
    if _is_message(steps):
        return Words.MESSAGE
    last = nodes[-1]
    if isinstance(last, ast.JoinedStr) or (isinstance(last, ast.Constant) and " " in str(last.value).strip()):
        return Words.SENTENCE
    return None


def _is_log(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    is_method = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in _LOGGERS
    return is_method or _name(node) == "log_wait"


def _is_message(steps: Sequence[_Step]) -> bool:
    """Whether the first argument of an error, its message, has become None, or is gone."""
    for (node, changed), below in zip(steps, [*steps[1:], None], strict=True):
        if not isinstance(node, ast.Call) or not _name(node).endswith(_OF_ERRORS) or not node.args:
            continue
        if below is None:
            return isinstance(changed, ast.Call) and list(map(ast.dump, changed.args)) == list(
                map(ast.dump, node.args[1:])
            )
        return below[0] is node.args[0] and _is_none(below[1])
    return False


def _is_none(node: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _shown(steps: Sequence[_Step]) -> str:
    """Return the smallest expression or statement with the change that says something, before and after."""
    for before, after in reversed(steps):
        if isinstance(before, (ast.stmt, ast.Call, ast.Compare, ast.BoolOp, ast.IfExp, ast.keyword)):
            return f"{_line(before)}  ->  {_line(after)}"
    return f"{_line(steps[-1][0])}  ->  {_line(steps[-1][1])}"


def _line(node: object) -> str:
    text = " ".join(ast.unparse(node).split()) if isinstance(node, ast.AST) else str(node)
    return text if len(text) <= 160 else f"{text[:157]}..."
