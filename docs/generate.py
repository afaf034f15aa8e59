"""Writes the sources of the site: the pages of this folder, and those that are made from data.

    python docs/generate.py build/docs --run

Generated: a page an error code (from the catalogue), cost models, chips and what every figure means (from the files
that the program reads), commands and Python's names (from their signatures), CONTRIBUTING.md and the notebooks as
pages: with --run they are run, and show what came of it.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import notebook
import reference

from spikeport.catalogue import Page, pages
from spikeport.costs.pages import definitions_page, models_page
from spikeport.mapping.pages import chips_page

HERE = Path(__file__).resolve().parent
SNIPPET = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)


def generate(out: Path, run: bool = False) -> Path:
    """Write ``out/pages`` and ``out/zensical.toml``; what was there goes."""
    target = out / "pages"
    shutil.rmtree(target, ignore_errors=True)
    for source in sorted(HERE.rglob("*.md")):
        write(target / source.relative_to(HERE), SNIPPET.sub(snippet, source.read_text(encoding="utf-8")))
    for image in sorted(HERE.rglob("*.png")):
        place = target / image.relative_to(HERE)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, place)
    for path in sorted((HERE / "notebooks").glob("*.ipynb")):
        write(target / "notebooks" / f"{path.stem}.md", notebook.page(path, run))
    write(target / "contributing.md", (HERE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    write(target / "codes.md", codes_page(pages()))
    for page in pages().values():
        write(target / "codes" / f"{page.code}.md", code_page(page))
    write(target / "commands.md", reference.commands_page())
    write(target / "api.md", reference.api_page())
    write(target / "cost-models.md", models_page())
    write(target / "cost-figures.md", definitions_page())
    write(target / "chips.md", chips_page())
    shutil.copyfile(HERE / "zensical.toml", out / "zensical.toml")
    return target


def snippet(match: re.Match[str]) -> str:
    """A file of this folder as a code block."""
    return f"```python\n{(HERE / match[1]).read_text(encoding='utf-8').rstrip()}\n```"


def code_page(page: Page) -> str:
    """The page of one error code."""
    return f"# {page.code}: {page.title}\n\n{page.why}\n\n**What to do.** {page.mend}\n\n[All codes](../codes.md)\n"


def codes_page(catalogue: dict[str, Page]) -> str:
    """The list of all codes."""
    rows = "\n".join(f"| [{page.code}](codes/{page.code}.md) | {page.title} |" for page in catalogue.values())
    head = "Every message carries a code that stays the same for ever. `spikeport explain CODE` prints its page."
    return f"# Error codes\n\n{head}\n\n| code | what |\n|---|---|\n{rows}\n"


def write(path: Path, text: str) -> None:
    """Write a page, its folder made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    print(generate(Path(sys.argv[1]), "--run" in sys.argv))
