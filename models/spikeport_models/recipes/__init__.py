"""Shipped recipes, one TOML file a model."""

from __future__ import annotations

from pathlib import Path

from spikeport.findings import fail

FOLDER = Path(__file__).parent
SHORT = {"digits": "digits-conv"}  #: other names of recipes


def names() -> list[str]:
    """The shipped recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(recipe: str | Path) -> Path:
    """The file of a recipe: a shipped one by name, or any TOML file. Raises SP311 with the names there are."""
    name = SHORT.get(str(recipe), str(recipe))
    shipped = FOLDER / f"{name}.toml"
    if shipped.is_file():
        return shipped
    path = Path(recipe)
    if path.suffix == ".toml":
        return path
    fail("SP311", f"there is no recipe {str(recipe)!r}", mend=f"shipped recipes: {', '.join(names())}, or a .toml file")
