"""Spiking neurons over [T, B, ...]. State is local to a call: there is nothing to reset between batches."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from spikeport.findings import require
from spikeport.nearest import choose
from spikeport.training import cuda, fused, fused_steps, stepwise
from spikeport.training.dynamics import fire
from spikeport.training.memory import rows_of_channels, whole
from spikeport.training.methods import Method
from spikeport.training.norm import TdBatchNorm
from spikeport.training.rules import Gradient, Reset, Rules
from spikeport.training.step_norms import StepNorm


class Neuron(nn.Module):
    """One layer of spiking neurons; `dynamics` has the equations. Input and output [T, B, *neurons].

    `threshold` is a buffer [T] (or [T, C]) and part of every checkpoint: with an adaptive method it is the moving
    average that inference fires with. With ``train_threshold`` it is an ordinary parameter, or one learned number gives
    it: "layer" that number (DIET-SNN, Rathi and Roy 2021, whose learned leak is PLIF's decay), "tanh" its tanh (LTMD,
    Wang et al. 2022). ``gradient`` is how the backward pass goes through time (`rules.Gradient`).
    Raises SP310 where the input has another number of steps.
    """

    compare: Literal[">="] = ">="  #: a neuron whose membrane equals its threshold fires
    threshold: Tensor
    ends: Tensor | None = None  #: [B], steps after which a sample's membranes are none (`ends.reading`)

    def __init__(
        self,
        method: Method,
        timesteps: int,
        *,
        norm: TdBatchNorm | None = None,
        reset: Reset = "zero",
        detach_reset: bool = False,
        train_threshold: bool | Literal["layer", "tanh"] = False,
        gradient: Gradient = "bptt",
        channels: int | None = None,
    ) -> None:
        super().__init__()
        require(reset in ("zero", "subtract"), "SP316", f"a neuron resets to zero or by subtraction, not {reset!r}")
        learned = get_args(Gradient)
        require(gradient in learned, "SP316", f"there is no gradient {gradient!r}", mend=choose(gradient, learned))
        kinds = (True, False, "layer", "tanh")
        require(train_threshold in kinds, "SP316", f"train_threshold = {train_threshold!r}", mend="true, layer or tanh")
        per_channel = bool(getattr(method, "per_channel", False))
        require(not per_channel or channels is not None, "SP316", "thresholds a channel need the number of channels")
        self.method = method
        self.timesteps = timesteps
        self.reset: Reset = reset
        self.detach_reset = detach_reset
        self.gradient: Gradient = gradient
        # A tuple, so that the norm is no child of the neuron: MPD-AGL's width reads its gamma.
        self.norm_before = (norm,)
        self.log_width = nn.Parameter(torch.tensor(math.log(method.width))) if method.learns_width else None
        shape = (timesteps, channels) if per_channel and channels else (timesteps,)
        start = torch.full(shape, float(method.threshold))
        if train_threshold is True:
            self.threshold = nn.Parameter(start)
        else:
            self.register_buffer("threshold", start)
        self.through_tanh = train_threshold == "tanh"
        self.level = (
            nn.Parameter(self._level(float(method.threshold))) if train_threshold in ("layer", "tanh") else None
        )

    @property
    def decay(self) -> Tensor:
        """[], share of the membrane that is left after a step, 0 <= decay <= 1."""
        raise NotImplementedError

    @property
    def adapts(self) -> bool:
        """Whether thresholds follow the batch now."""
        return self.training and self.method.adaptive and not self.learns_threshold

    @property
    def learns_threshold(self) -> bool:
        """Whether thresholds follow the gradient."""
        return isinstance(self.threshold, nn.Parameter) or self.level is not None

    def _level(self, threshold: float) -> Tensor:
        """What is learned, where the threshold is to start."""
        most = 1.0 if self.through_tanh else math.inf
        require(threshold < most, "SP316", f"a tanh stays below 1, not {threshold:g}", mend="threshold = 0.5")
        return torch.tensor(math.atanh(threshold) if self.through_tanh else threshold)

    def thresholds(self) -> Tensor:
        """[T] or [T, C] as this call fires with them, unless they adapt; the table follows a learned number."""
        if self.level is None:
            return self.threshold
        value = torch.tanh(self.level) if self.through_tanh else self.level
        with torch.no_grad():
            self.threshold.copy_(value)
        return value.expand(self.timesteps)

    def train(self, mode: bool = True) -> Neuron:
        """As torch's; the table is brought up to date."""
        self.thresholds()
        return super().train(mode)

    def _save_to_state_dict(self, *args: object) -> None:
        self.thresholds()
        super()._save_to_state_dict(*args)

    def forward(self, x: Tensor) -> Tensor:
        rules, widths = self._prepare(x)
        spikes, used = fire(x, self.decay, self.thresholds(), widths, rules)
        self._follow(used, rules)
        return spikes

    def normalised(self, x: Tensor, norm: TdBatchNorm) -> Tensor:
        """``self(norm(x))``: in training in one operation, which never writes the normalised current."""
        rules, widths = self._prepare(x)
        there, here = cuda.applies(x, self.threshold, rules), fused.applies(x, self.threshold, rules)
        repeated = here and not there and type(norm) is TdBatchNorm and whole(x) and x.stride(0) == 0
        values = x[:1] if repeated else x
        together = (
            norm.training
            and norm.ends is None
            and not _listened(self, norm)
            and (there or here)
            and rows_of_channels(values)
            and values.numel() > x.shape[2]  # one value a channel has no variance: torch's error for that
        )
        if together and here and isinstance(norm, StepNorm) and norm.compiled(x):
            spikes, used = fused_steps.normalise_and_fire(x, norm, self.decay, self.thresholds(), widths, rules)
            self._follow(used, rules)
            return spikes
        if not together or type(norm) is not TdBatchNorm:
            return self(norm(x))  # type: ignore[no-any-return]
        run = cuda.normalise_and_fire if there else fused.normalise_and_fire
        spikes, used, mean, var = run(
            x, norm.weight, norm.bias, fused.Norm(norm.scale, norm.eps), self.decay, self.thresholds(), widths, rules
        )
        norm.follow(mean, var)
        self._follow(used, rules)
        return spikes

    def _prepare(self, x: Tensor) -> tuple[Rules, Tensor]:
        """What this call does, and the widths [T]; only the shape of these counts where thresholds adapt."""
        require(
            x.shape[0] == self.timesteps,
            "SP310",
            f"the neurons have thresholds for {self.timesteps} timesteps, the input has {x.shape[0]}",
            mend="run the number of steps that the model was trained with; input is [T, B, ...]",
        )
        adapts = self.adapts
        widths = self.threshold.detach() if adapts else self.surrogate_widths()
        ends = self.ends if adapts else None
        return Rules(self.method, self.reset, self.detach_reset, self.gradient, adapts, ends), widths

    @torch.no_grad()
    def _follow(self, used: Tensor, rules: Rules) -> None:
        if rules.adapt:
            self.threshold.lerp_(used.to(self.threshold.dtype), self.method.momentum)  # type: ignore[attr-defined]

    def membranes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes, and membranes before the reset, [T, B, *neurons], that inference has for ``x``; no gradient."""
        theta, rules = self.threshold.detach(), Rules(self.method, self.reset, self.detach_reset)
        spikes, u, _, _ = stepwise.forward(x, self.decay.detach(), theta, theta, rules)
        return spikes, u

    def surrogate_widths(self) -> Tensor:
        """Width of each step, [T], for the thresholds as they stand; no gradient, but for a learned width."""
        if self.log_width is not None:
            return self.log_width.exp().expand(self.timesteps)
        norm = self.norm_before[0]
        gamma = None if norm is None else norm.weight.detach()
        return self.method.widths(self.threshold.detach(), self.decay.detach(), gamma)

    def extra_repr(self) -> str:
        return f"{self.method.name}, timesteps={self.timesteps}, reset={self.reset!r}"


def check_decays(module: nn.Module) -> None:
    """Raises SP316 for neurons in ``module`` whose decay is no single number between 0 and 1."""
    for name, part in module.named_modules():
        if isinstance(part, Neuron) and not part.threshold.is_meta:
            kind, where = type(part), f"neuron {name!r}"
            mend = "a tensor without axes, 0 <= decay <= 1"
            require(kind.decay is not Neuron.decay, "SP316", f"{kind.__name__} has no decay", where=where, mend=mend)
            decay = part.decay
            one = isinstance(decay, Tensor) and decay.ndim == 0 and 0 <= float(decay.detach()) <= 1
            require(one, "SP316", f"the decay of {kind.__name__} is {decay!r}", where=where, mend=mend)


def _listened(*modules: nn.Module) -> bool:
    """Whether somebody watches the calls of these modules."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind) for module in modules for kind in hooks)


class PLIF(Neuron):
    """Leaky neurons with one learned decay a layer: decay = sigmoid(w), 0.2 at the start (w = -ln(a - 1), a = 5)."""

    def __init__(self, method: Method, timesteps: int, *, decay: float = 0.2, **options: object) -> None:
        require(0 < decay < 1, "SP316", f"a learned decay starts between 0 and 1, not at {decay:g}", mend="decay = 0.2")
        super().__init__(method, timesteps, **options)  # type: ignore[arg-type]
        self.w = nn.Parameter(torch.tensor(math.log(decay / (1 - decay))))

    @property
    def decay(self) -> Tensor:
        return torch.sigmoid(self.w)


class LIF(Neuron):
    """Leaky neurons with a constant decay (0.2 in both papers)."""

    constant: Tensor

    def __init__(self, method: Method, timesteps: int, *, decay: float = 0.2, **options: object) -> None:
        require(0 <= decay <= 1, "SP316", f"a decay lies between 0 and 1, {decay:g} does not", mend="decay = 0.2")
        super().__init__(method, timesteps, **options)  # type: ignore[arg-type]
        self.register_buffer("constant", torch.tensor(float(decay)))

    @property
    def decay(self) -> Tensor:
        return self.constant


class IF(LIF):
    """Neurons that integrate without leak."""

    def __init__(self, method: Method, timesteps: int, **options: object) -> None:
        super().__init__(method, timesteps, decay=1.0, **options)


NEURONS: dict[str, type[Neuron]] = {"plif": PLIF, "lif": LIF, "if": IF}
