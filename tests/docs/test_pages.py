"""Every code block of the documentation runs, every notebook too, every name and link in it exists."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from spikeport.terminal.app import build

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
BLOCK = re.compile(r"^(<!-- not executed: [^\n]+ -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path):
    """(language, text) of every block that is not marked with a reason for not being executed."""
    return [(kind, text) for skip, kind, text in BLOCK.findall(path.read_text(encoding="utf-8")) if not skip]


def name(path):
    return str(path.relative_to(DOCS))


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The models of build/demo as `spikeport run digits` leaves them, after one epoch instead of twenty-five."""
    import spikeport

    place = tmp_path_factory.mktemp("demo")
    folder = place / "build" / "demo"
    trained = spikeport.train("digits-conv", out=place / "train", overrides={"epochs": 1}, progress=False)
    folder.mkdir(parents=True)
    shutil.copyfile(trained.checkpoint, folder / "model.safetensors")
    out = folder / "model.int.nir"
    spikeport.quantize(trained.checkpoint, data="digits", calibration=64, steps=("normalise", "ranges"), out=out)
    return place


@pytest.fixture
def place(demo, tmp_path, monkeypatch):
    """A working folder with build/demo in it."""
    shutil.copytree(demo / "build", tmp_path / "build")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(DOCS / "examples"))
    return tmp_path


def lava_is_here():
    from spikeport.target import target

    return target("lava").availability().ready


def run_shell(text):
    for line in filter(None, (line.split("  #")[0].strip() for line in text.splitlines())):
        program, *arguments = shlex.split(line)
        assert program == "spikeport", line
        if "lava" in arguments and not lava_is_here():
            continue
        result = CliRunner().invoke(build(), arguments)
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path)], ids=name)
def test_the_code_of_a_page_runs(path, place):
    space = {"__name__": "page"}
    for kind, text in blocks(path):
        if kind == "bash":
            run_shell(text)
        elif kind == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(text, str(path), "exec", dont_inherit=True), space)
        else:
            assert kind in ("toml", "json", "text", "diff"), f"{path}: who runs {kind}?"


def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_s_python_runs(tmp_path, monkeypatch):
    """As it stands, with one epoch and the quantiser's quick steps: what is tested is that the calls fit together."""
    import spikeport

    monkeypatch.chdir(tmp_path)
    short = functools.partial(spikeport.train, overrides={"epochs": 1}, progress=False)
    quick = functools.partial(spikeport.quantize, calibration=64, steps=("normalise", "ranges"))
    monkeypatch.setattr(spikeport, "train", short, raising=False)
    monkeypatch.setattr(spikeport, "quantize", quick, raising=False)
    (text,) = (text for _, kind, text in BLOCK.findall(readme()) if kind == "python")
    if not lava_is_here():
        text = text.replace('target="lava"', 'target="integer"')
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, "README.md", "exec"), {"__name__": "page"})
    written = {path.name for path in (tmp_path / "build" / "mine").iterdir()}
    assert written >= {"model.nir", "model.onnx", "model.int.nir"}
    first, last = printed.getvalue().splitlines()[0], printed.getvalue().splitlines()[-1]
    assert 0 <= float(first.split()[0]) <= 1
    assert 0 <= float(last) <= 1


def test_the_readme_s_commands_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^ {4}|`)make (\w+)", readme(), re.MULTILINE))
    assert named
    assert named <= targets
    verbs = set(re.findall(r"`spikeport (\w+)`", readme()))
    assert verbs
    for verb in verbs:
        assert CliRunner().invoke(build(), [verb, "--help"]).exit_code == 0, verb


@pytest.mark.parametrize("path", sorted((DOCS / "notebooks").glob("*.ipynb")), ids=name)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "notebook"}
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), str(path), "exec"), space)
    assert sum(cell["cell_type"] == "code" for cell in cells) >= 4


def test_the_tests_that_the_pages_name_exist():
    named = {match for path in PAGES for match in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", path.read_text("utf-8"))}
    assert len(named) > 10
    missing = [
        f"{file}::{test}" for file, test in sorted(named) if f"def {test}(" not in (ROOT / file).read_text("utf-8")
    ]
    assert missing == []


def generated(out):
    command = [sys.executable, str(DOCS / "generate.py"), str(out)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return out / "pages"


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    return generated(tmp_path_factory.mktemp("docs"))


def test_every_link_leads_somewhere(site):
    broken = []
    for path in site.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            if "://" not in link and not (path.parent / link).exists():
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_every_page_is_in_the_navigation(site):
    import tomllib

    project = tomllib.loads((site.parent / "zensical.toml").read_text("utf-8"))["project"]

    def files(entry):
        if isinstance(entry, str):
            return {entry}
        parts = entry.values() if isinstance(entry, dict) else entry
        return set().union(*(files(part) for part in parts))

    there = {str(path.relative_to(site)) for path in site.rglob("*.md") if path.parent.name != "codes"}
    assert files(project["nav"]) == there


def test_every_code_has_a_page(site):
    from spikeport.catalogue import pages

    assert {path.stem for path in (site / "codes").glob("*.md")} == set(pages())


def test_the_reference_has_every_option_and_every_public_name(site):
    import spikeport
    from spikeport.verbs import VERBS

    commands, names = (site / "commands.md").read_text("utf-8"), (site / "api.md").read_text("utf-8")
    group = typer.main.get_command(build())
    for verb in VERBS:
        head, _, text = commands.partition(f"## spikeport {verb.replace('_', '-')}\n")
        assert head.count("\n## ") == list(VERBS).index(verb)
        flags = {flag for each in group.commands[verb.replace("_", "-")].params for flag in each.opts if "--" in flag}
        missing = {flag for flag in flags - {"--help"} if f"`{flag}`" not in text.partition("\n## ")[0]}
        assert missing == set(), verb
    assert set(spikeport._HOMES) == set(re.findall(r"^## (\w+)$", names, re.MULTILINE))


def test_a_notebook_s_page_shows_what_a_cell_printed_and_ended_in(tmp_path):
    cells = ["print('one <b>')\nx = 2", "x + 40", "class A:\n    _repr_html_ = lambda self: '<i>a\\n\\nb</i>'\n\nA()"]
    book = {"cells": [{"cell_type": "code", "source": [cell]} for cell in cells]}
    (tmp_path / "book.ipynb").write_text(json.dumps(book))
    page = runpy.run_path(str(DOCS / "notebook.py"))["page"]
    shown = page(tmp_path / "book.ipynb", True).split("```python\n")
    assert shown[1].endswith("```\n\n```text\none <b>\n```\n\n")
    assert "<pre>42</pre>" in shown[2]
    assert "<i>a b</i>" in shown[3]  # no empty line, which would end a block of HTML
    assert "42" not in page(tmp_path / "book.ipynb", False)


def test_the_cost_page_shows_every_constant_with_its_source(site):
    from spikeport.costs import shipped

    text = (site / "cost-models.md").read_text("utf-8")
    for model in shipped().values():
        assert f"## {model.title}" in text
        assert all(constant.source in text for constant in model.constants.values())


def test_the_worked_example_of_a_target_stays_short():
    assert len((DOCS / "examples" / "numpy_target.py").read_text("utf-8").splitlines()) < 100


def test_the_site_builds_without_warnings(site):
    zensical = Path(sys.executable).with_name("zensical")  # of the dev extra, as pytest is
    command = [str(zensical), "build", "--strict", "--clean", "-f", str(site.parent / "zensical.toml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=site.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "arning" not in result.stdout + result.stderr
    assert (site.parent / "site" / "codes" / "SP113.html").exists()
