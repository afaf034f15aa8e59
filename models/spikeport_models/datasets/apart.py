"""Reads files with a codec that may end its process: in a child, ``python -m spikeport_models.datasets.apart``.

aedat 2.2, written in Rust, aborts on some damaged files and takes memory as they say. The child reads one file after
the other: a path comes as a line of JSON, and what goes back is a line of JSON, ``{"bytes": N}`` with N bytes of a .npz
behind it, or ``{"error": ...}``. It ends with its parent, and where a file ends it the next one gets another child.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO

import numpy as np
from numpy.typing import NDArray

from spikeport import memory, reading

SECONDS = 600.0  #: in which a recording is read that can be read
NAMES = ("t", "x", "y", "on")
PIECE = 1 << 20  #: bytes that are read from the child at once


def columns(path: Path) -> Iterator[NDArray[np.int64]]:
    """Times, columns, rows and polarities of the events of an .aedat4 file, read in a child. Raises ValueError."""
    arrays = reading.npz(io.BytesIO(_codec(os.getpid()).read(path)))
    return iter([arrays[name] for name in NAMES])


@cache
def _codec(process: int) -> Codec:
    """The one of this process: a forked one begins its own."""
    codec = Codec()
    atexit.register(codec.end)
    return codec


class Codec:
    """A child with the codec, begun for the first file and again after one that ended it; a file at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None  #: what the child says besides its answers
        self._rest = b""  #: what the child wrote behind what was read
        self._lock = Lock()

    def read(self, path: Path) -> bytes:
        """The events of a file as a .npz. Raises ValueError for a file that holds none, or that ends the codec."""
        with self._lock:
            until = time.monotonic() + SECONDS
            try:
                child = self._begun()
                assert child.stdin is not None
                child.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
                child.stdin.flush()
                answer = json.loads(self._line(child, until))
                whole = b"" if "error" in answer else self._exactly(child, answer["bytes"], until)
            except (BrokenPipeError, EOFError):
                raise ValueError(f"the codec ended on it: {self._last_words()}") from None
            except TimeoutError:
                self.end()
                raise ValueError(f"the codec does not come back from it within {SECONDS:g} s") from None
            except BaseException:
                self.end()  # in the middle of an answer, which would be taken for the next file's
                raise
        if "error" in answer:
            raise ValueError(f"the codec ended on it: {answer['error']}")
        return whole

    def end(self) -> None:
        """End the child, if there is one."""
        child, self._child, self._rest = self._child, None, b""
        if child is not None:
            child.kill()
            child.communicate()
        if self._said is not None:
            self._said.close()
            self._said = None

    def _begun(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._said = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the child)
            words = [sys.executable, "-m", "spikeport_models.datasets.apart"]
            self._child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said)
        return self._child

    def _last_words(self) -> str:
        """Of a child that ended: the last line that it said, or its status."""
        assert self._child is not None
        assert self._said is not None
        status = self._child.wait()
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines() or [f"status {status}"]
        self.end()
        return lines[-1][:200]

    def _line(self, child: subprocess.Popen[bytes], until: float) -> bytes:
        while b"\n" not in self._rest:
            self._rest += _some(child, until)
        line, self._rest = self._rest.split(b"\n", 1)
        return line

    def _exactly(self, child: subprocess.Popen[bytes], count: int, until: float) -> bytes:
        pieces, have = [self._rest], len(self._rest)
        while have < count:
            pieces.append(_some(child, until))
            have += len(pieces[-1])
        whole = b"".join(pieces)
        self._rest = whole[count:]
        return whole[:count]


def _some(child: subprocess.Popen[bytes], until: float) -> bytes:
    """What comes next. Raises TimeoutError, and EOFError where nothing will."""
    assert child.stdout is not None
    if not select.select([child.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
        raise TimeoutError
    if some := os.read(child.stdout.fileno(), PIECE):
        return some
    raise EOFError


def events(path: str) -> bytes:
    """In the child: the stream of events with the lowest number, as a .npz. Raises ValueError where there is none."""
    from aedat import Decoder

    decoder = Decoder(path)
    streams = sorted(number for number, stream in decoder.id_to_stream().items() if stream["type"] == "events")
    if not streams:
        raise ValueError("no stream of events")
    packets = [packet["events"] for packet in decoder if packet["stream_id"] == streams[0]]
    names = {name: np.concatenate([packet[name] for packet in packets] or [np.zeros(0, np.int64)]) for name in NAMES}
    whole = io.BytesIO()
    np.savez(whole, allow_pickle=False, **{name: values.astype(np.int64) for name, values in names.items()})
    return whole.getvalue()


def main() -> None:
    """In the child: one answer for each path, until the parent is gone."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    for line in sys.stdin:
        resource.setrlimit(resource.RLIMIT_AS, (memory.taken() + memory.left(), hard))
        if most == resource.RLIM_INFINITY:  # nobody may be left who would end it
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + SECONDS) + 1, most))
        try:
            whole = events(json.loads(line))
            answer = json.dumps({"bytes": len(whole)})
        except Exception as error:  # whatever the codec raises belongs to its file
            whole, answer = b"", json.dumps({"error": reading.line(error)[:200]})
        sys.stdout.buffer.write(answer.encode() + b"\n" + whole)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
