"""Records that hold the same, for tests that compare two ways to compute."""

from __future__ import annotations

import numpy as np

from spikeport.target import Request

ALL = Request(trains=True, membranes=True, events=True)


def same(a, b):
    """Assert that two records hold the same, to the bit."""
    np.testing.assert_array_equal(a.outputs, b.outputs)
    assert list(a.further) == list(b.further)
    for name, output in a.further.items():
        np.testing.assert_array_equal(output, b.further[name])
    assert a.overflows == b.overflows
    for name in a.neurons:
        np.testing.assert_array_equal(a.trains[name].bits, b.trains[name].bits)
        assert a.membranes[name].tobytes() == b.membranes[name].tobytes()
    for name, events in a.events.items():
        for field in (
            *("spikes", "updates", "active"),
            *("inputs", "payload", "synops", "fanout", "graded", "unary", "dense"),
        ):
            np.testing.assert_array_equal(
                getattr(events, field, 0), getattr(b.events[name], field, 0), f"{name} {field}"
            )
