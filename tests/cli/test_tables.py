"""Tables on a terminal: nothing is cropped, however narrow it is, and words stay whole where there is room."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from spikeport.terminal import console, show

HEAD = ("model", "low", "nominal", "basis")
ROWS = [("spinnaker2-hoeppner2019", "51.7", "52", "literature, assumed"), ("45nm", "0.03", "0.04", "simulated")]


def shown(monkeypatch, width):
    text = io.StringIO()
    monkeypatch.setattr(console, "stdout", Console(file=text, width=width, force_terminal=True, no_color=True))
    monkeypatch.setattr(console, "interactive", lambda: True)
    show.table("a title", HEAD, ROWS)
    return re.sub(r"\x1b\[[0-9;]*m", "", text.getvalue())


@pytest.mark.parametrize("width", [30, 48, 60, 200])
def test_no_letter_is_lost(monkeypatch, width):
    text = shown(monkeypatch, width)
    assert all(len(line) <= width for line in text.splitlines())
    letters = sorted("".join(text.split()))
    wanted = "atitle" + "".join("".join(cell.split()) for row in (HEAD, *ROWS) for cell in row)
    assert letters == sorted(wanted)


def test_words_are_whole_where_they_fit(monkeypatch):
    assert all(word in shown(monkeypatch, 60) for word in ("spinnaker2-hoeppner2019", "literature,", "assumed"))


def test_a_pipe_gets_columns_under_their_title(monkeypatch, capsys):
    monkeypatch.setattr(console, "interactive", lambda: False)
    show.table("a title", HEAD, ROWS)
    assert capsys.readouterr().out.splitlines()[:2] == ["# a title", "model\tlow\tnominal\tbasis"]
