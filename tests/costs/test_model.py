"""A constants file is read in full or refused with the line that is wrong."""

from __future__ import annotations

import pytest

from spikeport.costs import find, shipped
from spikeport.costs.estimate import function_of
from spikeport.costs.model import Constant, parse
from spikeport.findings import SpikeportError

GOOD = """\
title = "mine"
function = "arithmetic"
about = "a test"

[constants.mac]
value = 2
low = 1
high = 3
unit = "pJ"
basis = "measured"
source = "my bench"

[constants.ac]
value = 1
low = 1
high = 1
unit = "nJ"
basis = "measured"
source = "my bench"
"""


def refused(text):
    with pytest.raises(SpikeportError) as caught:
        parse(text, "mine", "my.toml")
    return caught.value.findings


def test_units_become_si():
    model = parse(GOOD, "mine", "my.toml")
    assert (model["mac"].low, model["mac"].nominal, model["mac"].high) == (1e-12, 2e-12, 3e-12)
    assert model["ac"].nominal == 1e-9


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('unit = "nJ"\n', "", 13, "unit"),
        ('source = "my bench"\n', "", 5, "source"),
        ("value = 2", "value = -2", 6, "greater than or equal to 0"),
        ("value = 2", "value = 9", 5, "low <= value <= high"),
        ('unit = "nJ"', 'unit = "kWh"', 17, "unit"),
        ("high = 1\n", "high = 1\nhihg = 1\n", 17, "hihg"),
        ("value = 2", "value = nan", 6, "finite"),
        ('function = "arithmetic"', "", 1, "function"),
    ],
)
def test_a_wrong_field_is_refused_with_its_line(old, new, line, says):
    findings = refused(GOOD.replace(old, new, 1))
    assert [f.code for f in findings] == ["SP703"] * len(findings)
    assert any(f.where == f"my.toml:{line}" and says in f.what for f in findings), findings


def test_every_wrong_field_is_named_at_once():
    assert len(refused(GOOD.replace('unit = "pJ"\n', "").replace('unit = "nJ"\n', ""))) == 2


def test_text_that_is_no_toml_is_refused_with_the_line():
    (finding,) = refused("title = \n")
    assert finding.code == "SP702"
    assert "line 1" in finding.what


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(SpikeportError) as caught:
        find("loihi9")
    assert caught.value.code == "SP701"
    assert all(name in str(caught.value) for name in shipped())


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(SpikeportError, match="SP701"):
        find(tmp_path / "gone.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(SpikeportError, match="SP702"):
        find(tmp_path / "folder.toml")


def test_constants_that_the_function_does_not_read_are_refused():
    extra = GOOD.replace("constants.ac", "constants.acc")
    with pytest.raises(SpikeportError, match=r"lacks ac and does not use acc"):
        function_of(parse(extra, "mine", "my.toml"))


def test_every_shipped_model_fits_its_function():
    for model in shipped().values():
        function_of(model)


SI = {"pJ": 1e-12, "nJ": 1e-9, "uJ": 1e-6, "mJ": 1e-3, "J": 1, "mW": 1e-3, "W": 1, "byte": 1, "1": 1}
SI |= {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}


@pytest.mark.parametrize(("unit", "si"), SI.items())
def test_a_prefix_is_its_power_of_ten(unit, si):
    constant = Constant(value=3, low=2, high=4, unit=unit, basis="assumed", source="here")
    assert constant.si.nominal == pytest.approx(3 * si, rel=1e-15)
