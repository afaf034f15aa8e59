"""What torch's exporters write of spiking modules: opened and equal to onnxruntime, or refused and why.

    python tests/onnx_files.py --write docs/results/onnx-files.md

Each module is exported by tracing and by torch.export, with the size of its batch written into the file and left open.
A file that is opened is right where the engine's outputs are onnxruntime's on samples of several sizes. Exit status 1
for outputs that differ, and for a crash.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from onnxruntime import InferenceSession
from torch import nn

from exported import export
from exported_modules import CASES, Case, T, snntorch, spikingjelly
from scripted_modules import SCRIPTED
from spikeport.engine import simulate
from spikeport.files import write_text
from spikeport.findings import SpikeportError
from spikeport.graph import ALIF, LIF, CubaLIF, Peak, Readout
from spikeport.training.shipped import load as shipped
from spikeport.verbs.load import load_model

PACKAGES = ("torch", "onnx", "onnxruntime", "onnxscript", "snntorch", "spikingjelly", "norse", "sinabs")
KINDS = {  # how it is exported: by torch.export, with an open batch
    "traced": (False, False),
    "traced, open batch": (False, True),
    "torch.export": (True, False),
    "torch.export, open batch": (True, True),
}
SCALES = (0.5, 1.0, 2.0, 4.0, 8.0)


def tutorial():
    """The convolutional network of snnTorch's tutorials: spikes and membranes of the last layer over time."""
    import snntorch as snn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2, self.fc = nn.Conv2d(1, 12, 5), nn.Conv2d(12, 24, 5), nn.Linear(24 * 16, 10)
            self.lif1, self.lif2, self.lif3 = (snn.Leaky(beta=0.9) for _ in range(3))

        def forward(self, x):
            a, b, c = (lif.init_leaky() for lif in (self.lif1, self.lif2, self.lif3))
            trains, membranes = [], []
            for _ in range(T):
                z, a = self.lif1(nn.functional.max_pool2d(self.conv1(x), 2), a)
                z, b = self.lif2(nn.functional.max_pool2d(self.conv2(z), 2), b)
                z, c = self.lif3(self.fc(z.flatten(1)), c)
                trains.append(z)
                membranes.append(c)
            return torch.stack(trains), torch.stack(membranes)

    return Net()


def published(kind):
    """A published network of SpikingJelly, the image at each step."""
    from spikingjelly.activation_based import functional, neuron, surrogate
    from spikingjelly.activation_based.model import parametric_lif_net, sew_resnet, spiking_resnet

    options = {"surrogate_function": surrogate.ATan(), "detach_reset": True}
    net = {
        "sew_resnet18": lambda: sew_resnet.sew_resnet18(
            spiking_neuron=neuron.IFNode, cnf="ADD", num_classes=10, **options
        ),
        "spiking_resnet18": lambda: spiking_resnet.spiking_resnet18(
            spiking_neuron=neuron.LIFNode, num_classes=10, **options
        ),
        "CIFAR10Net": lambda: parametric_lif_net.CIFAR10Net(8, spiking_neuron=neuron.ParametricLIFNode, **options),
    }[kind]()
    functional.set_step_mode(net, "m")

    class Image(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            functional.reset_net(self.net)
            return self.net(x.unsqueeze(0).expand(4, -1, -1, -1, -1)).mean(0)

    return Image()


def sinabs():
    """Time folded into the batch, as Sinabs' squeezing layers take it."""
    import sinabs.layers as sl

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.iaf = nn.Conv2d(1, 4, 3), sl.IAFSqueeze(batch_size=1)
            self.fc, self.lif = nn.Linear(64, 3), sl.LIFSqueeze(tau_mem=10.0, batch_size=1)

        def forward(self, x):
            self.iaf.reset_states()
            self.lif.reset_states()
            return self.lif(self.fc(self.iaf(self.conv(x)).flatten(1)))

    return Net()


def scripted(build):
    """A module whose loop over time torch.jit.script keeps as one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that it wants to give torch.jit.script up
        return torch.jit.script(build().eval())


def leaky(**options):
    return Case(lambda: snntorch("Leaky", "init_leaky", **options), (1, 12), 0, {})


MORE = {
    "snntorch Leaky, no reset": leaky(beta=0.8, reset_mechanism="none"),
    "snntorch Leaky, learned": leaky(beta=0.8, threshold=0.7, learn_beta=True, learn_threshold=True),
    "snntorch Lapicque": Case(lambda: snntorch("Lapicque", "init_lapicque", beta=0.8), (1, 12), 0, {}),
    "snntorch RLeaky": Case(
        lambda: snntorch("RLeaky", "init_rleaky", beta=0.8, all_to_all=False, V=0.5), (1, 12), 0, {}
    ),
    "snntorch Alpha": Case(lambda: snntorch("Alpha", "init_alpha", alpha=0.9, beta=0.8), (1, 12), 0, {}),
    "snntorch, convolutions of the tutorials": Case(tutorial, (1, 1, 28, 28), 0, {}),
    "spikingjelly LIFNode, IFNode, steps": Case(lambda: spikingjelly("s"), (1, 2, 6, 6), 0, {}),
    "spikingjelly LIFNode, IFNode, all steps": Case(lambda: spikingjelly("m"), (T, 1, 2, 6, 6), 1, {}),
    "spikingjelly sew_resnet18": Case(lambda: published("sew_resnet18"), (1, 3, 32, 32), 0, {}),
    "spikingjelly spiking_resnet18": Case(lambda: published("spiking_resnet18"), (1, 3, 32, 32), 0, {}),
    "spikingjelly CIFAR10Net": Case(lambda: published("CIFAR10Net"), (1, 3, 32, 32), 0, {}),
    "sinabs IAFSqueeze, LIFSqueeze": Case(sinabs, (T, 1, 6, 6), 0, {}),
    **{
        f"torch.jit.script, {name}": Case(partial(scripted, build), shape, axis, {})
        for name, (build, shape, axis) in SCRIPTED.items()
    },
    "spikeport digits-conv": Case(lambda: shipped("digits-conv")[0], (1, 1, 8, 8), 0, {}),
}


def tried(case, *, newer, open_batch):
    """What one file is: "right", "wrong", "refused" or "not exported", and the layers, the spikes or the reason."""
    torch.manual_seed(3)
    shape = case.input_of(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            export(case.build(), torch.randn(shape), path, newer=newer, open_axis=case.axis if open_batch else None)
        except Exception as error:  # whatever an exporter raises
            return "not exported", type(error).__name__
        try:
            model = load_model(path)
        except SpikeportError as error:
            return "refused", f"{error.code}, {error.findings[0].what}"
        worst, fired = beside(model.graph, path, shape)
    layers = [n for n in model.graph.nodes.values() if isinstance(n, LIF | CubaLIF | ALIF) and not isinstance(n, Peak)]
    figures = f"{len(layers)} layer{'s' if len(layers) > 1 else ''}, {fired:,} spikes"
    return ("right", figures) if worst < 1e-4 and fired else ("wrong", f"{figures}, differs by {worst:.2g}")


def beside(graph, path, shape):
    """The largest difference of outputs to onnxruntime's, and the spikes of the engine's runs."""
    session, random = InferenceSession(path), np.random.default_rng(0)
    time_axis = graph.provenance.get("time_axis", 0) if graph.provenance["forward"] == "sequence" else None
    worst, fired = 0.0, 0
    for scale in SCALES:
        x = (random.standard_normal(shape) * scale).astype(np.float32)
        theirs = session.run(None, {session.get_inputs()[0].name: x})[0]
        ours = simulate(graph, x if time_axis is None else np.ascontiguousarray(np.moveaxis(x, time_axis, 0)))
        if theirs.ndim == ours.outputs.ndim + 1:  # steps, which the graph counts or weighs
            node = graph.nodes[graph.output]
            theirs = np.tensordot(node.weight if isinstance(node, Readout) else np.ones(len(theirs)), theirs, axes=1)
        worst = max(worst, float(np.abs(ours.outputs - theirs).max()))
        fired += sum(int(count.sum()) for count in ours.spike_counts.values())
    return worst, fired


def page(rows):
    counts = {kind: sum(outcome == kind for _, cells in rows for outcome, _ in cells) for kind in OUTCOMES}
    total = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# ONNX files of torch's exporters",
        "",
        "`python tests/onnx_files.py --write docs/results/onnx-files.md`, with",
        f"{versions}:",
        f"{len(rows)} modules, each exported four ways: {total}.",
        "",
        "Right: on samples of five sizes the engine's outputs are onnxruntime's, within 1e-4, and neurons fire; every",
        "file that is opened was proved in float64 before. What is not exported an exporter itself refuses: neurons of",
        "SpikingJelly and of our training are operators of their own to the older one, and the newer one takes none of",
        "torch.jit.script, whose files hold a Loop. A maximum of spikes is a layer.",
        "",
        f"| module | {' | '.join(KINDS)} | |",
        "|---|---|---|---|---|---|",
    ]
    for name, cells in rows:
        why = dict.fromkeys(reason for outcome, reason in cells if outcome != "not exported")
        lines.append(f"| {name} | {' | '.join(outcome for outcome, _ in cells)} | {'; '.join(why)} |")
    return "\n".join([*lines, ""])


OUTCOMES = ("right", "refused", "not exported", "wrong")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    for name in ("_meta_registrations", "_autograd_registrations"):  # a torchvision for CUDA, on a machine without
        sys.modules[f"torchvision.{name}"] = ModuleType(name)
    rows = []
    for name, case in {**CASES, **MORE}.items():
        if options.only in name:
            rows.append((name, [tried(case, newer=newer, open_batch=free) for newer, free in KINDS.values()]))
            print(name, *rows[-1][1], sep="\n    ", flush=True)
    if options.write:
        write_text(options.write, page(rows))
    sys.exit(any(outcome == "wrong" for _, cells in rows for outcome, _ in cells))


if __name__ == "__main__":
    main()
