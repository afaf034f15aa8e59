"""One file a verb: a typed function, which is also the command of its name."""

#: every verb, in the order in which a user meets them, and what the list of verbs says of it
VERBS = {
    "run": "The main job, end to end.",
    "train": "Train what a recipe says.",
    "probe": "What a training did to its neurons.",
    "import_checkpoint": "Take over a checkpoint of the authors' code.",
    "export": "Write a model as NIR or ONNX.",
    "quantize": "Turn a model into Loihi's integers.",
    "simulate": "Run a model on an input file.",
    "evaluate": "Accuracy on a data set.",
    "compare": "Where two runs part, and why.",
    "events": "Count what every layer does.",
    "energy": "What a sample costs, model by model.",
    "fit": "Whether a model fits a chip.",
    "sweep": "Many points, and which are worth it.",
    "plot": "Draw a run: spikes, rates, membranes.",
    "report": "A page of what a verb wrote.",
    "inspect": "See a model.",
    "check": "What a target can run of it.",
    "targets": "Where a model can run.",
    "doctor": "What is installed, and how to get the rest.",
    "explain": "What an error code means.",
}
