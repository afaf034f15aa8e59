"""A folder with all that `measure.py` needs on a machine without network: the code, wheels of peers, Fashion-MNIST.

    python tests/gpu/kit.py /somewhere/kit           beside the repository, never in it
    python tests/gpu/kit.py /somewhere/kit --all     wheels of all that spikeport needs too, but torch and Triton

On the machine with the card, with a torch that has CUDA: ``sh /somewhere/kit/run.sh``, about eight minutes. It writes
gpu.json, card/ (a network and its record, to be committed as tests/gpu/card) and journey/ (the whole run of a network
that is trained there) beside itself; what fails leaves the others be.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = ("spikingjelly",)
THERE = ("torch", "triton", "nvidia-", "cuda-")  #: comes with the card's machine
FILES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
RUN = """#!/bin/sh
# All that is awaited from a card, with the Python that is named, or python3: sh run.sh [PYTHON] [words of measure.py]
# gpu.json: checks and figures. card/: a network and its record, for tests/gpu/card. journey/: the whole run of a
# network that is trained here; its last line compares the exported file, on the CPU, with what the card did.
set -e
here=$(cd "$(dirname "$0")" && pwd)
python=${1:-python3}
[ $# -gt 0 ] && shift
"$python" -m pip install --quiet --no-index --no-deps --target "$here/site" "$here"/wheels/*.whl
export PYTHONPATH="$here/spikeport/toolchain:$here/spikeport/targets:$here/spikeport/models:$here/site"
export SPIKEPORT_DATA="$here/data" TRITON_CACHE_DIR="$here/triton"
cd "$here/spikeport"
device=${SPIKEPORT_DEVICE:-cuda}
status=0
"$python" tests/gpu/measure.py --out "$here/gpu.json" "$@" || status=$?
"$python" tests/gpu/write_record.py --device "$device" --out "$here/card" || status=$?
journey="$here/journey"
"$python" -m spikeport run fmnist-conv --device "$device" --out "$journey" || status=$?
"$python" -m spikeport compare "$journey/model.nir" "$journey/record.npz" --data fashion-mnist --limit 64 \\
    --out "$journey/compared" || status=$?
exit $status
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="wheels of all that spikeport needs, but torch and Triton")
    parser.add_argument("--python", default="3.12", help="of the machine with the card")
    order = parser.parse_args()
    folder = order.folder.resolve()
    if folder.is_relative_to(ROOT):
        print(f"{folder} lies in the repository, where other people's wheels and data have no place")
        return 2
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    code(folder / "spikeport")
    data(folder / "data" / "fashion-mnist")
    wheels(folder / "wheels", sorted(needed("spikeport") | set(PEERS)) if order.all else PEERS, order.python)
    (folder / "run.sh").write_text(RUN, encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.0f} MB; on the machine with the card: sh {folder.name}/run.sh")
    return 0


def code(place):
    """The last commit, with the names of plug-ins that an installation would have."""
    place.mkdir(parents=True, exist_ok=True)
    packed = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", place], input=packed, check=True)
    for found in sorted((ROOT / "toolchain").glob("spikeport*.egg-info")) or sorted(installed()):
        shutil.copytree(found, place / "toolchain" / found.name, dirs_exist_ok=True)


def installed():
    """The folder of facts of the spikeport that runs here: entry points are read from it."""
    from importlib.metadata import distribution

    files = distribution("spikeport").files or ()
    yield from {Path(str(each.locate())).parent for each in files if each.name == "entry_points.txt"}


def data(place):
    """Fashion-MNIST's files, from where they lie here."""
    from spikeport_models.datasets import idx

    place.mkdir(parents=True, exist_ok=True)
    home = next((Path(each) for each in idx.PLACE.fixed if Path(each).is_dir()), None)
    if home is None:
        print(f"no Fashion-MNIST here ({idx.PLACE.get}): the comparison will be left out")
        return
    for path in home.iterdir():
        if path.name in FILES or path.with_suffix(path.suffix + ".gz").name in FILES:
            shutil.copy(path, place)


def wheels(place, names, python):
    """Wheels for the other machine, of the versions that are installed here where they are."""
    for name in names:
        try:
            asked = f"{name}=={version(name)}"
        except PackageNotFoundError:
            asked = name
        words = ["--no-deps", "--only-binary", ":all:", "--python-version", python, "--dest", str(place)]
        for platform in ("manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux_2_27_x86_64"):
            words += ["--platform", platform]
        done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *words, asked], check=False)
        print(f"{asked}: {'there' if done.returncode == 0 else 'no wheel for that Python'}", flush=True)


def needed(name, seen=()):
    """What a distribution needs, and what that needs, of what is installed here."""
    names = set()
    for line in requires(name) or ():
        each = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower()
        if "extra ==" in line or each in seen or each.startswith(THERE):
            continue
        try:
            version(each)
        except PackageNotFoundError:
            continue  # for another system
        names |= {each} | needed(each, {*seen, *names, each})
    return names


if __name__ == "__main__":
    sys.exit(main())
