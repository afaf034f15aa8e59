"""How much memory this process has taken, and how much more it may take."""

from __future__ import annotations

import re
from pathlib import Path

SPARE = 2**26  #: bytes of memory that are left to everything else
ANY = 2**40  #: bytes, where a system does not say how many it has


def left() -> int:
    """Bytes that this process may still take: of the machine's free ones, and of its own limit."""
    try:
        import resource

        available = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        free = int(available[1]) * 1024 if available else ANY
        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            free = min(free, soft - taken())
    except (ImportError, OSError):  # another system than Linux does not say
        return ANY
    return max(0, free - SPARE)


def taken() -> int:
    """Bytes of this process's address space, of which RLIMIT_AS is the limit. Raises ImportError, OSError off Linux."""
    import resource

    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
