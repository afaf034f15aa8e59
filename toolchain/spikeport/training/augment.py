"""What a training does to its samples anew in each epoch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.training import options
from spikeport.training.parts import there
from spikeport.training.policy import published
from spikeport.training.recipe import Recipe

BYTE = 255  #: what AutoAugment's images count to
PUBLISHED = "cifar10-published"  #: the policy of the published codes


def augment(x: Tensor, generator: torch.Generator, recipe: Recipe) -> Tensor:
    """Samples [..., B, C, H, W] as a recipe wants them: moved, rolled, mirrored, by AutoAugment's policy, cut out.

    One draw a sample, for all its frames, from ``generator`` alone. The order is that of the published codes' loaders:
    crop, mirror, policy, and the hole last (DeVries and Taylor 2017: a square of ``cutout`` pixels around any pixel,
    as far as it lies inside). Plug-ins' (`spikeport.augmentations`, ``(x, generator) -> x``) come behind.
    """
    if recipe.shift:
        x = _shifted(x, _places(x, recipe.shift, generator), recipe.shift)
    if recipe.roll:
        rows, cols = recipe.roll - _places(x, recipe.roll, generator)
        height, width = x.shape[-2:]
        x = _picked(x, _along(rows, height) % height, _along(cols, width) % width)
    if recipe.flip:
        chosen = there(torch.rand(x.shape[-4], generator=generator) < 0.5, x.device)
        x = torch.where(chosen[:, None, None, None], x.flip(-1), x)
    if recipe.policy != "none":
        x = _by_policy(x, recipe.policy, generator)
    if recipe.cutout:
        x = _cut_out(x, recipe.cutout, generator)
    for name, own in recipe.augmentations.items():
        x = options.make("augmentations", name, {}, own, "SP312")(x, generator)
        if not isinstance(x, Tensor):
            fail("SP323", f"the augmentation {name!r} gives {type(x).__name__}", mend="return x, a tensor")
    return x


def check(recipe: Recipe, shape: tuple[int, ...]) -> None:
    """Raises SP312 for what moves or cuts frames of ``shape`` away as a whole, or needs rows and columns of pixels."""
    sides = {name: getattr(recipe, name) for name in ("shift", "roll", "cutout")} | {"flip": int(recipe.flip)}
    pixels = min(shape[1:]) if len(shape) == 3 else 1
    findings = [
        Finding("SP312", f"{name} = {getattr(recipe, name)!r}: frames are {list(shape)}", mend=f"leave {name} out")
        if pixels == 1
        else Finding("SP312", f"{name} = {side}: frames are {list(shape)}", mend=f"fewer than {pixels} pixels")
        for name, side in sides.items()
        if side >= pixels
    ]
    if findings:
        raise SpikeportError(findings)


def _places(x: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """[2, B]: rows and columns from 0 to 2 * most, where the samples lie."""
    return there(torch.randint(0, 2 * most + 1, (2, x.shape[-4]), generator=generator), x.device)


def _shifted(x: Tensor, places: Tensor, most: int) -> Tensor:
    """Up to ``most`` pixels each way, which is a random crop of the padded sample; what moves in is zero."""
    height, width = x.shape[-2:]
    return _picked(nn.functional.pad(x, (most,) * 4), _along(places[0], height), _along(places[1], width))


def _along(first: Tensor, count: int) -> Tensor:
    """[B, count]: numbers from ``first`` [B] on."""
    return first[:, None] + torch.arange(count, device=first.device)


def _picked(x: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Of each sample of ``x`` [..., B, C, H, W] its own ``rows`` [B, h] and ``cols`` [B, w], all at once."""
    sample = torch.arange(len(rows), device=x.device)[:, None, None]
    pixels = x.movedim((-4, -2, -1), (0, 1, 2))[sample, rows[:, :, None], cols[:, None, :]]
    return pixels.movedim((0, 1, 2), (-4, -2, -1)).clone(memory_format=torch.contiguous_format)


def _cut_out(x: Tensor, side: int, generator: torch.Generator) -> Tensor:
    height, width = x.shape[-2:]
    number = (x.shape[-4], 1, 1, 1)
    rows, cols = (there(torch.randint(0, size, number, generator=generator), x.device) for size in (height, width))
    before, behind = side // 2, side - side // 2
    down, along = torch.arange(height, device=x.device)[:, None], torch.arange(width, device=x.device)
    row, col = down - rows, along - cols
    hole = (row >= -before) & (row < behind) & (col >= -before) & (col < behind)
    return x.masked_fill(hole, 0)


def _by_policy(x: Tensor, policy: str, generator: torch.Generator) -> Tensor:
    """AutoAugment (Cubuk et al., CVPR 2019) on images whose values lie between 0 and 1.

    As the published codes have it (`policy.published`) or as torchvision has it. Raises SP322 for samples that are no
    such images, and without torchvision where it is asked for.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or float(x.min()) < 0 or float(x.max()) > 1:
        fail(
            "SP322",
            f"policy = {policy!r} is for images of 1 or 3 channels between 0 and 1, these are {list(x.shape)}",
            mend="leave the policy out; samples are normalised after it",
        )
    images = (x * BYTE).round().to(torch.uint8)
    changed = published(images, generator) if policy == PUBLISHED else _by_torchvision(images, policy, generator)
    return there(changed, x.device).to(x.dtype) / BYTE


def _by_torchvision(images: Tensor, policy: str, generator: torch.Generator) -> Tensor:
    try:
        from torchvision.transforms import v2
    except (ImportError, RuntimeError) as error:  # the latter where it was built for another torch
        mend = "pip install 'spikeport[augment]', of the same build as torch"
        fail("SP322", f"policy = {policy!r} needs torchvision ({error})", mend=mend)
    transform = v2.AutoAugment(v2.AutoAugmentPolicy(policy))
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global state
        torch.manual_seed(int(torch.randint(0, 2**62, (), generator=generator)))
        return torch.stack([transform(image) for image in images])
