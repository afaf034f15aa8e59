"""spikeport: from a trained PyTorch spiking network to Loihi arithmetic, with proof that it is still the same network.

The verbs of the command line are functions here: ``spikeport.run``, ``export``, ``quantize``, ``simulate`` and so on,
beside the nouns that they take and give. They are imported when first used, so that ``import spikeport`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikeport.first_use import on_first_use as _on_first_use  # tab completion shows the public names only

if TYPE_CHECKING:
    from spikeport.graph import Graph as Graph
    from spikeport.record import Record as Record
    from spikeport.tracing import capture as capture
    from spikeport.verbs.check import check as check
    from spikeport.verbs.compare import compare as compare
    from spikeport.verbs.doctor import doctor as doctor
    from spikeport.verbs.energy import energy as energy
    from spikeport.verbs.evaluate import evaluate as evaluate
    from spikeport.verbs.events import events as events
    from spikeport.verbs.explain import explain as explain
    from spikeport.verbs.export import export as export
    from spikeport.verbs.fit import fit as fit
    from spikeport.verbs.import_checkpoint import import_checkpoint as import_checkpoint
    from spikeport.verbs.inspect import inspect as inspect
    from spikeport.verbs.load import load_data as load_data
    from spikeport.verbs.load import load_model as load_model
    from spikeport.verbs.plot import plot as plot
    from spikeport.verbs.probe import probe as probe
    from spikeport.verbs.quantize import quantize as quantize
    from spikeport.verbs.report import report as report
    from spikeport.verbs.run import run as run
    from spikeport.verbs.simulate import simulate as simulate
    from spikeport.verbs.sweep import sweep as sweep
    from spikeport.verbs.targets import targets as targets
    from spikeport.verbs.train import train as train

__version__ = "0.2.0.dev0"

_VERBS = (
    "check",
    "compare",
    "doctor",
    "energy",
    "evaluate",
    "events",
    "explain",
    "export",
    "fit",
    "import_checkpoint",
    "inspect",
    "plot",
    "probe",
    "quantize",
    "report",
    "run",
    "simulate",
    "sweep",
    "targets",
    "train",
)
#: where each public name stands
_HOMES = {verb: f"spikeport.verbs.{verb}" for verb in _VERBS} | {
    "Graph": "spikeport.graph",
    "Record": "spikeport.record",
    "capture": "spikeport.tracing",
    "load_data": "spikeport.verbs.load",
    "load_model": "spikeport.verbs.load",
}


if not TYPE_CHECKING:
    __getattr__ = _on_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
