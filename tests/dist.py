"""The distribution as a user gets it: wheel and sdist, each installed away from the checkout and tried.

    python tests/dist.py

Builds both into dist/, makes a clean environment in build/dist-env with the pinned versions, installs the wheel there
with Lava as README says, and runs README's Python example from it in a temporary folder. Then the same for the sdist as
far as the import. Every file of the packages that git knows must have come along.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "dist-env"
PYTHON = PLACE / "bin" / "python"
SOURCES = ("toolchain", "targets", "models")
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMPORTS = "import spikeport, spikeport_targets, spikeport_models; print(spikeport.__file__, spikeport.__version__)"


def call(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command, all that it builds pinned too. Returns what it printed; ends this script where it fails."""
    environment = {**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


def build() -> tuple[Path, Path]:
    """The wheel and the sdist; the wheel is built from the sdist, so that both have the same files."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    call(sys.executable, "-m", "build", "--outdir", ROOT / "dist")
    (wheel,), (sdist,) = (ROOT / "dist").glob("*.whl"), (ROOT / "dist").glob("*.tar.gz")
    return wheel, sdist


def install(*what: str | Path) -> None:
    """Install into the clean environment."""
    call(PYTHON, "-m", "pip", "install", "--quiet", *what)


def check_files(site: Path) -> None:
    """Every file of the three packages that git knows is installed, with the same bytes."""
    listed = call("git", "ls-files", *SOURCES).splitlines()
    paths = [Path(line) for line in listed if (ROOT / line).exists()]
    lost = [str(path) for path in paths if not same(ROOT / path, site.joinpath(*path.parts[1:]))]
    if lost or not paths:
        sys.exit(f"missing or different where it is installed: {', '.join(lost) or 'everything'}")
    print(f"{len(paths)} files in {site}", flush=True)


def same(source: Path, installed: Path) -> bool:
    """Whether a file has come along to the byte."""
    return installed.is_file() and installed.read_bytes() == source.read_bytes()


def check_import(folder: Path) -> None:
    """Import the packages from a folder that holds nothing, and look at what came along."""
    path, version = call(PYTHON, "-c", IMPORTS, cwd=folder).split()
    if not Path(path).is_relative_to(PLACE):
        sys.exit(f"spikeport {version} was imported from {path}, not from {PLACE}")
    check_files(Path(path).parents[1])


def main() -> None:
    """Build, install, try."""
    wheel, sdist = build()
    call(sys.executable, "-m", "venv", "--clear", PLACE)
    install(f"{wheel}[lava]")
    install("--no-deps", "--ignore-requires-python", "lava-nc==0.10.0")
    (example,) = EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_import(folder)
        (folder / "example.py").write_text(example, encoding="utf-8")
        print(call(PYTHON, "example.py", cwd=folder), end="", flush=True)
        install("--no-deps", "--force-reinstall", sdist)
        check_import(folder)
    print(f"{wheel.name} and {sdist.name} are as they should be")


if __name__ == "__main__":
    main()
