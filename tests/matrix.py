"""The equality with Lava on other Pythons and numpys: an environment for each, the tests in it, a line a pair.

    python tests/matrix.py 3.12:2.3.5 3.12:1.26.4 3.13:2.3.5

A Python that is neither on the PATH nor pyenv's is passed over, and says so. Exit status 1 if a pair that could run did
not pass.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "matrix"
TESTS = ("tests/test_tiny.py", "tests/comparison/test_parity.py", "tests/lava/test_equality.py")
LAVA = ("--no-deps", "--ignore-requires-python", "lava-nc==0.10.0")


def python_of(version):
    """The interpreter of a version, on the PATH or one of pyenv's, or None and why not."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    paths = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    why = f"there is no python{version}"
    for each in filter(None, paths):
        asked = subprocess.run(
            [each, "-c", "import sys; print(sys.version.split()[0])"], capture_output=True, text=True
        )
        if asked.returncode == 0:
            return str(each), asked.stdout.strip()
        why = f"{each} does not start ({(asked.stderr.strip().splitlines() or ['no reason given'])[0]})"
    return None, why


def prepare(python, place, numpy):
    """An environment with this numpy, and the other packages as pinned where the pins go with it. Output to a file."""
    if not (place / "bin" / "python").exists():
        subprocess.run([python, "-m", "venv", str(place)], check=True)
    pins = (ROOT / "constraints.txt").read_text()
    constraints = place / "constraints.txt"
    constraints.write_text(pins if f"numpy=={numpy}\n" in pins else f"numpy=={numpy}\ntorch==2.13.0\n")
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    with (place / "pip.txt").open("w") as log:
        for what in (("torch",), ("-e", f"{ROOT}[lava]"), ("pytest", "pytest-timeout", "hypothesis"), LAVA):
            pinned = () if what is LAVA else ("-c", str(constraints))
            subprocess.run([*pip, *pinned, *what], check=True, stdout=log, stderr=log)


def tested(place):
    """The last line of the tests in an environment, and whether they passed."""
    command = [str(place / "bin" / "python"), "-m", "pytest", *TESTS, "-q", "-m", "not slow and not bench"]
    done = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()[-300:]]
    (place / "output.txt").write_text(done.stdout + done.stderr)
    return lines[-1].strip("= "), done.returncode == 0


def main():
    options = argparse.ArgumentParser()
    options.add_argument("pairs", nargs="+", metavar="PYTHON:NUMPY")
    failed = False
    for pair in options.parse_args().pairs:
        version, _, numpy = pair.partition(":")
        python, said = python_of(version)
        if python is None:
            print(f"Python {version}, numpy {numpy}: passed over, {said}", flush=True)
            continue
        place = PLACE / f"python{version}-numpy{numpy}"
        try:
            prepare(python, place, numpy)
        except subprocess.CalledProcessError:
            print(f"Python {said}, numpy {numpy}: the packages do not install (see {place}/pip.txt)", flush=True)
            failed = True
            continue
        line, passed = tested(place)
        failed |= not passed
        print(f"Python {said}, numpy {numpy}: {line}" + ("" if passed else f" (see {place}/output.txt)"), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
