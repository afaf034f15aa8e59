"""Writes build/bench.json as tables: ``python tests/bench_table.py > docs/results/engine-speed.md``,
``python tests/bench_table.py formats > docs/results/formats.md`` and
``python tests/bench_table.py training > docs/results/training-speed.md``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ENGINE = """# The engine's speed

Written by `python tests/bench_table.py` from the figures of `make bench`. Medians of runs that take turns; a ratio
above 1 means that the engine is faster than what it is compared with. "Floor" is the least that the work must take: the
exact products alone, and one pass over the bytes of the neurons; its ratio is the floor's time over the engine's.
"Memory" is the most that the process held; its ratio is over the limit asked. Rows "itself without event counts" have
the seconds and samples of the run that counts events.

| network | against | ratio | engine, s | samples/s | memory, GB |
|---|---|---|---|---|---|
"""
FORMATS = """# Writing and reading files

Written by `python tests/bench_table.py formats` from the figures of
`pytest tests/benchmarks/test_formats.py -m bench -s`. ResNet-19 has 12.7 million parameters, 51 MB of float32; memory
and file size are multiples of that. Each call runs five times, each in a process of its own: seconds are the fastest
and the slowest, memory is the largest. "Memory" is the peak of resident memory over that of a process that has imported
everything and has no network yet, so that the network counts; "extra" leaves out what was there before the call
(`tests/benchmarks/formats_child.py`). Asked: writing within 5 s, reading within 3 s, memory below 4, files within 1.1.

| | s, fastest | s, slowest | memory | extra | file |
|---|---|---|---|---|---|
"""
TRAINING = """# The speed of a training step

Written by `python tests/bench_table.py training` from the figures of
`pytest tests/benchmarks/test_train_step.py -m bench -s`. One step (forward, backward, SGD) of DS-ATGO on a batch of 8:
ResNet-19 on 3x32x32, T = 2; VGGSNN on 2x48x48, T = 10; digits-conv, of 16 and 32 channels, on 8x8, T = 4, batch 64,
where more than 1.5 is asked. Each run is a process of its own, which takes turns with the
others; seconds are the fastest of its steps, memory is the peak of resident memory of the whole process. A ratio above
1 means that spikeport is faster. Asked: 1.3 in float32; 2.5 in bf16, on a processor with bf16 matrix instructions
("amx" below); memory not above that of the plain implementation; accuracy in bf16 inside the seeds' spread.

- "Plain" is the same network in torch's own layers, its neurons step by step in autograd's operations, indexing `x[t]`,
  float32, time folded into the batch for convolutions. "Unbind" takes the steps apart once, so that their gradients do
  not cost T * T. The tests show that logits and gradients are the same.
- "Torch's convolutions alone" is what they take, forward and backward, on the same inputs, once, in the same precision:
  the floor, since spikeport uses them.

On a virtual machine whose cores are shared, runs differ by a tenth.

| step | against | ratio | spikeport, s | other, s | memory, MB | other, MB |
|---|---|---|---|---|---|---|
"""
WENT = """
## VGGSNN in processor time

What a step takes of one thread, whatever else the machine does: `OMP_NUM_THREADS=1 python
tests/benchmarks/train_child.py vggsnn VARIANT`, "processor" in what it prints, the better of two runs in turn
(AVX-512, float32, batch 8).

| plain step-by-step PyTorch, s | steps taken apart with unbind, s | spikeport, s | ratios |
|---|---|---|---|
| 11.70 | 10.00 | 8.00 | 1.46, 1.25 |

## Winograd's convolutions went

Until 0.2 wide 3x3 convolutions in float32 were Winograd's F(2x2, 3x3) where the CPU has AVX-512. They are gone: they
took one convolution of the nine in the shipped recipes, worked by raw addresses, where a wrong index overwrites memory,
and bf16 is the fast way on a CPU. Seconds a step, batch 8, each run a process of its own.

Two cores of an AMD EPYC with AVX2, the best of three runs in turn. There 0.1 did not take Winograd's convolutions by
itself; for this measurement they were forced.

| network | plain step-by-step PyTorch | float32 with Winograd | float32 without |
|---|---|---|---|
| resnet19 | 1.624 | 1.721 (1.721, 1.956, 1.751) | 1.468 (1.468, 1.510, 1.505) |
| vggsnn | 5.837 (5.837, 6.593, 6.383) | 4.811 (4.811, 7.901, 5.714) | 4.154 (4.210, 4.154, 4.252) |

A processor with AVX-512 and bf16 instructions, measured before the decision:

| network | bf16 | float32 with Winograd | float32 without | plain step-by-step PyTorch | SpikingJelly |
|---|---|---|---|---|---|
| resnet19 | 0.37 | 0.46 | 0.62 | 0.75 | 0.60 |
| vggsnn | 0.83 | 0.97 | 1.5 | 3.2 | 1.9 |

`precision = "auto"` in a recipe takes bf16 where the processor has it ([how to](../howto/train.md)).
"""


def training(e):
    """A row: a step, or what short trainings reach."""
    if "accuracy" in e:
        reached = "; ".join(f"{name} {', '.join(f'{a:.2%}' for a in shares)}" for name, shares in e["accuracy"].items())
        return f"| {e['name']} | {e['against']}: {reached} | {e['ratio']:.3f} | | | | |"
    memory = " | ".join(f"{e[key] / 1e6:.0f}" for key in ("peak_bytes", "peak_bytes_against"))
    return (
        f"| {e['name']} | {e['against']} | {e['ratio']:.2f} | {e['seconds']:.3f} | {e['seconds_against']:.3f} "
        f"| {memory} |"
    )


def engine(e):
    """A row: how fast the engine is."""
    speed = e["batch"] / e["seconds"] if "batch" in e else e.get("samples_per_second")
    speed = "" if speed is None else f"{speed:.4g}"
    memory = f"{e['bytes'] / 1e9:.2f}" if "bytes" in e else ""
    return f"| {e['name']} | {e['against']} | {e['ratio']:.2f} | {e['seconds']:.4g} | {speed} | {memory} |"


def formats(e):
    """A row: what a file takes."""
    sizes = " | ".join(f"{e[key]:.2f}" for key in ("memory", "extra"))
    return f"| {e['name']} | {e['seconds']:.2f} | {e['slowest']:.2f} | {sizes} | {e['file']:.3f} |"


TABLES = {"engine": (ENGINE, engine, ""), "formats": (FORMATS, formats, ""), "training": (TRAINING, training, WENT)}


def main(table="engine"):
    """Print one table of what the benchmarks recorded."""
    head, row, tail = TABLES[table]
    every = json.loads(Path("build/bench.json").read_text())
    entries = [e for e in every if "machine" in e and e.get("table", "engine") == table]
    print(head, end="")
    for e in entries:
        print(row(e))
    print("\nMeasured with:\n")
    for machine in {json.dumps(e["machine"], sort_keys=True) for e in entries}:
        print(f"- `{machine}`")
    print(tail, end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
