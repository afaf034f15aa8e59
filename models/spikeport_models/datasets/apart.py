"""Reads a file with a codec that may end its process: in a child, ``python -m spikeport_models.datasets.apart FILE``.

aedat 2.2, written in Rust, aborts on some damaged files and takes memory as they say; what it gives is written to the
child's output as a .npz, and what it says of a file as a line of text.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikeport import memory, reading

SECONDS = 600  #: in which a recording is read that can be read
NAMES = ("t", "x", "y", "on")


def columns(path: Path) -> Iterator[NDArray[np.int64]]:
    """Times, columns, rows and polarities of the events of an .aedat4 file, read in a child. Raises ValueError."""
    command = [sys.executable, "-m", "spikeport_models.datasets.apart", str(path.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"the codec does not come back from it within {SECONDS} s") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"status {done.returncode}"]
        raise ValueError(f"the codec ended on it: {lines[-1][:200]}")
    arrays = reading.npz(io.BytesIO(done.stdout))
    return iter([arrays[name] for name in NAMES])


def main(path: str) -> None:
    """In the child: the events of the stream with the lowest number."""
    import resource

    from aedat import Decoder

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory.taken() + memory.left(), hard))
    decoder = Decoder(path)
    streams = sorted(number for number, stream in decoder.id_to_stream().items() if stream["type"] == "events")
    if not streams:
        raise SystemExit("no stream of events")
    packets = [packet["events"] for packet in decoder if packet["stream_id"] == streams[0]]
    names = {name: np.concatenate([packet[name] for packet in packets] or [np.zeros(0, np.int64)]) for name in NAMES}
    whole = io.BytesIO()
    np.savez(whole, allow_pickle=False, **{name: values.astype(np.int64) for name, values in names.items()})
    sys.stdout.buffer.write(whole.getvalue())


if __name__ == "__main__":
    main(sys.argv[1])
