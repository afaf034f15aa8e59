"""Which tests reach which functions, so that a mutant runs only against tests that can notice it, the fastest first.

The unchanged room runs once with a mark at the head of each function. What runs while a file of tests is collected or
its fixtures are made counts for all tests of the file; functions that keep their results count for all tests.
"""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pytest

MARK = "__reached__"
EVERYWHERE = ""  #: stands for all tests of a room


@dataclass(frozen=True)
class Reach:
    """What is known of the tests of a room."""

    seconds: dict[str, float]  #: of each test, on one core
    functions: dict[str, list[str]]  #: the tests that reach ``path:function``; a file stands for all of its tests

    def tests_for(self, path: str, definition: str, budget: float) -> list[str]:
        """The tests that can notice a change in a function, the fastest first, as many as take ``budget`` seconds."""
        reaching = self.functions.get(f"{path}:{definition}", [EVERYWHERE])
        tests = [test for test in self.seconds if {test, test.split("::")[0], EVERYWHERE} & set(reaching)]
        ordered = sorted(tests, key=self.seconds.__getitem__)
        spent = accumulate(self.seconds[test] for test in ordered)
        return [
            test
            for number, (test, so_far) in enumerate(zip(ordered, spent, strict=True))
            if not number or so_far <= budget
        ]


def marked(path: str, source: str) -> str:
    """A file that calls ``__reached__`` at the head of each function, with the file's path and the function's name."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            after = 1 if ast.get_docstring(node) is not None else 0
            call = ast.Call(ast.Name(MARK, ast.Load()), [ast.Constant(f"{path}:{node.name}")], [])
            node.body.insert(after, ast.Expr(call))
    return ast.unparse(ast.fix_missing_locations(tree))


def reach_of(written: dict, sources: dict[str, str]) -> Reach:
    """What `Recorder` wrote down, turned round; functions that no test reaches have no test."""
    functions: dict[str, list[str]] = {name: [] for path, text in sources.items() for name in _named(path, text)}
    for test, reached in written["reached"].items():
        for name in reached:
            functions[name].append(test)
    for path, text in sources.items():
        functions |= {name: [EVERYWHERE] for name in _named(path, text, kept=True)}
    return Reach(written["seconds"], functions)


def _named(path: str, source: str, *, kept: bool = False) -> Iterable[str]:
    """``path:function`` of each function, or of those that keep their results."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and (
            not kept or "cache" in " ".join(map(ast.unparse, node.decorator_list))
        ):
            yield f"{path}:{node.name}"


class Recorder:
    """A plug-in of pytest that writes down what each test reaches, and its seconds."""

    def __init__(self, path: Path) -> None:
        import builtins

        self.path = path
        self.reached: dict[str, set[str]] = {EVERYWHERE: set()}
        self.seconds: dict[str, float] = {}
        self.now, self.begun = self.reached[EVERYWHERE], 0.0
        setattr(builtins, MARK, lambda name: self.now.add(name))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        self.now, self.begun = self.reached.setdefault(item.nodeid.split("::")[0], set()), time.process_time()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        before, self.now = self.now, self.reached.setdefault(item.nodeid, set())
        try:
            return (yield)
        finally:
            self.now, self.seconds[item.nodeid] = before, time.process_time() - self.begun

    def pytest_sessionfinish(self) -> None:
        reached = {test: sorted(names) for test, names in self.reached.items()}
        self.path.write_text(json.dumps({"seconds": self.seconds, "reached": reached}))


class Chooser:
    """A plug-in of pytest that runs some tests, in an order."""

    def __init__(self, tests: list[str]) -> None:
        self.place = {test: number for number, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.place), key=lambda item: self.place[item.nodeid]
        )
