"""What a user may have meant by a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MANY = 24  #: names that a message lists in full


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``word``, whatever its case; None where none is like it."""
    names = {name.casefold(): name for name in known}
    matches = get_close_matches(str(word).casefold(), names, n=1, cutoff=0.6)
    return names[matches[0]] if matches else None


def choose(word: str, known: Iterable[str]) -> str:
    """How to mend an unknown name: the one that may have been meant, and those there are."""
    names = list(known)
    meant = nearest(word, names)
    some = ", ".join(names[:MANY]) + (f" and {len(names) - MANY} more" if len(names) > MANY else "")
    return (f"did you mean {meant}? " if meant is not None else "") + f"choose one of: {some}"
