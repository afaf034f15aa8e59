"""Files that users of 0.1 wrote by hand or had written by a whole run; `write_0_1` calls this."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

import spikeport
from old_files import facts

PLAIN = {"dataset": "digits", "network": "mlp", "timesteps": 2, "epochs": 3, "batch": 48}

PROFILE = """\
# in the form of the how-to of quantising
name = "my-chip"
weight_bits = 6
threshold_bits = 12
weight_exponent = [-6, 7]
schedule = false        # one threshold for all timesteps
"""

CHIP = """\
title = "A small chip"
about = "Made up, with every table that a chip file may have."
weight_bits = 6
schedules = true

[limits]
cores = { value = 16, unit = "per chip", source = "made up" }
neurons = { value = 8, unit = "per core", source = "made up" }
synapse_memory = { value = 8192, unit = "bit per core", source = "made up" }
output_axons = { value = 64, unit = "per core", source = "made up" }
neuron_state = { value = 16, unit = "bit per neuron", source = "made up" }
list_synapses = { value = 32, unit = "synapses per list", source = "made up" }
list_header = { value = 10, unit = "bit per list", source = "made up" }
chips = { value = 4, unit = "in the largest system", source = "made up" }

[unknown]
input_axons = "how many input axons a core has is not public"

[mesh]
columns = 2
rows = 2
cores_per_tile = 4
source = "made up"
"""

COSTS = """\
title = "My arithmetic"
function = "arithmetic"
about = "Made up."

[constants.mac]
value = 4.0
low = 3.0
high = 5.0
unit = "pJ"
basis = "assumed"
source = "made up"

[constants.ac]
value = 500.0
low = 250.0
high = 1000.0
unit = "pJ"
basis = "measured"
source = "made up"
"""

RECIPE = """\
model = "old-run"
dataset = "digits"
network = "mlp"
timesteps = 3
epochs = 20
batch = 200

[architecture]
hidden = [8]
"""

PLAN = """\
# a whole run: which training, and what comes after it
recipe = "recipe.toml"
method = "mpd-agl"
lava_samples = 0
time_limit = 60.0
chip = "loihi2"

[train]
epochs = 2
timesteps = 2
"architecture.hidden" = [6]

[quantize]
weight_bits = 6
calibration = 64
"""

TEXTS = {"profile": PROFILE, "chip": CHIP, "costs": COSTS, "recipe": RECIPE, "plan": PLAN}


def recipe(fields):
    """A recipe as a user writes it: only what differs from the defaults, tables at the end."""
    lines = [f"{name} = {json.dumps(entry)}" for name, entry in fields.items() if not isinstance(entry, dict)]
    for name, table in fields.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{key} = {json.dumps(entry)}" for key, entry in table.items())]
    return "\n".join(lines) + "\n"


def write_inputs():
    """The files that a user writes by hand."""
    for name, text in TEXTS.items():
        Path(f"users/{name}.toml").write_text(text, encoding="utf-8")


def write_facts_of_users(write, x, check):
    """What 0.1 makes of them."""
    fits = spikeport.fit("formats/eight-bits.nir", "users/chip.toml").as_dict()
    for bound in fits["bounds"].values():
        bound.pop("sentence")  # texts may be said better one day
    write("users/chip", {name: fits[name] for name in ("chip", "limits", "bounds")})
    costs = spikeport.energy("formats/eight-bits.nir", samples=x, models=["users/costs.toml"], chip="users/chip.toml")
    own = costs.estimates["costs"].as_dict()
    numbers = ("low", "nominal", "high", "counts")
    write("users/costs", {name: own[name] for name in (*numbers, "label", "source", "basis", "kind", "unit")})
    imported(write, x, check)
    whole_run()


def imported(write, x, check):
    """A network of the authors' layout, with random weights, for samples that were normalised."""
    made = spikeport.import_checkpoint(
        authors_file(),
        "mpd-agl",
        "mlp",
        timesteps=3,
        input_shape=(1, 8, 8),
        data="digits",
        compare=">",
        normalise="0.25/0.5",
        out="users/imported.safetensors",
    )
    check("users/imported.safetensors", (x - 0.25) / 0.5)
    write(
        "users/imported",
        {
            "run": facts.of_record(spikeport.simulate("users/imported.safetensors", (x - 0.25) / 0.5)),
            "correct": spikeport.evaluate("users/imported.safetensors", "digits").correct,
            "thresholds": made.thresholds,
        },
    )


def authors_file():
    """A state_dict with the authors' keys."""
    generator, state = torch.Generator().manual_seed(5), {}
    for number, (inputs, outputs) in enumerate([(64, 10), (10, 8)]):
        synapse, neuron = f"fc.{2 * number}", f"fc.{2 * number + 1}"
        state[f"{synapse}.layer.weight"] = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
        state[f"{synapse}.bn.weight"] = torch.rand(outputs, generator=generator) + 0.5
        state[f"{synapse}.bn.bias"] = torch.rand(outputs, generator=generator)
        state[f"{synapse}.bn.running_mean"] = torch.randn(outputs, generator=generator) * 0.1
        state[f"{synapse}.bn.running_var"] = torch.rand(outputs, generator=generator) + 0.5
        state[f"{synapse}.bn.num_batches_tracked"] = torch.tensor(7)
        state[f"{neuron}.neuron.w"] = torch.randn((), generator=generator)
    state["fc.4.layer.weight"] = torch.randn(10, 8, generator=generator)
    state["fc.4.layer.bias"] = torch.randn(10, generator=generator)
    torch.save(state, "users/authors.pth")
    return "users/authors.pth"


def whole_run():
    """The main job; its models and its training are files of the other folders' kinds."""
    spikeport.run("users/plan.toml", "run")
    Path("users/run").mkdir()
    for name in ("result.json", "figures.json"):
        shutil.copyfile(f"run/{name}", f"users/run/{name}")
    shutil.rmtree("run")
