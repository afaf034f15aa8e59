"""SIGINT and SIGTERM at the moments at which Python itself would print a traceback, end by the signal, or go on."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAD = """
import atexit, os, signal, sys, time
from spikeport import ending
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts with &
ending.watch()
def come():
    os.kill(os.getpid(), signal.SIGINT)
def say(end):
    print(f"said {type(end).__name__}", file=sys.stderr)
def run(verb):
    ending.moment.running = True
    sys.exit(ending.of(verb, say))
"""
MOMENTS = {
    "imports": ("come(); time.sleep(9)", "interrupted", 130),
    "a verb": ("run(come)", "said Interrupted", 130),
    "text that is run": ("run(lambda: exec('come()'))", "said Interrupted", 130),
    "what is thrown away": (
        """
class Thrown:
    def __del__(self): come(); time.sleep(0)
def verb():
    Thrown()
    time.sleep(9)
run(verb)""",
        "said Interrupted",
        130,
    ),
    "an import that says something else": (
        """
def verb():
    try: come(); time.sleep(9)
    except KeyboardInterrupt: raise ImportError("no such module") from None
run(verb)""",
        "said ImportError",
        130,
    ),
    "the end": ("atexit.register(lambda: (come(), time.sleep(9))); run(lambda: 1)", "", 1),
    "terminated": ("run(lambda: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(9))", "", 143),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_is_one_line_and_a_status(moment):
    body, said, status = MOMENTS[moment]
    done = subprocess.run([sys.executable, "-c", HEAD + body], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.strip()) == (status, said)


def test_what_is_wrong_besides_keeps_its_traceback():
    done = subprocess.run(
        [sys.executable, "-c", f"{HEAD}run(lambda: 1 / 0)"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_an_interrupt_that_is_ignored_stays_so():
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nfrom spikeport import ending\nending.watch()\n"
    code += "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0
