"""Converts exported models with onnx2torch and runs them, without spikeport: `portable.py` starts it.

    python portable_child.py FOLDER

Prints JSON: by model "equal", what differs, or why it is not converted.
"""

import json
import sys
import types
import warnings
from pathlib import Path

import numpy as np

VISION = types.ModuleType("torchvision.ops")
VISION.roi_align = VISION.nms = None
# onnx2torch imports it for two operators on boxes; its wheels go with other builds of torch
sys.modules |= {"torchvision": types.ModuleType("torchvision"), "torchvision.ops": VISION}

import onnx  # noqa: E402
import onnx2torch  # noqa: E402
import torch  # noqa: E402

ROUNDING = 1e-6  #: of float32, relative to the largest output: some hundred terms, 6e-8 each


def result(path):
    """How the conversion and the run of a model ended."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    try:
        module = onnx2torch.convert(model).eval()
    except NotImplementedError as error:
        operator = str(error).partition("operation_type='")[2].partition("'")[0]
        return f"not converted: it lacks {operator}"
    except (KeyError, ValueError, AttributeError) as error:
        return f"not converted: {error}"
    with np.load(path.with_suffix(".npz")) as arrays, torch.no_grad():
        numbers = dict(arrays)
        outputs = module(torch.from_numpy(numbers["input"]))
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    (total, truth), *trains = [(output.numpy(), numbers[f"output {index}"]) for index, output in enumerate(outputs)]
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in [(total, truth), *trains]):
        return "shapes or types differ"
    spikes = sum(b.size for _, b in trains)
    if different := sum(int((a != b).sum()) for a, b in trains):
        return f"{different} of {spikes} spike bits differ"
    if (total == truth).all():
        return f"{spikes:,} spike bits and every output equal"
    apart = np.abs(total - truth).max() / np.abs(truth).max()
    return f"{spikes:,} spike bits equal, outputs " + (
        f"within {apart:.0e}" if apart < ROUNDING else f"differ by {apart}"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(json.dumps({path.stem: result(path) for path in sorted(Path(sys.argv[1]).glob("*.onnx"))}))
