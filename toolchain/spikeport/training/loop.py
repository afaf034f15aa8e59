"""The training loop: steps, epochs, and the choice of the best epoch on the validation part."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn

from spikeport.findings import Finding, fail
from spikeport.training import objective, options
from spikeport.training.augment import augment
from spikeport.training.ends import check_ends, reading
from spikeport.training.layers import Readout
from spikeport.training.losses import listening
from spikeport.training.neurons import Neuron
from spikeport.training.parallel import shared
from spikeport.training.parts import Part, batches, there
from spikeport.training.recipe import SCHEDULES, Recipe
from spikeport.training.reduce import rank, ranks
from spikeport.training.repeated import Repeated


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did; loss is the mean over its batches, accuracies lie between 0 and 1."""

    epoch: int
    loss: float
    train_accuracy: float
    val_accuracy: float
    lr: float
    seconds: float


@dataclass
class Training:
    """All that changes while a network is trained: what `resume` writes and reads."""

    module: nn.Module
    recipe: Recipe
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    generator: torch.Generator  #: of shuffling and augmentation
    prepare: Callable[[Tensor], Tensor] = lambda x: x  #: what is done to samples that were augmented, where they lie
    epochs: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None
    best_state: dict[str, Tensor] = field(default_factory=dict)
    notes: list[Finding] = field(default_factory=list)  #: what went another way than the fastest

    @classmethod
    def begin(
        cls, module: nn.Module, recipe: Recipe, samples: int, prepare: Callable[[Tensor], Tensor] = lambda x: x
    ) -> Training:
        """Before the first epoch over ``samples`` samples."""
        optimiser = optimiser_for(module, recipe)
        per_epoch = sum(1 for _ in batches(samples, recipe.batch, torch.Generator(), recipe.last_batch))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, per_epoch, recipe))
        return cls(module, recipe, optimiser, schedule, torch.Generator().manual_seed(recipe.seed), prepare)


Watch = Callable[[Training], None]


def optimiser_for(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser that a recipe names, over all parameters."""
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            module.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
        )
    kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
    return kind(module.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def rate_at(step: int, per_epoch: int, recipe: Recipe) -> float:
    """Factor of the learning rate at a step of the optimiser, of ``per_epoch`` an epoch.

    Linear from 0 over the share ``warmup`` of all steps; then a cosine to 0 over the rest, by steps or by whole epochs
    (torch's CosineAnnealingLR, once an epoch), or a staircase (torch's StepLR), or what a plug-in says
    (`spikeport.schedules`, ``(step, per_epoch, epochs) -> factor``).
    """
    steps = per_epoch * recipe.epochs
    begin = recipe.warmup * steps
    if step < begin:
        return (step + 1) / begin
    if recipe.schedule not in SCHEDULES:
        by = options.make("schedules", recipe.schedule, SCHEDULES, recipe.schedule_options, "SP312")
        rate = by(step, per_epoch, recipe.epochs)
        if not isinstance(rate, int | float):
            fail("SP323", f"the schedule {recipe.schedule!r} gives {rate!r}", mend="return the factor of lr, a number")
        return float(rate)
    if recipe.schedule == "step":
        return float(recipe.step_factor ** (step // per_epoch // recipe.step_epochs))
    now = step if recipe.schedule == "cosine" else step // per_epoch * per_epoch
    return 0.5 * (1 + math.cos(math.pi * max(0.0, now - begin) / max(1.0, steps - begin)))


@torch.no_grad()
def predict(module: nn.Module, part: Part, batch: int = 250) -> Tensor:
    """Outputs [N, classes] in evaluation mode; the mode is put back."""
    training = module.training
    device = next(module.parameters()).device
    module.eval()
    picks = torch.split(torch.arange(len(part)), batch)
    outputs = []
    for index in picks:
        with reading(module, part.ends(index)):
            outputs.append(module(there(part.pick(index)[0], device)))
    module.train(training)
    return torch.cat(outputs).cpu()


def accuracy(module: nn.Module, part: Part) -> float:
    """Share of right answers, between 0 and 1."""
    return float((predict(module, part).argmax(1) == part.y.cpu()).double().mean())


def fit(training: Training, train: Part, val: Part, watch: Watch = lambda training: None) -> Epoch:
    """Train from where ``training`` stands to the recipe's last epoch; returns the best epoch.

    Best is the highest accuracy on ``val``, of equals the later one; with ``choose = "last"`` the last. ``watch`` is
    called after each epoch. Under torch.distributed each rank takes its part of every batch. Raises SP315 when the loss
    is no number.
    """
    module, recipe, optimiser = training.module, training.recipe, training.optimiser
    parallel, wanted, device = shared(module), objective.of_recipe(recipe), next(module.parameters()).device

    def begun(x: Tensor, y: Tensor, *ends: Tensor) -> Tensor:
        return train_step(parallel, x, y, optimiser, recipe, *ends, wanted=wanted)

    step = Repeated.on(device, begun, optimiser)
    if train.lengths is not None and (note := check_ends(module, recipe)):
        training.notes.append(note)
    train, val = train.near(device), val.near(device)
    while len(training.epochs) < recipe.epochs:
        epoch = _epoch(training, step, train, val)
        if step.why and not any(note.code == "SP527" for note in training.notes):
            training.notes.append(_launched_one_by_one(step.why))
        training.epochs.append(epoch)
        last = recipe.choose == "last"
        if training.best is None or last or epoch.val_accuracy >= training.best.val_accuracy:
            training.best, training.best_state = epoch, copy.deepcopy(module.state_dict())
        watch(training)
    assert training.best is not None  # a recipe has at least one epoch
    return training.best


def _launched_one_by_one(why: str) -> Finding:
    mend = "report it with spikeport doctor; SPIKEPORT_GRAPHS=off asks for it"
    return Finding("SP527", f"a step of training is launched kernel by kernel: {why}", mend=mend, severity="note")


def _epoch(training: Training, step: Repeated, train: Part, val: Part) -> Epoch:
    recipe, module = training.recipe, training.module
    device = next(module.parameters()).device
    number = len(training.epochs) + 1
    start = time.perf_counter()
    lr = float(training.schedule.get_last_lr()[0])
    module.train()
    sums = torch.zeros(4, dtype=torch.float64, device=device)  # loss, right answers, samples, steps
    for index in batches(len(train), recipe.batch, training.generator, recipe.last_batch):
        x, y = train.pick(index[: len(index) // ranks() * ranks()])
        x = training.prepare(augment(x, training.generator, recipe))
        mine = slice(rank(), None, ranks())
        x = x[mine] if train.coding == "direct" else x[:, mine]
        ends = () if train.lengths is None else (there(train.lengths[index][: len(y)][mine], device),)
        x, y = there(x, device), there(y[mine], device)
        sums[:2] += step(x, y, *ends)
        sums[2] += len(y)
        sums[3] += 1
        training.schedule.step()
    if ranks() > 1:
        dist.all_reduce(sums)
    sums = sums.cpu()  # the one time in an epoch that anybody waits for a GPU
    if not math.isfinite(float(sums[0])):
        fail("SP315", f"the loss is no number in epoch {number}", mend="lower lr, or raise warmup")
    seconds = time.perf_counter() - start
    return Epoch(number, float(sums[0] / sums[3]), float(sums[1] / sums[2]), accuracy(module, val), lr, seconds)


def train_step(
    module: nn.Module,
    x: Tensor,
    y: Tensor,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    lengths: Tensor | None = None,
    *,
    wanted: objective.Objective | None = None,
) -> Tensor:
    """One step of the optimiser: the loss, and how many answers were right, [2] float64 on the module's device.

    Samples with ``lengths`` [B] are read out at their own last steps. ``wanted``: the recipe's objective, where it was
    made already.
    """
    optimiser.zero_grad(set_to_none=True)
    wanted = wanted or objective.of_recipe(recipe)
    with (
        listening(module) as heard,
        reading(module, lengths),
        objective.watching(module, wanted) as layers,
        torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"),
    ):
        logits = module(x)
    loss = wanted(objective.Outcome(module, logits, heard[-1], y, layers if wanted.membranes else None))
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    _learn_readout(module, heard, y)
    return torch.stack([loss.detach().double(), (logits.argmax(1) == y).sum().double()])


@torch.no_grad()
def _learn_readout(module: nn.Module, heard: list[Tensor], y: Tensor) -> None:
    """The readout's weights follow the accuracy of each step, where the method says so (arXiv 2406.19645)."""
    methods = {part.method for part in module.modules() if isinstance(part, Neuron) and part.method.learns_readout}
    if not methods:
        return
    momentum = methods.pop().readout_momentum
    for readout, steps in zip((part for part in module.modules() if isinstance(part, Readout)), heard, strict=True):
        right = (steps.argmax(2) == y).double().sum(1)
        if ranks() > 1:
            dist.all_reduce(right)
        share = torch.where(right.sum() > 0, right / right.sum(), readout.weight)  # none right: stay as they are
        readout.weight.lerp_(share.to(readout.weight.dtype), 1 - momentum)
