"""Each model beside every public measurement: in its range, or said to be outside and why; the page is the code's."""

from __future__ import annotations

from pathlib import Path

from predicted_and_measured import WIDEST, page, rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "predicted-and-measured.md"


def test_each_row_keeps_to_its_range():
    for row in rows():
        assert row.predicted.low <= row.predicted.nominal <= row.predicted.high, row
        assert row.width <= WIDEST, row
        assert row.inside != bool(row.outside), row
        assert not (row.fitted and row.outside), row
        assert row.factor <= (1.25 if row.what in ("cores", "chips") else 2) or "host" in row.outside, row


def test_the_page_is_what_the_command_writes():
    assert PAGE.read_text(encoding="utf-8") == page(rows())
