"""Node names that every NIR tool accepts: letters, digits and underscores. The originals stay in the metadata.

HDF5 takes "/" for a folder (nir writes such a file and cannot read it back), and torch's module tree, which nirtorch
builds, takes no ".".
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def safe_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """For each name one that is safe and unique, the same wherever the name is safe already."""
    names = list(names)
    used = set(taken)
    safe: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (not _is_safe(name), names.index(name))):
        stem = re.sub(r"[^0-9A-Za-z_]", "_", name) or "_"
        stem = f"n{stem}" if stem[0].isdigit() else stem
        choice, count = stem, 1
        while choice in used:
            count += 1
            choice = f"{stem}_{count}"
        used.add(choice)
        safe[name] = choice
    return safe


def _is_safe(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][0-9A-Za-z_]*", name) is not None
