"""Number formats by name, or from a user's own TOML file."""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from spikeport import reading
from spikeport.findings import fail
from spikeport.graph import Profile
from spikeport.nearest import choose

#: What the integer arithmetic of the engine and of Lava can hold at all, by field: smallest and largest value.
RANGES: dict[str, tuple[int, int]] = {
    "weight_bits": (1, 8),
    "weight_exponent": (-8, 15),
    "decay_bits": (1, 12),
    "threshold_bits": (1, 17),
    "bias_bits": (1, 24),
    "bias_exponent": (0, 7),
    "state_bits": (8, 24),
    "message_bits": (1, 16),
    "accumulator_bits": (8, 32),
    "fraction_bits": (0, 6),
    "most_spikes": (1, 2**16 - 1),
}
WORDS = {  #: fields that choose
    "accumulator_overflow": ("wrap", "refuse"),
    "weight_shift": ("sum", "each"),
    "neuron": ("loihi", "xylo"),
}


def profile_names() -> tuple[str, ...]:
    """The profiles that come with spikeport."""
    folder = files("spikeport.quantisation") / "profiles"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load_profile(name: str | Path | Profile) -> Profile:
    """A profile by name, or from a TOML file with the fields of `graph.Profile`.

    A file names itself with ``name``; fields that it leaves out are those of `loihi2`. Raises SP423 for an unknown
    name, a file that is no TOML, unknown fields, wrong types, and values that the arithmetic cannot hold.
    """
    if isinstance(name, Profile):
        return name
    path = Path(name)
    if path.suffix == ".toml":
        where, read = str(path), path.read_bytes if path.is_file() else None
        if read is None:
            fail("SP423", "there is no such file", where=where)
        try:
            text = read().decode("utf-8", errors="replace")
        except OSError as error:
            fail("SP423", f"cannot be read ({error.strerror})", where=where)
    else:
        where = f"profile {str(name)!r}"
        if str(name) not in profile_names():
            fail(
                "SP423",
                f"there is no profile {str(name)!r}",
                mend=f"{choose(str(name), profile_names())}, or name a .toml file",
            )
        text = (files("spikeport.quantisation") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    try:
        return _profile(reading.toml_tables(text), where, path.stem)
    except ValueError as error:
        fail("SP423", f"is not TOML ({error})", where=where)


def _profile(values: dict[str, Any], where: str, stem: str) -> Profile:
    known = {field.name for field in fields(Profile)}
    if unknown := sorted(set(values) - known):
        fail("SP423", f"unknown fields: {', '.join(unknown)}", where=where, mend=f"known: {', '.join(sorted(known))}")
    facts: dict[str, Any] = {"name": stem}
    for key, value in values.items():
        facts[key] = _value(key, value, where)
    return Profile(**facts)


def _value(key: str, value: Any, where: str) -> Any:
    if key in ("schedule", "channel_thresholds", "leak"):
        good = isinstance(value, bool)
    elif key in WORDS:
        good = value in WORDS[key]
    elif key == "name":
        good = isinstance(value, str)
    elif key.endswith("exponent"):
        good = isinstance(value, list) and len(value) == 2 and all(_within(key, part) for part in value)
        good = good and value[0] <= value[1]
        value = tuple(value) if good else value
    else:
        good = _within(key, value)
    if not good:
        choices = " or ".join(map(repr, WORDS.get(key, ("true", "false")))).replace(
            "'", "" if key not in WORDS else '"'
        )
        wanted = f"{RANGES[key][0]} ... {RANGES[key][1]}" if key in RANGES else choices
        fail("SP423", f"{key} = {value!r}", where=where, why="the arithmetic cannot hold it.", mend=f"use {wanted}")
    return value


def _within(key: str, value: Any) -> bool:
    low, high = RANGES[key]
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
