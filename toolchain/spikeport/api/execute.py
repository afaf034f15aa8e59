"""Runs a model on a target: the one place that knows that PyTorch runs modules and targets run graphs."""

from __future__ import annotations

from spikeport.api.load import Model
from spikeport.findings import fail
from spikeport.graph import Array
from spikeport.record import Record
from spikeport.targets import Request, check_input, registry, target


def target_names() -> list[str]:
    """Everything that can stand behind ``@`` or ``--target``."""
    return ["pytorch", *registry()]


def execute(model: Model, name: str | None, samples: Array, request: Request = Request()) -> Record:
    """Run ``samples`` on the target ``name`` (None: the model's own).

    Raises SP501 for an unknown target, SP502 for input of the wrong shape, SP905 where PyTorch is asked to run what is
    no module, and what the target refuses.
    """
    name = name or model.target
    if name == "pytorch":
        if model.module is None:
            fail("SP905", f"PyTorch cannot run a {model.kind}", where=model.name, mend="use --target reference")
        from spikeport.capture.observe import observe

        check_input(model.graph, samples)
        return observe(model.module, model.graph, samples, request)
    return target(name).run(model.graph, samples, request)
