"""What a shell offers for a value that was begun: the names that there are."""

from __future__ import annotations

import pytest
import typer

from spikeport.terminal.app import build
from spikeport.verbs.values import VALUES


@pytest.fixture(scope="module")
def commands():
    return typer.main.get_command(build()).commands


@pytest.mark.parametrize(
    ("verb", "name", "begun", "expected"),
    [
        ("evaluate", "target", "la", {"lava"}),
        ("evaluate", "data", "dig", {"digits"}),
        ("evaluate", "model", "fmn", {"fmnist-conv"}),
        ("evaluate", "split", "", {"train", "val", "test"}),
        ("train", "method", "", {"ds-atgo", "mpd-agl", "fixed"}),
        ("fit", "chip", "loihi", {"loihi1", "loihi2"}),
        ("quantize", "profile", "loihi", {"loihi1", "loihi2"}),
        ("quantize", "ranges", "m", {"max", "mse", "mismatch"}),
        ("explain", "code", "SP36", {f"SP36{n}" for n in range(4)}),
        ("simulate", "out", "", set()),  # the shell's own: files
    ],
)
def test_a_value_is_completed(commands, verb, name, begun, expected):
    parameter = next(each for each in commands[verb].params if each.name == name)
    offered = [item.value for item in parameter.shell_complete(typer.Context(commands[verb]), begun)]
    assert expected <= set(offered)
    assert all(word.startswith(begun) for word in offered)
    assert bool(offered) == bool(expected)


def test_every_name_of_the_table_is_a_parameter_and_has_values(commands):
    names = {each.name for command in commands.values() for each in command.params}
    assert set(VALUES) <= names
    assert all(list(values()) for values in VALUES.values())
