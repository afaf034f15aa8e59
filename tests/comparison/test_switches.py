"""A schedule beside a constant: the constant that it was summarised by, for each number of axes."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.comparison.switches import collapsed

OURS = np.asarray([2.0, 5.0, 1.0, 4.0])


@pytest.mark.parametrize(
    ("theirs", "constant"), [(2.9, 3.0), (2.1, 2.0), (4.05, 4.0), (9.0, 5.0), (1.2, 1.0), (-2.0, 1.0)]
)
def test_the_nearest_summary_of_a_schedule(theirs, constant):
    """Its mean and median 3, first 2, last 4, least 1 and largest 5."""
    assert collapsed(OURS, np.full(4, theirs)).tolist() == [constant] * 4


def test_what_does_not_vary_stays_and_what_varies_is_met_as_it_is():
    same = np.full(4, 2.0)
    assert collapsed(same, np.full(4, 7.0)) is same
    assert collapsed(OURS, 2 * OURS) is OURS


def test_where_the_best_was_looked_for_each_channel_has_its_own():
    """Channels from 0 to 4 and from 10 to 14, of which 16 parts and more are looked at."""
    ours = np.stack([np.linspace(0, 4, 5), np.linspace(10, 14, 5)], axis=1)
    theirs = np.broadcast_to(np.asarray([4.0, 10.0]), (5, 2))
    np.testing.assert_array_equal(collapsed(ours, theirs, best=True), theirs)
    assert not np.array_equal(collapsed(ours, theirs), theirs)
    wide = collapsed(ours, theirs.reshape(5, 2, 1, 1) + np.zeros((5, 2, 3, 3)), best=True)
    assert wide.shape[:2] == (5, 2)


def test_channels_are_compared_with_the_neurons_of_a_map():
    """[T, C] beside [T, C, 1, 1]: the same numbers."""
    ours = np.asarray([[1.0, 2.0], [3.0, 6.0]])
    theirs = np.broadcast_to(np.asarray([3.0, 6.0]).reshape(2, 1, 1), (2, 2, 1, 1))
    assert collapsed(ours, theirs).tolist() == [[3, 6], [3, 6]]
