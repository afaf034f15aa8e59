"""Times of events: seconds, microseconds and wrapped counters are recognised or refused, never cut to zero."""

from __future__ import annotations

import numpy as np
import pytest

from data_files import code
from spikeport_models.datasets.recordings import read_events
from spikeport_models.datasets.times import microseconds

RNG = np.random.default_rng(8)
T = np.sort(RNG.integers(0, 300_000, 50))
X, Y, P = RNG.integers(0, 30, 50), RNG.integers(0, 30, 50), RNG.integers(0, 2, 50)


def write(path, header, rows):
    path.write_text(header + "\n".join(" ".join(map(str, row)) for row in rows))
    return path


@pytest.mark.parametrize("kind", [np.int64, np.uint32, np.float64, np.float32])
def test_whole_numbers_are_microseconds(kind):
    assert microseconds(T.astype(kind)).tolist() == T.tolist()


def test_fractions_are_seconds():
    assert microseconds(T / 1e6).tolist() == T.tolist()
    assert microseconds(1_700_000_000 + T / 1e6).tolist() == (1_700_000_000_000_000 + T).tolist()


@pytest.mark.parametrize(("unit", "per"), [("s", 1e6), ("ms", 1e3), ("us", 1), ("ns", 1e-3)])
def test_a_unit_counts(unit, per):
    assert microseconds(T / per, unit).tolist() == T.tolist()


@pytest.mark.parametrize("counter", [2**16, 2**23, 2**24, 2**31, 2**32])
def test_a_counter_that_begins_again_goes_on(counter):
    times = counter // 2 + np.arange(0, 2 * counter, counter // 200)
    again = microseconds(times % counter)
    assert (again - again[0]).tolist() == (times - times[0]).tolist()


@pytest.mark.parametrize(
    "times",
    [
        np.asarray([16.0, 17.5, 19.25], np.float32) * 1e4 + np.float32(0.5),  # float32 has no microsecond there
        np.asarray([0.0, np.nan, 1.0]),
        np.asarray([-1.0, 2.0]),
        np.asarray([1e-8, 2e-8, 3e-8]),  # all of them less than a microsecond
        np.concatenate([np.arange(0, 5000, 10), np.arange(0, 5000, 10)]),  # two recordings
    ],
)
def test_times_that_cannot_be_told_are_refused(times):
    with pytest.raises(ValueError, match="time"):
        microseconds(times)


def test_files_out_of_order_are_sorted_as_they_are():
    shuffled = RNG.permutation(T)
    assert microseconds(shuffled).tolist() == shuffled.tolist()


@pytest.mark.parametrize(
    ("header", "order", "scale"),
    [
        ("t x y p\n", "txyp", 1),
        ("x,y,p,timestamp\n", "xypt", 1),
        ("# polarity; time_ms; row; column\n", "ptyx", 1e3),
        ("timestamp [s], x, y, polarity\n", "txyp", 1e6),
        ("# recorded in the lab on a sunny day\n", "txyp", 1),
        ("", "txyp", 1e6),
    ],
)
def test_headers_name_the_columns_and_the_unit(header, order, scale, tmp_path):
    columns = {"t": T if scale == 1 else T / scale, "x": X, "y": Y, "p": P}
    path = write(tmp_path / "a.txt", header, zip(*(columns[name] for name in order), strict=True))
    events = read_events(path)
    for column, read in zip((T, X, Y, P), (events.t, events.x, events.y, events.p), strict=True):
        assert read.tolist() == column.tolist()


@pytest.mark.parametrize(
    ("header", "order"),
    [("", "xytp"), ("", "xypt"), ("a b c d\n", "txyp"), ("t x y\n", "txyp"), ("t time y p\n", "txyp")],
)
def test_columns_that_cannot_be_told_are_refused(header, order, tmp_path):
    columns = {"t": T, "x": X, "y": Y, "p": P}
    path = write(tmp_path / "a.csv", header, zip(*(columns[name] for name in order), strict=True))
    assert code(read_events, path) == "SP362"


def test_pixels_are_whole_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([T, X + 0.5, Y, P], 1))
    assert code(read_events, tmp_path / "a.npy") == "SP362"


def test_a_column_that_rises_beside_a_counter_that_begins_again_is_not_the_time(tmp_path):
    times, rows = np.arange(1000, 101_000, 1000), np.arange(100) // 20
    table = np.stack([(times + 2**32 - 50_000) % 2**32, X[:1].repeat(100), rows, rows % 2], 1)
    np.save(tmp_path / "a.npy", table)
    events = read_events(tmp_path / "a.npy")
    assert (events.t - events.t[0]).tolist() == (times - times[0]).tolist()
    assert events.y.tolist() == rows.tolist()
    marked = write(tmp_path / "a.csv", "\ufefft x y p\n", table)  # with the byte order mark of some spreadsheets
    assert read_events(marked).t.tolist() == events.t.tolist()
