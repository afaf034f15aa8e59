"""What commands import: each runs in a fork of one Python that knows the command line alone."""

from __future__ import annotations

import json
import os
import sys

from spikeport import process
from spikeport.terminal import app


def run(command: str, heavy: list[str], out: int) -> None:
    """One command, in a fork: to ``out`` its status and which modules there are."""
    sys.argv, code, process.command.single = ["spikeport", *command.split()], 1, True
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        app.main()
    except SystemExit as end:
        code = int(end.code or 0)
    os.write(out, json.dumps([code, [name for name in heavy if name in sys.modules]]).encode())


if __name__ == "__main__":
    heavy, commands = json.loads(sys.argv[1])
    for command in commands:
        reading, writing = os.pipe()
        if os.fork() == 0:
            try:
                run(command, heavy, writing)
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            print(told.read(), flush=True)
        os.wait()
