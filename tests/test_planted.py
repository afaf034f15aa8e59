"""The table of planted changes speaks of the code as it is."""

import pytest

from planted import ROOT, planted


@pytest.mark.parametrize("change", planted(), ids=lambda change: change.where)
def test_a_change_is_planted_in_one_place_that_is_there(change):
    assert (ROOT / change.where).read_text("utf-8").count(change.before) == 1
    assert change.after != change.before
