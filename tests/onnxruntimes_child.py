"""Runs exported models in whatever onnxruntime is installed here, without spikeport: `onnxruntimes.py` starts it.

    python onnxruntimes_child.py FOLDER

A model NAME.onnx has its input and every expected output in NAME.npz. Prints JSON: by model nothing where all bits are
equal, else what is wrong.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def result(path):
    """What is wrong with a model's run, and whether it is without patterns of memory too; nothing where no bit is."""
    wrong = once(path)
    if wrong and not once(path, enable_mem_pattern=False):
        return f"{wrong}; none with SessionOptions.enable_mem_pattern = False"
    return wrong


def once(path, **chosen):
    """What is wrong with a run under these options of the session."""
    options = onnxruntime.SessionOptions()
    for name, value in chosen.items():
        setattr(options, name, value)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        with np.load(path.with_suffix(".npz")) as arrays:
            numbers = dict(arrays)
        names = [info.name for info in session.get_outputs()]
        outputs = session.run(names, {"input": numbers["input"]})
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")[:400]
    for index, output in enumerate(outputs):
        expected = numbers[f"output {index}"]
        if output.shape != expected.shape or output.dtype != expected.dtype:
            return f"{names[index]} is {output.dtype} {output.shape}, not {expected.dtype} {expected.shape}"
        if different := int((output != expected).sum()):
            return f"{different} of {output.size} numbers of {names[index]} differ"
    return ""


if __name__ == "__main__":
    paths = sorted(Path(sys.argv[1]).glob("*.onnx"))
    results = {path.stem: result(path) for path in paths}
    print(json.dumps({"onnxruntime": onnxruntime.__version__, "numpy": np.__version__, "results": results}))
