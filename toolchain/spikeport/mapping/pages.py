"""The documentation of chips, generated from the data files that the program reads."""

from __future__ import annotations

from spikeport.costs.pages import table
from spikeport.mapping.chip import Chip, shipped


def chips_page() -> str:
    """All chips: every limit with its source, what is not public, the mesh, and published times."""
    parts = [
        "# Chips\n\nGenerated from the data files that `spikeport fit` reads. A chip of your own is such a file: "
        "`spikeport fit MODEL --chip my.toml`.\n"
    ]
    for name, chip in shipped().items():
        parts.append(f"\n## {chip.title}\n\n`{name}`. {' '.join(chip.about.split())}\n\n{limits(chip)}")
    return "".join(parts)


def limits(chip: Chip) -> str:
    """One chip's tables."""
    rows: list[tuple[object, ...]] = [
        (key, limit.value, limit.unit, limit.source) for key, limit in chip.limits.items()
    ]
    rows += [(key, "not public", "", why) for key, why in chip.unknown.items()]
    mesh = chip.mesh
    rows.append(("mesh", f"{mesh.columns} x {mesh.rows} tiles of {mesh.cores_per_tile} cores", "per chip", mesh.source))
    if chip.compiled is not None:
        bits = chip.compiled.synapse_bits
        rows.append(("synapse_bits", f"{bits.low:g} ... {bits.high:g}", "bit of a matrix's synapse", bits.source))
        rows.append(("layers are cut", "as the compiler does", "", chip.compiled.source))
    text = table(("limit", "value", "unit", "source"), rows)
    for kind, constants in (("time", chip.timing), ("time, fitted to silicon", chip.fitted)):
        times: list[tuple[object, ...]] = [
            (key, f"{c.low:g}", f"{c.value:g}", f"{c.high:g}", c.unit, c.basis, c.source)
            for key, c in constants.items()
        ]
        text += "\n" + table((kind, "low", "nominal", "high", "unit", "basis", "source"), times) if times else ""
    return text
