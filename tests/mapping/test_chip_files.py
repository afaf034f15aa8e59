"""A chip's file is read whole or refused with the line, and its page has all of it."""

from __future__ import annotations

import pytest

from spikeport.findings import SpikeportError
from spikeport.mapping import find, shipped
from spikeport.mapping.chip import parse
from spikeport.mapping.pages import limits


def test_bad_chips_are_refused_with_the_line(tmp_path):
    with pytest.raises(SpikeportError) as caught:
        find("loihi9")
    assert caught.value.code == "SP721"
    assert all(name in str(caught.value) for name in shipped())
    text = (
        'title = "x"\nabout = "y"\nweight_bits = 8\nschedules = true\n[limits.neurons]\nvalue = -1\nunit = "per core"\n'
        'source = "me"\n[mesh]\ncolumns = 1\nrows = 1\ncores_per_tile = 1\nsource = "me"\n'
    )
    with pytest.raises(SpikeportError) as caught:
        parse(text, "x", "x.toml")
    assert caught.value.findings[0].where == "x.toml:6"
    with pytest.raises(SpikeportError, match="lacks cores"):
        parse(text.replace("-1", "1"), "x", "x.toml")


def test_a_chips_page_has_every_limit_and_every_time():
    chip = find("loihi1")
    rows = [row.split("|")[1].strip() for row in limits(chip).splitlines() if row.startswith("| ")]
    assert set(rows) >= {"limit", "time", "mesh", *chip.limits, *chip.unknown, *chip.timing}
