"""A notebook as a page: text as it is, code as blocks, and under each block what it printed and what it ended in."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any


def page(path: Path, run: bool) -> str:
    """The page; with ``run`` the cells are run from top to bottom in a folder of their own."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    space: dict[str, Any] = {"__name__": "notebook"}
    parts = []
    with _elsewhere() if run else contextlib.nullcontext():
        for cell in cells:
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(text)
            else:
                parts += [f"```python\n{text}\n```", *(_outcome(text, space) if run else [])]
    return "\n\n".join(parts) + "\n"


def _outcome(text: str, space: dict[str, Any]) -> Iterator[str]:
    """What a cell prints, then what its last expression shows of itself, as a notebook does."""
    *before, last = ast.parse(text).body
    is_value = isinstance(last, ast.Expr)
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(before if is_value else [*before, last], []), "cell", "exec"), space)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
    if printed.getvalue().strip():
        yield f"```text\n{printed.getvalue().rstrip()}\n```"
    if value is not None:
        shown = value._repr_html_() if hasattr(value, "_repr_html_") else f"<pre>{escape(repr(value))}</pre>"
        yield f'<div class="output" style="overflow-x:auto">{" ".join(shown.split())}</div>'


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """A folder in which a notebook may write."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
