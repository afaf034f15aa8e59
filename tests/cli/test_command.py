"""A verb is declared once: the command line is what the signature of its function says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

import spikeport
from spikeport.findings import SpikeportError
from spikeport.target import Progress, silent
from spikeport.terminal.app import build
from spikeport.terminal.command import command, texts
from spikeport.terminal.results import Shown
from spikeport.verbs import VERBS
from spikeport.verbs.parameters import Help, read_pairs, read_shape, unless_none


@dataclass
class Heard:
    """A result that says what the verb was called with."""

    values: dict[str, object]

    def as_dict(self) -> dict[str, object]:
        return self.values


def verb(
    model: Annotated[str | Path, Help("The model.", place=True)],
    count: Annotated[int, Help("How many.", least=1, most=9)] = 3,
    *,
    kind: Annotated[Literal["a", "b"], Help("Which.")] = "a",
    out: Annotated[Path | None, Help("Where.", needed=True)] = None,
    chip: Annotated[str | None, Help("Chip.", read=unless_none)] = "loihi1",
    pairs: Annotated[dict[str, str] | None, Help("Pairs.", ("--set",), read=read_pairs, many=True)] = None,
    items: Annotated[Sequence[str], Help("Items.", ("--item",))] = (),
    why: Annotated[bool, Help("Why.")] = True,
    trains: Annotated[bool | Sequence[str], Help("Trains.", layers="Of this layer.")] = False,
    for_python: int = 7,
    progress: Progress = silent,
) -> Heard:
    """What it does.

    More of it.

    In Python: ``for_python`` is a number.

    Raises SP999.

    Examples:

        spikeport verb m --out x
    """
    return Heard({name: value for name, value in locals().items() if name != "progress"})


def called(*words):
    heard = []
    app = typer.Typer()
    app.command()(command(verb, Shown(lambda result, values: heard.append(result.values))))
    return CliRunner().invoke(app, list(words)), heard


def test_what_is_not_written_has_the_defaults_of_python():
    result, (values,) = called("m", "--out", "x")
    assert result.exit_code == 0
    assert values == {
        "model": "m",
        "count": 3,
        "kind": "a",
        "out": Path("x"),
        "chip": "loihi1",
        "pairs": None,
        "items": (),
        "why": True,
        "trains": False,
        "for_python": 7,
    }


def test_what_is_written_arrives_as_the_type_that_the_signature_names():
    words = "m --out x --count 4 --kind b --chip none --set a=1 --set b=2 --item p --item q --no-why --trains"
    _, (values,) = called(*words.split())
    assert values == {
        "model": "m",
        "count": 4,
        "kind": "b",
        "out": Path("x"),
        "chip": None,
        "pairs": {"a": "1", "b": "2"},
        "items": ["p", "q"],
        "why": False,
        "trains": True,
        "for_python": 7,
    }


def test_some_layers_instead_of_all():
    _, (values,) = called("m", "--out", "x", "--trains-of", "a", "--trains-of", "b")
    assert values["trains"] == ("a", "b")


@pytest.mark.parametrize(
    "words", [["m"], ["--out", "x"], ["m", "--out", "x", "--count", "0"], ["m", "--for-python", "1"]]
)
def test_what_the_signature_does_not_allow_is_refused(words):
    result, heard = called(*words)
    assert (result.exit_code, heard) == (2, [])


def test_the_help_leaves_out_what_is_for_python():
    help, examples = texts(verb)
    assert help == "What it does.\n\nMore of it."
    assert examples == "Examples:\n\nspikeport verb m --out x"


@pytest.mark.parametrize("name", VERBS)
def test_every_parameter_of_a_verb_is_an_option_or_for_python_alone(name):
    """What the command line does not have is named here: nothing is left out by accident."""
    known = {"quantize": {"steps", "progress"}, "run": {"bar"}, "import_checkpoint": {"seed", "progress"}}
    for_python = known.get(name, {"progress"})
    function = getattr(spikeport, name)
    options = set(signature(command(function, Shown(print, plain=None))).parameters)
    assert set(signature(function).parameters) - options <= for_python
    assert {option.removesuffix("_of") for option in options} <= set(signature(function).parameters)


def test_every_verb_has_a_command_with_help_and_an_example():
    for name in VERBS:
        result = CliRunner().invoke(build(), [name.replace("_", "-"), "--help"])
        assert result.exit_code == 0, name
        assert f"spikeport {name.replace('_', '-')}" in result.output


def test_a_shape_is_written_with_commas():
    assert read_shape("3, 32,32") == (3, 32, 32)
    for text in ("3,0", "3;32", ""):
        with pytest.raises(SpikeportError, match="SP908"):
            read_shape(text)
