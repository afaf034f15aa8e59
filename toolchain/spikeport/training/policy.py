"""AutoAugment's policy for CIFAR-10 as the public codes of MPD-AGL and DS-ATGO have it (data_loader/data_augment.py).

Its 25 pairs of operations are those of Cubuk et al., CVPR 2019, appendix, but for the probability 0.8 (there 0.6) of
the 17th pair's second one; the operations are Pillow's. torchvision fills with black where these codes fill with grey,
rotates both ways, and shears without smoothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

GREY = 128  #: what moves in from outside an image, of 255
STEPS = 9  #: the highest magnitude of an operation; the lowest is 0
ENHANCED = 0.9  #: by how much colour, contrast, sharpness or brightness change at most, of 1
DRAWS = 5  #: numbers an image: its pair, and for each operation whether it happens and which way it goes

#: operation, its probability, its magnitude; two of them an image
PAIRS = (
    (("invert", 0.1, 7), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 3)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 8), ("equalize", 0.8, 4)),
    (("color", 0.9, 9), ("equalize", 0.6, 6)),
    (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 8), ("invert", 0.1, 3)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1)),
)


def published(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images [B, 1 or 3, H, W] of bytes, each changed by one of `PAIRS`; what is drawn comes from ``generator``."""
    from PIL import Image

    draws = torch.rand(len(images), DRAWS, generator=generator, dtype=torch.float64).tolist()
    changed = []
    for pixels, (which, *chances) in zip(images.cpu().movedim(1, -1).numpy(), draws, strict=True):
        image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        for (name, probability, magnitude), happens, way in zip(
            PAIRS[int(which * len(PAIRS))], chances[::2], chances[1::2], strict=True
        ):
            if happens < probability:
                image = OPERATIONS[name](image, magnitude / STEPS, 1 if way < 0.5 else -1)
        changed.append(torch.from_numpy(np.array(image).reshape(pixels.shape)))
    return torch.stack(changed).movedim(-1, 1).contiguous()


Operation = Callable[[Any, float, int], Any]  #: of an image, a magnitude between 0 and 1, and 1 or -1: which way


def _moved(image: Any, matrix: tuple[float, ...], smooth: bool = False) -> Any:
    """Each pixel (x, y) is what was at (a x + b y + c, d x + e y + f)."""
    from PIL import Image

    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return image.transform(image.size, Image.Transform.AFFINE, matrix, how, fillcolor=_grey(image))


def _grey(image: Any) -> Any:
    return GREY if image.mode == "L" else (GREY,) * 3


def _enhanced(kind: str) -> Operation:
    def enhance(image: Any, magnitude: float, way: int) -> Any:
        from PIL import ImageEnhance

        return getattr(ImageEnhance, kind)(image).enhance(1 + ENHANCED * magnitude * way)

    return enhance


def _by_levels(name: str, amount: Callable[[float], tuple[float, ...]] = lambda magnitude: ()) -> Operation:
    def change(image: Any, magnitude: float, way: int) -> Any:
        from PIL import ImageOps

        return getattr(ImageOps, name)(image, *amount(magnitude))

    return change


FURTHEST = 150 / 331  #: of a side, a translation
OPERATIONS: dict[str, Operation] = {
    "shear_y": lambda image, m, way: _moved(image, (1, 0, 0, 0.3 * m * way, 1, 0), smooth=True),
    "translate_x": lambda image, m, way: _moved(image, (1, 0, FURTHEST * m * image.width * way, 0, 1, 0)),
    "translate_y": lambda image, m, way: _moved(image, (1, 0, 0, 0, 1, FURTHEST * m * image.height * way)),
    "rotate": lambda image, m, way: image.rotate(30 * m, fillcolor=_grey(image)),  # degrees, one way only
    "color": _enhanced("Color"),
    "contrast": _enhanced("Contrast"),
    "sharpness": _enhanced("Sharpness"),
    "brightness": _enhanced("Brightness"),
    "posterize": _by_levels("posterize", lambda m: (round(8 - 4 * m),)),  # bits that stay
    "solarize": _by_levels("solarize", lambda m: (256 * (1 - m),)),  # inverted from this level on
    "autocontrast": _by_levels("autocontrast"),
    "equalize": _by_levels("equalize"),
    "invert": _by_levels("invert"),
}
