"""Every code that is raised has its page, every page its code, and each code belongs to one room."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

from spikeport.catalogue import pages

ROOT = Path(__file__).resolve().parents[1]
CODE = re.compile(r"""["'](SP\d{3})["']""")


def raised():
    """Codes as string literals in the sources."""
    sources = [path for root in ("toolchain", "targets", "models") for path in (ROOT / root).rglob("*.py")]
    return {code for path in sources for code in CODE.findall(path.read_text(encoding="utf-8"))}


def test_every_code_that_is_raised_has_its_page():
    assert raised() - set(pages()) == set()


def test_every_page_has_its_code():
    assert set(pages()) - raised() == set()


def test_no_two_rooms_share_a_code():
    files = (ROOT / "toolchain" / "spikeport" / "catalogue").glob("*.toml")
    counts = Counter(code for path in files for code in tomllib.loads(path.read_text(encoding="utf-8")))
    assert {code for code, count in counts.items() if count > 1} == set()


def test_pages_say_why_and_how_to_mend():
    for page in pages().values():
        assert len(page.title) > 5, page.code
        assert page.why.rstrip().endswith((".", "!", "?")), page.code
        assert len(page.mend) > 5, page.code
