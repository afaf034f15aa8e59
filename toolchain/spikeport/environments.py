"""Python environments of their own, for software that cannot be installed beside spikeport.

`Environment.install` makes one in the user's data folder, and `Environment.interpreter` finds it again. A folder counts
only once its marker, written last, names the same requirements: half an environment is none.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spikeport.files import folder, write_json
from spikeport.findings import fail

VARIABLE = "SPIKEPORT_ENVIRONMENTS"  #: environment variable: the folder in which the environments lie
MARKER = "spikeport.json"
ALONE = ("--no-deps", "--ignore-requires-python")  #: pip's options for these packages
TAIL = 3000  #: characters of a failed command's words that an error shows


def home() -> Path:
    """The folder of all environments: what `VARIABLE` names, else in the user's data folder (XDG)."""
    if place := os.environ.get(VARIABLE):
        return Path(place).absolute()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "spikeport" / "environments"


@dataclass(frozen=True, slots=True)
class Environment:
    """Packages that live apart, in a Python of their own."""

    name: str
    python: tuple[int, int]  #: the Python that they need, for example (3, 11)
    requirements: tuple[str, ...]  #: as pip takes them, every package with its version
    probe: str  #: the module whose import shows that all is there
    alone: tuple[str, ...] = ()  #: packages that pip takes without what they ask for, other packages or another Python

    @property
    def folder(self) -> Path:
        """Where it lies, or would."""
        return home() / self.name

    @property
    def command(self) -> str:
        """What makes it."""
        return f"spikeport targets --install {self.name}"

    def interpreter(self) -> Path | None:
        """Its Python; None where it is not there in full, or was made for other requirements. Runs nothing."""
        python = self.folder / "bin" / "python"
        try:
            facts = json.loads((self.folder / MARKER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return python if facts == self._facts() and python.exists() else None

    def install(self) -> Path:
        """Make it, unless it is there and works; returns its Python. A second process waits for the first.

        Raises SP650 where the Python that it needs is not found, SP651 where a step fails, SP906 where the folder
        cannot be written.
        """
        base = find_python(self.python, f"the environment {self.name!r}")
        with _alone(folder(home()) / f"{self.name}.lock"):
            ready = self.interpreter()
            if ready is not None and _run(self._probe(ready)).returncode == 0:
                return ready
            shutil.rmtree(self.folder, ignore_errors=True)
            try:
                return self._make(base)
            except BaseException:
                shutil.rmtree(self.folder, ignore_errors=True)
                raise

    def _make(self, base: Path) -> Path:
        python = self.folder / "bin" / "python"
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        steps: dict[str, Sequence[Path | str]] = {
            "making the environment": (base, "-I", "-m", "venv", self.folder),
            "installing its packages": (python, "-I", *pip, *self.requirements),
            **({"installing what is taken alone": (python, "-I", *pip, *ALONE, *self.alone)} if self.alone else {}),
            f"importing {self.probe}": self._probe(python),
        }
        for what, command in steps.items():
            done = _run(command)
            if done.returncode:
                fail(
                    "SP651",
                    f"{what} failed with status {done.returncode}",
                    where=str(self.folder),
                    why=(done.stderr or done.stdout)[-TAIL:].rstrip(),
                    mend=f"see whether pip reaches its package index and the disk has room; then {self.command}",
                )
        write_json(self.folder / MARKER, self._facts())
        return python

    def _probe(self, python: Path) -> tuple[Path | str, ...]:
        return python, "-I", "-c", f"import {self.probe}"

    def _facts(self) -> dict[str, object]:
        facts = {"python": list(self.python), "requirements": list(self.requirements), "probe": self.probe}
        return facts | ({"alone": list(self.alone)} if self.alone else {})


def find_python(version: tuple[int, int], who: str) -> Path:
    """A Python of a version, able to make environments: the one that runs now, or one on the PATH. Raises SP650."""
    wanted = f"python{version[0]}.{version[1]}"
    on_path = shutil.which(wanted)
    candidates = [sys.executable] * (sys.version_info[:2] == version) + [on_path] * (on_path is not None)
    check = f"import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != {version})"
    for python in candidates:
        if python and _run((python, "-I", "-c", check)).returncode == 0:
            return Path(python)
    which = f"{', '.join(map(str, candidates))} cannot make environments" if candidates else f"no {wanted} on the PATH"
    fail(
        "SP650",
        f"{who} needs Python {version[0]}.{version[1]}: {which}",
        why=f"its packages have no wheels for Python {sys.version_info[0]}.{sys.version_info[1]}, which runs now."
        if sys.version_info[:2] != version
        else "the module venv or ensurepip is missing; Debian has it in a package of its own.",
        mend=f"install {wanted} with venv (for example apt install {wanted}-venv, or uv python install "
        f"{version[0]}.{version[1]}), and put it on the PATH",
    )


def _run(command: Sequence[Path | str]) -> subprocess.CompletedProcess[str]:
    """The command's end and words. What cannot be started ends with 127, as in a shell."""
    try:
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        return subprocess.CompletedProcess(list(map(str, command)), 127, "", str(error))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Only one process at a time is in the block; the lock goes with the process, however it ends."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
