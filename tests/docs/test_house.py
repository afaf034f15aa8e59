"""What stands around the code is true: the map of the house, ranges of codes, changelog, citation, lint and CI."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from spikeport.catalogue import pages

ROOT = Path(__file__).resolve().parents[2]
HOMES = (ROOT, ROOT / "toolchain" / "spikeport")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FRAGMENTS = sorted(path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_path_that_contributing_names_exists():
    paths = re.findall(r"`([\w./-]*/[\w./-]*|[\w-]+\.(?:py|md|toml))`", text("CONTRIBUTING.md"))
    assert len(paths) > 50
    assert [path for path in paths if not any((home / path).exists() for home in HOMES)] == []


def test_every_file_that_the_mutation_run_names_exists():
    rooms = tomllib.loads(text("tests/mutants/plan.toml"))["rooms"]
    assert set(rooms) == {"graph", "engine", "passes", "quantisation", "comparison", "costs", "mapping"}
    for room in rooms.values():
        assert all(list((ROOT / "tests").glob(pattern)) for pattern in room["tests"])
        assert all(list((ROOT / "toolchain" / "spikeport").glob(pattern)) for pattern in room["files"])


def code_ranges():
    """(first, last, subject) of each range in the table of CONTRIBUTING.md, in the order of their numbers."""
    rows = re.findall(r"^\| (.+) \| (SP\d{3}-SP.+) \|$", text("CONTRIBUTING.md"), re.MULTILINE)
    spans = [(span, subject) for subject, cell in rows for span in cell.split(", ")]
    return sorted((*map(int, re.fullmatch(r"SP(\d{3})-SP(\d{3})", span).groups()), subject) for span, subject in spans)


def test_the_ranges_of_codes_do_not_overlap():
    ranges = code_ranges()
    assert len(ranges) > 20
    assert all(first <= last for first, last, _ in ranges)
    assert [(a, b) for a, b in pairwise(ranges) if a[1] >= b[0]] == []


def test_every_code_lies_in_a_range():
    ranges = code_ranges()
    numbers = {int(code.removeprefix("SP")) for code in pages()}
    assert {number for number in numbers if not any(first <= number <= last for first, last, _ in ranges)} == set()


def test_fragments_have_a_subject_and_a_category():
    categories = {entry["directory"] for entry in PROJECT["tool"]["towncrier"]["type"]}
    assert set(re.findall(r"^\| `(\w+)` \|", text("changelog.d/README.md"), re.MULTILINE)) == categories
    form = re.compile(rf"\+[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(categories)})\.md")
    assert [path.name for path in FRAGMENTS if not form.fullmatch(path.name)] == []


def test_towncrier_takes_every_fragment():
    towncrier = Path(sys.executable).with_name("towncrier")  # of the dev extra, as pytest is
    command = [str(towncrier), "build", "--draft", "--version", "1"]
    draft = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lost = [path.name for path in FRAGMENTS if path.read_text("utf-8").splitlines()[0] not in draft]
    assert lost == []


def stands(name):
    """Whether a dotted name is a package, a module, or something in one."""
    room, _, member = name.rpartition(".")
    try:
        return bool(find_spec(name)) or hasattr(import_module(room), member)
    except ModuleNotFoundError:  # the room is none, or a module that holds no others
        return room in sys.modules and hasattr(sys.modules[room], member)


@pytest.mark.parametrize("path", [path for path in FRAGMENTS if ".moved." in path.name], ids=lambda path: path.name)
def test_what_moved_is_where_its_fragment_says(path):
    """Names without a root are modules of the formats; ``old.*`` may be the name of a verb by now."""
    moves = re.findall(r"`([\w.*]+)`[^`>]*-> `([\w.*]+)`", path.read_text("utf-8"))
    assert moves
    for old, new in moves:
        new = new.removesuffix(".*")
        assert stands(new if new.startswith("spikeport") else f"spikeport.formats.{new}"), new
        assert old.endswith("*") or "." not in old or old == "spikeport.targets" or not stands(old), old


def test_the_citation_file_is_valid():
    """What the schema of CFF 1.2.0 requires of a file and of each reference, and what says the same elsewhere."""
    cff = yaml.safe_load(text("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(cff)
    assert (cff["cff-version"], cff["type"], cff["title"]) == ("1.2.0", "software", PROJECT["project"]["name"])
    assert cff["authors"] == [{"name": "The spikeport authors"}]
    assert cff["license"] == PROJECT["project"]["license"]
    assert cff["version"] == PROJECT["project"]["version"] == version("spikeport")
    for reference in cff["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert all(
            "name" in author or {"family-names", "given-names"} <= set(author) for author in reference["authors"]
        )
        assert all(entry["type"] in ("doi", "url", "swh", "other") for entry in reference["identifiers"])
        assert reference["url"].startswith("https://arxiv.org/abs/")
    assert [(reference["year"], reference["url"][-10:]) for reference in cff["references"]] == [
        (2025, "2505.11863"),
        (2026, "2511.13050"),
    ]


def test_the_hook_runs_what_lint_runs():
    (repository,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    (hook,) = repository["hooks"]
    assert (repository["repo"], hook["entry"], hook["language"]) == ("local", "make lint", "system")


def test_ci_runs_on_every_python_that_the_package_allows():
    suite = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]["suite"]
    assert suite["steps"][-1]["run"] == ".ci/run"
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert suite["strategy"]["matrix"]["python"] == classifiers
    assert [entry["python"] for entry in suite["strategy"]["matrix"]["include"]] == ["3.14"]
