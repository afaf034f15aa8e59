"""A command line that no verb takes: where --json was asked for an error with a code, whichever verb it is."""

from __future__ import annotations

import pytest
import typer

from spikeport.findings import SpikeportError
from spikeport.terminal import console
from spikeport.terminal.app import build
from spikeport.verbs import VERBS


@pytest.fixture(scope="module")
def group():
    return typer.main.get_command(build())


@pytest.fixture
def refused(group, monkeypatch):
    monkeypatch.setattr(console.settings, "json", True)

    def refused(*words):
        with pytest.raises(SpikeportError) as caught:
            group.main([*words], prog_name="spikeport", standalone_mode=False)
        (finding,) = caught.value.findings
        assert finding.code == "SP910"
        return finding

    return refused


@pytest.mark.parametrize("verb", [name.replace("_", "-") for name in VERBS])
def test_every_misuse_of_every_verb_has_the_code_of_usage(verb, group, refused):
    parameters = group.commands[verb].params
    places = ["1" for each in parameters if each.param_type_name == "argument"]
    finding = refused(verb, *places, "--no-such-option")
    assert finding.where == f"spikeport {verb}"
    assert "No such option: --no-such-option" in finding.what
    assert "unexpected extra argument" in refused(verb, *places, *_needed(parameters), "1", "1").what
    if needed := [each for each in parameters if each.required]:
        assert "Missing" in refused(verb).what, needed
    takes = [each for each in parameters if each.param_type_name == "option" and not each.is_flag]
    for option in takes[:1]:
        assert "requires an argument" in refused(verb, *places, option.opts[0]).what
    for option in [each for each in takes if each.bare_type in (int, float)][:1]:
        assert f"'{option.opts[0]}'" in refused(verb, *places, *_needed(parameters), option.opts[0], "many").what


def _needed(parameters):
    """Words for the options that a verb asks for."""
    return [word for each in parameters if each.required and each.opts[0][0] == "-" for word in (each.opts[0], "1")]


def test_a_verb_that_there_is_not_has_it_too(refused):
    assert "No such command 'evalute'" in refused("evalute").what
