"""Compiles the kernels for NVIDIA's cards on a machine without one, as launches of whole networks ask for them.

    python tests/gpu/compile_all.py                   for compute capability 9.0; minutes
    python tests/gpu/compile_all.py 80 --only layers  of networks, layers, real, random, training; may be repeated
    python tests/gpu/compile_all.py --few             one tile of a few forms
    python tests/gpu/compile_all.py --share 3 16      every sixteenth form, as one of as many processes

Networks are those that `measure.py` times, in their sizes, with everything that it asks for; layers lie in every way;
random networks have every node. A line a form: registers, shared memory and what a thread spills. What a card would
refuse fails, and so does code without what makes it fast (`demands`). `compiled` says how.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
os.environ["SPIKEPORT_KERNELS"] = "triton"

from compiled import compiling  # noqa: E402
from works import cases  # noqa: E402

import bench_networks as networks  # noqa: E402
from card_layers import LAYERS, layer  # noqa: E402
from random_graphs import Wish, draw  # noqa: E402
from spikeport.engine.batch import Run  # noqa: E402
from spikeport.engine.build import build  # noqa: E402
from spikeport.engine.cuda import tiles  # noqa: E402
from spikeport.engine.enter import Frames  # noqa: E402
from spikeport.engine.readout import Results  # noqa: E402
from spikeport.graph import LIF, Graph, Input, Range, Real  # noqa: E402
from spikeport.target import Request  # noqa: E402
from spikeport.training import PLIF, DsAtgo, Fixed, TdBatchNorm  # noqa: E402

PARTS = ("networks", "layers", "real", "random", "training")
PLAIN, EVENTS, ALL = Request(), Request(events=True), Request(trains=True, membranes=True, events=True)
SPILLED = 1024  #: bytes a thread: what the largest tiles lay aside once a step while they multiply


def launch(graph, batch, request, most=None):
    """Launch a batch; nothing runs."""
    node, dtype = graph.entry, torch.uint8 if graph.entry.high < np.inf else torch.float32
    lead = (graph.timesteps, batch) if node.coding == "events" else (1, batch)
    frames = Frames(torch.empty((*lead, *node.shape), device="meta", dtype=dtype), node.coding)
    entering = None if isinstance(graph.arithmetic, Real) else Range(int(node.low), int(node.high))
    with torch.inference_mode():
        program = build(graph, "meta", "triton", entering)
        Run(program, request, Results(program.outs, {})).launch(frames, most or graph.timesteps)


def of_networks(few):
    """Those that are measured: checked, in batches, counted, one by one."""
    with mock.patch.object(networks, "calibrated", lambda graph: graph):  # thresholds are no constants of a kernel
        for make, batch in list(cases(False).values())[: 1 if few else None]:
            graph, wishes = make(), ((batch, EVENTS), (batch, PLAIN), (3, ALL), (1, ALL), (1, PLAIN))
            for size, request in wishes[: 1 if few else None]:
                launch(graph, size, request)


def of_layers(few):
    """Integers in every way to lie on tensor cores; each reset; in two blocks of steps."""
    for name in () if few else LAYERS:
        launch(layer(name)[0], 4, ALL, 2)
    for reset in () if few else ("zero", "none"):
        launch(layer("many channels", reset)[0], 4096, PLAIN)


def of_real(few):
    """Real numbers, multiplied in each way."""
    for products in () if few else ("float32", "tf32", "bf16"):
        with mock.patch.dict(os.environ, SPIKEPORT_PRODUCTS=products):
            for name in ("many channels", "few channels", "depthwise", "dense"):
                launch(as_real(name), 64, ALL)


def as_real(name):
    """A layer's synapse in real numbers, and neurons."""
    make, shape, _ = LAYERS[name]
    synapse = make(np.random.default_rng(0))
    synapse = synapse.with_(weight=synapse.weight.astype(np.float32), exponent=0)
    neurons = LIF(synapse.output_shape(shape), np.float32(0.5), np.ones(3, np.float32))
    return Graph.chain({"input": Input(shape, "events"), "synapse": synapse, "lif": neurons}, 3)


def of_random(few):
    """Networks of every node and option."""
    for seed in () if few else range(8):
        launch(draw(np.random.default_rng(seed), Wish("loihi" if seed % 3 else "float32")), 3, ALL, 2)


def of_training(few):
    """Layers of ResNet-19, of VGGSNN, of a long dense layer, forward and backward."""
    maps = [
        (2, 100, 128, 32, 32),
        (2, 100, 256, 16, 16),
        (2, 100, 512, 8, 8),
        (10, 32, 64, 48, 48),
        (10, 32, 512, 6, 6),
    ]
    for shape in maps[: 1 if few else None]:
        train(shape, torch.bfloat16, DsAtgo())
    for method in () if few else (DsAtgo(per_channel=True), Fixed()):
        train(maps[0], torch.bfloat16, method)
        train((500, 16, 512), torch.float32, method)


def train(shape, number, method):
    """One layer, its gradient too; with tdBN if it has maps."""
    channels = shape[2]
    norm = TdBatchNorm(channels, method).to("meta") if len(shape) > 3 else None
    neuron = PLIF(method, shape[0], norm=norm, channels=channels).to("meta")
    x = torch.empty(shape, device="meta", dtype=number)
    if norm is not None:
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).reshape(shape)
    x.requires_grad_()
    spikes = neuron(x) if norm is None else neuron.normalised(x, norm)
    spikes.backward(torch.empty_like(spikes))


def demands(made):
    """What has to stand in the code of a form: of each line one."""
    multiplies = made.name in ("fire", "fire_real", "product") and made.constants["way"] < 2
    if multiplies and made.constants["form"] != 3:  # float32 is multiplied without tensor cores
        yield "wgmma.mma_async mma.sync"
    large = multiplies and made.constants["way"] == 0 and made.tile[0] * made.tile[1] >= 64 * 64
    if large and made.constants["form"] == 0 and made.lined_up:
        yield "cp.async.cg.shared.global"  # 16 bytes a load, while it multiplies
        yield "st.global.v4.b32 st.global.v2.b64"


@contextmanager
def tiles_of_the_card():
    """Within, tiles are those that the card here would try, if there is one."""
    if not torch.cuda.is_available():
        yield
        return
    card = tiles.card_of(torch.device("cuda"))
    with mock.patch.object(tiles, "card_of", return_value=card):
        yield


@contextmanager
def checked(capability, few, share):
    """Within, kernels that are launched are compiled and held to what a card has."""
    forms, begun = [], time.perf_counter()

    def hear(made):
        what = f"{made.name} {made.tile}, {made.warps} warps, {made.stages} stages"
        for choice in demands(made):
            assert any(each in made.text for each in choice.split()), f"{what} lacks {choice}"
        assert not (refusals := list(made.refusals(capability))), f"{what}: {refusals}"
        assert made.spilled <= SPILLED, f"{what} spills {made.spilled} bytes a thread"
        forms.append(made)
        print(f"{what}: {made.registers} registers, {made.spilled} spilled, {made.shared} bytes shared", flush=True)

    with compiling(capability, hear, tiles=1 if few else None, share=share):
        yield
    most = {
        each: max((getattr(made, each) for made in forms), default=0) for each in ("registers", "spilled", "shared")
    }
    print(f"{len(forms)} forms for {capability / 10} compiled in {time.perf_counter() - begun:.0f} s; most: {most}, ok")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("capability", type=int, nargs="?", default=90, help="80, 90, ...")
    parser.add_argument("--only", action="append", default=[], choices=PARTS)
    parser.add_argument("--few", action="store_true", help="one tile of a few forms")
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("I", "N"), help="every Nth form, from I")
    order = parser.parse_args()
    with tiles_of_the_card(), checked(order.capability, order.few, order.share):
        for name in order.only or PARTS:
            globals()[f"of_{name}"](order.few)


if __name__ == "__main__":
    main()
