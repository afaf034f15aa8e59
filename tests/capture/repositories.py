"""Networks of published repositories, from clones of these: captured and proved, or refused, and why.

python tests/capture/repositories.py FOLDER --write     FOLDER: clones, each by its name

Each repository of repositories.toml runs in a process of its own, on a copy: their modules have the same names.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import types
import warnings
from pathlib import Path
from unittest.mock import MagicMock

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs/results/repositories.md"
HEAD = """# Published repositories, as they stand

Written by `python tests/capture/repositories.py FOLDER --write`, FOLDER holding clones of the repositories: their own
files, at the commit that is named, captured with the proof in float64, every spike the same. What a user has to change,
because no graph holds it or because it needs a card, stands beside it; weights are drawn unless said.

| repository | network | nodes, or why not | s |
|---|---|---|---|
"""


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Packages that are imported and not used: whatever is asked of them is there, and does nothing."""

    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path, target=None):
        if any(name == each or name.startswith(f"{each}.") for each in self.names):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: MagicMock(name=name)
        module.__path__, module.__all__ = [], []
        return module

    def exec_module(self, module):
        pass


def entries():
    """The table."""
    return tomllib.loads((HERE / "repositories.toml").read_text())["repository"]


def prepared(entry, folder, copy):
    """A copy of a repository at its commit, with the edits, from where its files import each other."""
    source = folder / entry["name"].rpartition("/")[2]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=source, capture_output=True, text=True, check=True).stdout
    assert head.startswith(entry["commit"]), f"{source} is at {head.strip()}"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".git"))
    for file, old, new, _ in entry.get("edits", ()):
        text = (copy / file).read_text()
        assert old in text, f"{file} has no {old}"
        (copy / file).write_text(text.replace(old, new))
    others = [folder / name.rpartition("/")[2] for name in entry.get("with", ())]
    sys.path[:0] = [str(copy), *(str(copy / path) for path in entry.get("paths", ())), *map(str, others)]
    sys.meta_path.insert(0, Absent(entry.get("absent", ())))
    for name in entry.get("bare", ()):  # packages whose own __init__ imports everything
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(copy / name.replace(".", "/"))]


def one(name, folder):
    """Print what came of each network of a repository, a line each."""
    import torch

    from spikeport.findings import SpikeportError
    from spikeport.tracing import capture

    (entry,) = (each for each in entries() if each["name"] == name)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "copy"
        prepared(entry, folder, root)
        names = {"root": root, "torch": torch}
        for network in entry["network"]:
            torch.manual_seed(0)
            begun, nodes = time.perf_counter(), []
            try:
                exec(network["build"], names)  # the code stands in our own file
                for net in names["nets"]:
                    nodes.append(str(len(capture(net.eval(), network["shape"], **network.get("options", {})).nodes)))
                what = f"{', '.join(nodes)} nodes"
            except SpikeportError as error:
                what = f"{error.code}: {error.findings[0].what}"
            print(json.dumps([network["name"], what, round(time.perf_counter() - begun, 1)]), flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--one")
    options.add_argument("--write", action="store_true")
    order = options.parse_args()
    if order.one:
        one(order.one, order.folder.resolve())
        return
    lines = []
    for entry in entries():
        command = [sys.executable, __file__, str(order.folder), "--one", entry["name"]]
        run = subprocess.run(command, capture_output=True, text=True)
        rows = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("[")]
        if run.returncode or not rows:
            rows.append(["", f"not run: {(run.stderr.strip().splitlines() or ['nothing said'])[-1][:120]}", ""])
        changed = "; ".join(why for *_, why in entry.get("edits", ()))
        where = f"{entry['name']} at `{entry['commit']}`" + (f" ({changed})" if changed else "")
        lines += [f"| {where} | {name} | {what} | {seconds} |" for name, what, seconds in rows]
        print("\n".join(lines[-len(rows) :]), flush=True)
    if order.write:
        PAGE.write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
