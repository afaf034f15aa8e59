"""The command line in forks of one warm Python: what a command of its own does, without starting Python for each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Warm:
    """`python -W error -m spikeport ...`, as often as one likes; the imports are paid once."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", __file__]
        self.server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}
        )

    def __call__(self, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run one command in ``cwd``: its status and what it wrote."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps([str(cwd), *map(str, arguments)]) + "\n")
        self.server.stdin.flush()
        code, out, err = json.loads(self.server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, out, err)

    def close(self) -> None:
        """End the server."""
        self.server.communicate(timeout=10)


def run(cwd: str, arguments: Sequence[str]) -> None:
    """The command, in the fork: does not return."""
    from spikeport.terminal.app import main

    os.chdir(cwd)
    sys.argv = ["spikeport", *arguments]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """One fork for each line, its output by way of files."""
    import importlib
    import tempfile

    from spikeport.verbs import VERBS

    for module in ("formats.nir", "formats.onnx", "terminal.app", *(f"verbs.{verb}" for verb in VERBS)):
        importlib.import_module(f"spikeport.{module}")
    for line in sys.stdin:
        cwd, *arguments = json.loads(line)
        with tempfile.TemporaryFile("w+b") as out, tempfile.TemporaryFile("w+b") as err:
            child = os.fork()
            if child == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                run(cwd, arguments)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        print(json.dumps([code, *texts]), flush=True)


if __name__ == "__main__":
    serve()
