"""The command reference and the API reference, from the signatures and docstrings that the program itself reads."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

import spikeport
from spikeport.terminal.app import build
from spikeport.verbs import VERBS

NOUNS = ("Graph", "Record")  #: classes whose methods are listed


def commands_page() -> str:
    """Every command with its arguments and options, as ``--help`` has them."""
    group: Any = typer.main.get_command(build())
    parts = ["# Commands", "What `spikeport COMMAND --help` prints, on one page. `--quiet` goes with every command."]
    parts.append("\n".join(f"- [`{name}`](#spikeport-{name}): {command.short_help}" for name, command in _each(group)))
    for name, command in _each(group):
        parts += [f"## spikeport {name}", _code(command.help or ""), _options(command)]
        examples = [line.strip() for line in (command.epilog or "").splitlines()[1:] if line.strip()]
        if examples:
            parts.append("```text\n" + "\n".join(examples) + "\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def _each(group: Any) -> Iterator[tuple[str, Any]]:
    return ((name.replace("_", "-"), group.commands[name.replace("_", "-")]) for name in VERBS)


def _options(command: Any) -> str:
    rows = ["| argument or option | what it is for | unless said |", "|---|---|---|"]
    for each in command.params:
        if "--help" in each.opts:
            continue
        argument = each.param_type_name == "argument"
        flags = (each.metavar or each.name.upper(),) if argument else (*each.opts, *each.secondary_opts)
        default = "needed" if each.required else "" if each.default in (None, False) else f"`{each.default}`"
        what = (each.help or "").replace("|", "\\|")
        rows.append(f"| {', '.join(f'`{flag}`' for flag in flags)} | {what} | {default} |")
    return "\n".join(rows)


def api_page() -> str:
    """Every public name of ``import spikeport``."""
    names = sorted(name for name in dir(spikeport) if name[0].isalpha() and _is_public(name))
    head = "What `import spikeport` offers: the verbs, and the nouns that they take and give. All of it is typed."
    parts = ["# Python", head]
    parts.append("\n".join(f"- [`{name}`](#{name.lower()}): {_first(getattr(spikeport, name))}" for name in names))
    for name in names:
        value = getattr(spikeport, name)
        parts += [f"## {name}", f"```text\n{name}{_signature(value)}\n```", _docstring(value)]
        parts += list(_members(value)) if name in NOUNS else []
    return "\n\n".join(parts) + "\n"


def _is_public(name: str) -> bool:
    return getattr(getattr(spikeport, name), "__module__", "").startswith("spikeport.")


def _first(value: Any) -> str:
    return _code((inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " "))


def _members(value: Any) -> Iterator[str]:
    for name, member in sorted(vars(value).items()):
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if name[0] != "_" and callable(function) and inspect.getdoc(function):
            arguments = "" if isinstance(member, property) else _signature(function)
            yield f"### {value.__name__}.{name}\n\n```text\n{name}{arguments}\n```\n\n{_docstring(function)}"


def _signature(value: Any) -> str:
    """As it is written, a parameter a line; annotations without what only the command line reads."""
    signature = inspect.signature(value)
    lines = []
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and "*" not in lines:
            lines.append("*")
        default = "" if each.default is each.empty else f" = {each.default!r}"
        lines.append(f"{_type(each.annotation, each.name)}{default if len(default) < 60 else ' = …'}")
    returns = "" if signature.return_annotation is signature.empty else f" -> {signature.return_annotation}"
    if not lines:
        return f"(){returns}"
    return "(\n" + "".join(f"    {line},\n" for line in lines) + f"){returns}"


def _type(annotation: Any, name: str) -> str:
    if annotation is inspect.Parameter.empty:
        return name
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"^Annotated.(.+?), Help.*$", r"\1", text, flags=re.DOTALL)
    return f"{name}: {text}"


def _docstring(value: Any) -> str:
    """Paragraphs as text, with examples and equations as blocks."""
    text, _, examples = (inspect.getdoc(value) or "").partition("Examples:\n")
    parts = [
        f"```text\n{inspect.cleandoc(each)}\n```" if each.startswith("    ") else _code(each)
        for each in text.rstrip().split("\n\n")
    ]
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    if lines:
        parts.append("On the command line:\n\n```text\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(parts)


def _code(text: str) -> str:
    """Names in backticks; what looks like HTML or a link is neither."""
    return text.replace("``", "`").replace("<", "&lt;").replace("](", "] (")
