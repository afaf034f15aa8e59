"""What the system refuses a command, as errors with codes: no working directory, no memory, no room for its output."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from spikeport.findings import fail
from spikeport.reading import line
from spikeport.terminal import console


@contextmanager
def coded() -> Iterator[None]:
    """What the block raises of the system's own, as SP971 to SP975. A pipe that nobody reads any more stays one."""
    try:
        os.getcwd()
    except OSError:
        fail("SP971", "the working directory is gone", mend="change to a folder that is there")
    try:
        try:
            yield
        finally:
            _flush()
    except BrokenPipeError:
        raise
    except MemoryError as error:
        _memory(error)
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # torch's word for it
            raise
        _memory(error)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            _memory(error)
        what = f"the system refused ({error.strerror or line(error)})"
        fail("SP974", what, where=str(error.filename or ""), mend="make room, or give the right to it")


def _memory(error: BaseException) -> None:
    mend = "fewer samples at once, a smaller network, or a machine with more memory"
    fail("SP975", "there is not enough memory", why=f"{line(error)}.", mend=mend)


def _flush() -> None:
    """Write what is left of the output. Raises SP973 where it does not go."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        console.drop_output()
        fail("SP973", f"the output could not be written ({error.strerror})", mend="send it to a place with room")
