"""``spikeport quantize``: a trained model to integers."""

from __future__ import annotations

from pathlib import Path

from spikeport.api.export import export
from spikeport.api.load import Data, Model, load_data, load_model
from spikeport.engine import simulate
from spikeport.graph import LOIHI2, Graph, Profile
from spikeport.passes.quantize import Quantised
from spikeport.passes.quantize import quantize as post_training

CALIBRATION = 512  #: samples of the training split


def quantize(
    model: Model | Graph | Path | str,
    *,
    data: str | Data,
    weight_bits: int = 8,
    profile: Profile = LOIHI2,
    out: Path | str | None = None,
    calibration: int = CALIBRATION,
) -> Quantised:
    """Quantise ``model``, calibrated on the first ``calibration`` samples of the training split of ``data``.

    ``out`` (.nir or .onnx) is written where it is given. Raises what `passes.quantize.quantize` and the readers raise.
    """
    loaded = load_model(model)
    samples = data if isinstance(data, Data) else load_data(data, "train", loaded.graph, calibration)
    made = post_training(loaded.graph, samples.x, profile, weight_bits, run=simulate)
    if out is not None:
        export(made.graph, out)
    return made
