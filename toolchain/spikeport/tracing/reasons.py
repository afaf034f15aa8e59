"""What torch's other functions are, and what to do about them: what a graph cannot hold, in the user's terms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from torch import nn

from spikeport.findings import Finding, SpikeportError
from spikeport.tracing.call import Call
from spikeport.tracing.functions import SUPPORTED
from spikeport.tracing.registry import library_of, problems
from spikeport.tracing.symbols import PAST, THREE, Steps, Symbol, Unsupported

ANALOG = "is an analog nonlinearity, where a graph passes spikes and sums of them"
SPIKE = "put spiking neurons in its place, or take it out"
SEVERAL = f"{SPIKE}; neurons that fire up to n times a step are written round(clamp(u, 0, n)), or with floor"
GATES = "has gates that multiply analog values"
EACH = (
    "a sum of these over time is no sum of what neurons send: return the values before it, of all steps or added up, "
    "and evaluate that again, for its decisions may be others"
)
LOGITS = "return the values before it: it changes no decision, and the loss can take it"
RANDOM = "draws random numbers, which are others at each run"
ENCODE = (
    "encode the input before the network, as a part of the data (coding='events'), and give it frames; a state that is "
    "drawn starts from zeros instead"
)
STATISTICS = "normalises with the statistics of each sample, which are known only when it has come in"

#: name of a function -> what it is, and the mend
REASONS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("softmax", "log_softmax", "log_sigmoid", "logsigmoid"), ("has no place in a graph", LOGITS)),
    **dict.fromkeys(("argmax", "topk", "sort", "argsort"), ("is a decision about values", LOGITS)),
    **dict.fromkeys(
        ("relu", "relu_", "leaky_relu", "elu", "gelu", "silu", "mish", "prelu", "hardtanh", "relu6"), (ANALOG, SPIKE)
    ),
    **dict.fromkeys(("sigmoid", "tanh", "softplus", "exp", "log", "sqrt", "abs", "sin", "cos"), (ANALOG, SPIKE)),
    **dict.fromkeys(("gru", "lstm", "rnn_tanh", "rnn_relu", "gru_cell", "lstm_cell"), (GATES, SPIKE)),
    **dict.fromkeys(("scaled_dot_product_attention", "multi_head_attention_forward"), (GATES, SPIKE)),
    **dict.fromkeys(
        ("layer_norm", "group_norm", "instance_norm", "rms_norm", "std", "var", "norm"),
        (STATISTICS, "use a batch normalisation, whose running statistics are constants"),
    ),
    **dict.fromkeys(
        ("rand_like", "randn_like", "bernoulli", "bernoulli_", "poisson", "normal_", "uniform_", "multinomial"),
        (RANDOM, ENCODE),
    ),
    **dict.fromkeys(("sign", "sgn"), ("gives -1, 0 and 1, where neurons fire 0 and 1", SPIKE)),
    **dict.fromkeys(("round", "floor", "ceil", "trunc", "fix"), ("rounds analog values", SEVERAL)),
    **dict.fromkeys(("div", "floor_divide", "__floordiv__"), ("rounds a quotient of analog values", SEVERAL)),
}

#: what to do about a library's neurons that are followed to no end
KNOWN = "take one of its neurons that capture knows (docs/howto/capture.md), or register_neuron it"

#: torch.library's operators, as SpikingJelly's neurons call them in subclasses that fire otherwise
COMPILED = (
    "is an operator of a library's own, whose steps are not seen",
    "write it in operations of torch, or teach capture the neuron: spikeport.tracing.register_neuron",
)


def unknown(call: Call, form: object = None) -> Any:
    """Raises `Unsupported` with what the function is, and with the ``form`` of what it gives."""
    reason = _unknown(call)
    reason.form = form
    raise reason


def _unknown(call: Call) -> Unsupported:
    name = call.name.strip("_")
    if name in ("clamp", "clip", "clamp_min", "clamp_max"):
        return Unsupported(*_clamp(call))
    what, mend = REASONS.get(call.name, ("is no operation that a graph can hold", ""))
    before = any(f.mend == EACH and f.where == call.tracer.where() for f in call.tracer.findings)
    if mend == LOGITS and (before or _of_a_step(call)):
        mend = EACH
    if call.name.endswith(".default"):
        what, mend = COMPILED
    return Unsupported(what, mend=mend)


def _of_a_step(call: Call) -> bool:
    """Whether what a function takes is the value of one step, to which others may come."""
    x = call.tracer.known_of(call.args[0]) if call.args else None
    steps = [step for step in x.steps() if step is not None] if isinstance(x, Symbol) else []
    last = call.tracer.timesteps or math.inf
    return isinstance(x, Steps) or (isinstance(x, Symbol) and (x.timed or (bool(steps) and max(steps) < last - 1)))


def of(error: Exception) -> Unsupported:
    """Why a handler did not take a call; one that it does not expect is no fault of the user's module."""
    if isinstance(error, Unsupported):
        return error
    if isinstance(error, SpikeportError):
        first = error.findings[0]
        return Unsupported(first.what, mend=first.mend)
    return Unsupported(f"is called in a way that capture does not know ({type(error).__name__}: {error})")


def _clamp(call: Call) -> tuple[str, str, str]:
    x = call.known(call.get(0, "input"))
    if isinstance(x, Symbol) and {getattr(f, "node", "") for f in x.factors()} == {"input"}:
        return "holds the input in a range", "SP380", "do it before the network, as a part of preparing the data"
    mend = (
        "take it out, or train without it; a membrane that is held from below alone, clamp(v, min=...), is a node's, "
        "and so is one that is rounded next, round(clamp(v, 0, n)), which fires up to n times a step"
    )
    return "holds a value in a range, which no node does", "SP380", mend


def noted(findings: list[Finding], finding: Finding, module: nn.Module) -> int:
    """The number of a finding among others, to which it is added; of a library's neurons the first one says it all."""
    library = library_of(module)
    if library and finding.code == "SP380":
        place = _module(finding)
        known = next((n for n, other in enumerate(findings) if other.code == "SP380" and _module(other) == place), None)
        if known is not None:
            return known
        what = f"{type(module).__name__} of {library} is followed line by line, which ends at {finding.what}"
        finding = replace(finding, what=what, mend=finding.mend or KNOWN)
    if finding not in findings:
        findings.append(finding)
    return findings.index(finding)


def _module(finding: Finding) -> str:
    return finding.where.partition(", ")[0]


def _alone(findings: list[Finding]) -> list[Finding]:
    """The findings without those that a loop with a longer memory leaves behind it, in its module and after it."""
    first = next((n for n, f in enumerate(findings) if f.what.endswith((PAST, THREE))), len(findings))
    before, cause, behind = findings[:first], findings[first : first + 1], findings[first + 1 :]
    places = [_module(f) for f in cause] + [""]
    return [*before, *cause, *(f for f in behind if _module(f) not in places and not f.what.endswith((PAST, THREE)))]


def refuse(findings: list[Finding]) -> None:
    """Raise what was found, with the long list of what is supported once, and plug-ins that could not be imported."""
    findings = _alone(findings)
    plain = [f for f in findings if f.code == "SP380" and not f.mend]
    if plain:
        last = plain[-1]
        swapped = Finding(last.code, last.what, last.where, last.why, f"supported are: {SUPPORTED}")
        findings = [swapped if f is last else f for f in findings]
    if findings:
        raise SpikeportError([*findings, *problems])
