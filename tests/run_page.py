"""The page of one whole run, from the folder that `spikeport run` wrote:

spikeport run fmnist-resnet19 --data fashion-mnist --limit 1000 --target-samples 2 --out build/resnet19
python tests/run_page.py build/resnet19 --write docs/results/fmnist-resnet19.md
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

AGAINST = {
    "graph": "PyTorch",
    "graph_float64": "PyTorch in float64",
    "nir": "the graph",
    "onnx": "the graph",
    "integer": "the graph",
    "lava": "the integers",
}
HEADING = "## One whole run"
NAMES = {"graph_float64": "graph, both in float64", "integer": "8-bit integers", "lava": "Lava"}


def section(folder: Path, name: str) -> str:
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    lines = [
        HEADING,
        "",
        f"Written by `python tests/run_page.py FOLDER --write docs/results/{name}.md` from what",
        f"`spikeport run {name}.safetensors --data fashion-mnist --limit 50 --target-samples 2 --out FOLDER` wrote",
        f"({result['provenance']['processor']}).",
        "",
        f"![Its report]({name}.png)",
        "",
        "| stage | samples | accuracy |",
        "|---|---|---|",
        *(
            f"| {NAMES.get(stage, stage)} | {result['samples'][stage]:,} | {100 * value:.2f}% |"
            for stage, value in result["accuracy"].items()
        ),
        "",
        "| | beside | samples | spikes compared | differ | beyond rounding | same answer |",
        "|---|---|---|---|---|---|---|",
        *map(parity, result["parity"].items()),
        "",
        "`Beyond rounding` counts decisions that float32 cannot explain; of integers those that quantisation changed.",
        "",
        "| cost model | nJ a sample, nominal (low ... high) |",
        "|---|---|",
        *map(cost, result["energy_joule_per_sample"].items()),
        "",
        f"Modelled, not measured. {result['latency']['sentence']}"
        if result.get("latency")
        else "Modelled, not measured.",
    ]
    if sentence := (result["fit"].get("bounds") or {}).get("sentence"):
        lines += ["", f"On {result['fit'].get('chip', 'Loihi 1')}: {sentence}"]
    return "\n".join([*lines, ""])


def parity(entry: tuple[str, dict]) -> str:
    what, numbers = entry
    beyond, agreed = numbers.get("mismatches_above_rounding"), numbers.get("argmax_agreement")
    cells = [NAMES.get(what, what), AGAINST.get(what, "")]
    cells += [f"{numbers[key]:,}" for key in ("samples", "spikes_compared", "spike_mismatches")]
    cells += ["" if beyond is None else f"{beyond:,}", "" if agreed is None else f"{100 * agreed:.2f}%"]
    return f"| {' | '.join(cells)} |"


def cost(entry: tuple[str, dict]) -> str:
    model, joule = entry
    low, nominal, high = (joule[key] * 1e9 for key in ("low", "nominal", "high"))
    return f"| {model} | {nominal:,.0f} ({low:,.0f} ... {high:,.0f}) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, required=True)
    args = parser.parse_args()
    before = args.write.read_text(encoding="utf-8").partition(HEADING)[0]
    args.write.write_text(before + section(args.folder, args.write.stem), encoding="utf-8")


if __name__ == "__main__":
    main()
