"""The training loop: batches, optimiser, schedule, and the choice of the best epoch on the validation part."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikeport.findings import fail
from spikeport.train.losses import cross_entropy
from spikeport.train.recipe import Recipe

Coding = Literal["direct", "events"]


@dataclass(frozen=True)
class Part:
    """Samples and labels of one split, as tensors; x [N, ...], or [T, N, ...] for events."""

    x: Tensor
    y: Tensor
    coding: Coding

    @classmethod
    def of(cls, x: NDArray[Any], y: NDArray[Any], coding: Coding) -> Part:
        """From arrays, without a copy where torch can do without one."""
        return cls(torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y)), coding)

    def __len__(self) -> int:
        return len(self.y)

    def pick(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The samples of some numbers."""
        x = self.x[index] if self.coding == "direct" else self.x[:, index]
        return x, self.y[index]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did; loss is the mean over its batches, accuracies lie between 0 and 1."""

    epoch: int
    loss: float
    train_accuracy: float
    val_accuracy: float
    lr: float
    seconds: float

    def as_dict(self) -> dict[str, float]:
        """Plain values, for JSON and CSV."""
        return asdict(self)


Watch = Callable[[Epoch, "nn.Module"], None]


def optimiser_for(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser that a recipe names, over all parameters."""
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            module.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
        )
    kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
    return kind(module.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def rate_at(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: linear from 0 over the share ``warmup``, then a cosine to 0."""
    begin = warmup * steps
    if step < begin:
        return (step + 1) / begin
    return 0.5 * (1 + math.cos(math.pi * (step - begin) / max(1.0, steps - begin)))


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices of shuffled batches; the last one is left out where it would hold less than half (tdBN's statistics)."""
    order = torch.randperm(count, generator=generator)
    for start in range(0, count, size):
        batch = order[start : start + size]
        if len(batch) >= max(2, size // 2) or start == 0:
            yield batch


def augment(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Move each sample by up to ``shift`` pixels and mirror half of them; one draw a sample, for all its frames."""
    if recipe.shift:
        n = recipe.shift
        padded = nn.functional.pad(x, (n, n, n, n))
        size = 2 * n + 1
        rows, cols = torch.randint(0, size, (2, x.shape[-4]), generator=generator).tolist()
        height, width = x.shape[-2:]
        moved = [
            padded[..., i, :, r : r + height, c : c + width] for i, (r, c) in enumerate(zip(rows, cols, strict=True))
        ]
        x = torch.stack(moved, dim=-4)
    if recipe.flip:
        chosen = torch.rand(x.shape[-4], generator=generator) < 0.5
        x = torch.where(chosen[:, None, None, None], x.flip(-1), x)
    return x


@torch.no_grad()
def predict(module: nn.Module, part: Part, batch: int = 250) -> Tensor:
    """Outputs [N, classes] in evaluation mode; the mode is put back."""
    training = module.training
    module.eval()
    index = torch.arange(len(part))
    outputs = torch.cat([module(part.pick(some)[0]) for some in torch.split(index, batch)])
    module.train(training)
    return outputs


def accuracy(module: nn.Module, part: Part) -> float:
    """Share of right answers, between 0 and 1."""
    return float((predict(module, part).argmax(1) == part.y).double().mean())


def fit(
    module: nn.Module, train: Part, val: Part, recipe: Recipe, watch: Watch = lambda epoch, module: None
) -> tuple[dict[str, Tensor], Epoch, list[Epoch]]:
    """Train ``module`` in place; returns the best state, its epoch and all epochs.

    Best is the highest validation accuracy; of equals the later one. Raises SP315 when the loss is no number.
    """
    import time

    generator = torch.Generator().manual_seed(recipe.seed)
    optimiser = optimiser_for(module, recipe)
    per_epoch = sum(1 for _ in batches(len(train), recipe.batch, torch.Generator()))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate_at(step, per_epoch * recipe.epochs, recipe.warmup)
    )
    best: tuple[dict[str, Tensor], Epoch] | None = None
    epochs: list[Epoch] = []
    for number in range(1, recipe.epochs + 1):
        start = time.perf_counter()
        rate = float(schedule.get_last_lr()[0])
        module.train()
        loss_sum, right, seen, steps = 0.0, 0, 0, 0
        for index in batches(len(train), recipe.batch, generator):
            x, y = train.pick(index)
            loss, correct = train_step(module, augment(x, recipe, generator), y, optimiser, recipe)
            schedule.step()
            loss_sum += loss
            right += correct
            seen += len(y)
            steps += 1
        if not math.isfinite(loss_sum):
            fail("SP315", f"the loss is no number in epoch {number}", mend="lower lr, or raise warmup")
        seconds = time.perf_counter() - start
        epoch = Epoch(number, loss_sum / steps, right / seen, accuracy(module, val), rate, seconds)
        epochs.append(epoch)
        if best is None or epoch.val_accuracy >= best[1].val_accuracy:
            best = copy.deepcopy(module.state_dict()), epoch
        watch(epoch, module)
    assert best is not None  # a recipe has at least one epoch
    return best[0], best[1], epochs


def train_step(
    module: nn.Module, x: Tensor, y: Tensor, optimiser: torch.optim.Optimizer, recipe: Recipe
) -> tuple[float, int]:
    """One step of the optimiser: the loss, and how many answers were right."""
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits = module(x)
    loss = cross_entropy(logits, y, smoothing=recipe.label_smoothing)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach()), int((logits.argmax(1) == y).sum())
