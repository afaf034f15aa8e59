"""Every code of the catalogue is named by a test: one that nobody can raise, or that nobody saw raised, would show."""

from __future__ import annotations

from pathlib import Path

from spikeport.catalogue import pages


def test_every_code_is_named_in_a_test():
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("*.py")]
    assert [code for code in pages() if not any(code in text for text in texts)] == []
