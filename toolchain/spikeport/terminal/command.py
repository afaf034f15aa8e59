"""A verb as a command: every option is read from the signature of its function, and nothing is declared again."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from inspect import Parameter, Signature, getdoc, signature
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from spikeport.target import silent
from spikeport.terminal import console
from spikeport.terminal.results import Shown
from spikeport.verbs.parameters import Help
from spikeport.verbs.values import VALUES

#: paragraphs of a docstring that are for Python alone begin so
PYTHON = re.compile(r"(In Python|Returns|Raises)\b")
WORDS = (bool, int, float, Path, str)  #: what can be written on a command line
JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def command(verb: Callable[..., Any], shown: Shown) -> Callable[..., None]:
    """A function for typer that calls ``verb`` with what was written, and prints its result as ``shown`` says."""
    helps = _helps(verb)
    options = [option for parameter, help in helps for option in _options(parameter, help)]
    if shown.plain is not None:
        options.append(Parameter("json", Parameter.KEYWORD_ONLY, default=False, annotation=JSON))

    def run(**written: Any) -> None:
        values = {parameter.name: _value(parameter, help, written) for parameter, help in helps}
        with ExitStack() as bars:
            result = verb(**values, **_watched(verb, shown, bars))
        raise typer.Exit(shown.show(result, values, as_json=written.get("json", False)))

    run.__name__ = verb.__name__
    run.__signature__ = Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run


def texts(verb: Callable[..., Any]) -> tuple[str, str]:
    """The help of a command, and the examples that end it, from the docstring of its function."""
    text, _, examples = (getdoc(verb) or "").partition("Examples:")
    paragraphs = [paragraph for paragraph in text.strip().split("\n\n") if not PYTHON.match(paragraph)]
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    return "\n\n".join(paragraphs).replace("``", "`"), "\n\n".join(["Examples:", *lines])


def _helps(verb: Callable[..., Any]) -> list[tuple[Parameter, Help]]:
    """The parameters that say what they are for, their types resolved; the others are for Python alone."""
    hints = get_type_hints(verb, include_extras=True)
    helps = []
    for parameter in signature(verb).parameters.values():
        hint = hints[parameter.name]
        notes = [note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Help)]
        if notes:  # of an alias that is annotated again the outermost counts
            helps.append((parameter.replace(annotation=get_args(hint)[0]), notes[-1]))
    return helps


def _watched(verb: Callable[..., Any], shown: Shown, bars: ExitStack) -> dict[str, Any]:
    """What shows a person how far a verb is, as far as it takes such a thing."""
    known = signature(verb).parameters
    extra: dict[str, Any] = {}
    if "progress" in known and known["progress"].default is silent:  # training has a bar of its own
        extra["progress"] = bars.enter_context(console.progress(verb.__name__, shown.unit))
    elif "bar" in known:
        extra["bar"] = console.progress
    elif "model" in known:  # which may take long to read
        bars.enter_context(console.waiting(verb.__name__))
    return extra


def _options(parameter: Parameter, help: Help) -> Iterator[Parameter]:
    """The option of a parameter, or its argument; two for what is yes, no, or of the layers named."""
    name, default = parameter.name, parameter.default
    kind, flag = _kind(parameter.annotation, help), f"--{name.replace('_', '-')}"
    names = help.flags or ((f"{flag}/--no-{flag[2:]}",) if default is True else (flag,))
    bounds: dict[str, Any] = {"min": help.least, "max": help.most, "help": help.text, "metavar": help.metavar}
    bounds["autocompletion"] = _offered(parameter)
    bounds["callback"] = _number if kind is float else None
    info = typer.Argument(**bounds) if help.place else typer.Option(*names, **bounds)
    if default is Parameter.empty or help.needed:
        yield Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[kind, info])
    else:
        word = None if default is None or kind == list[str] else str(default) if help.read else default
        yield Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=word,
            annotation=Annotated[kind if word is not None else kind | None, info],
        )
    if help.layers:
        layers = Annotated[list[str] | None, typer.Option(f"{flag}-of", metavar="LAYER", help=help.layers)]
        yield Parameter(f"{name}_of", Parameter.KEYWORD_ONLY, default=None, annotation=layers)


def _number(value: float | None) -> float | None:
    """What was written, which every comparison would pass over were it nan."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


def _offered(parameter: Parameter) -> Callable[[str], list[str]] | None:
    """What a shell completes a value to: the words of its type, or the names that there are; else files, by None."""
    hints = (parameter.annotation, *get_args(parameter.annotation))
    words = [str(word) for hint in hints if get_origin(hint) is Literal for word in get_args(hint)]
    if not words and parameter.name not in VALUES:
        return None

    def offered(incomplete: str) -> list[str]:  # typer knows the parameter by this name
        return [name for name in words or VALUES[parameter.name]() if name.startswith(incomplete)]

    return offered


def _kind(hint: Any, help: Help) -> Any:
    """The type of what is written: text that is read, else the first of the parameter's types that has words."""
    if help.read is not None:
        return list[str] if help.many else str
    for kind in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
        if kind in WORDS:
            return kind
        if get_origin(kind) is Literal:
            return type(get_args(kind)[0])
    return list[str]  # a sequence: the option may be repeated


def _value(parameter: Parameter, help: Help, written: Mapping[str, Any]) -> Any:
    """The value of a parameter from what was written."""
    if layers := written.get(f"{parameter.name}_of"):
        return tuple(layers)
    value = written[parameter.name]
    if value is None or value == []:
        return None if parameter.default is Parameter.empty else parameter.default
    return value if help.read is None else help.read(value)
