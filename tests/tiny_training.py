"""A training of a second: three classes of small images, a network of two convolutions."""

import torch

from spikeport.training.catalogue import method
from spikeport.training.networks import build
from spikeport.training.parts import Part

TINY = {
    "model": "tiny",
    "dataset": "digits",
    "network": "conv",
    "timesteps": 2,
    "epochs": 6,
    "batch": 20,
    "lr": 0.1,
    "method": "ds-atgo",
    "architecture": {"channels": [4, 8], "hidden": 16},
    "shift": 1,
}
SHORT = {"epochs": 2, "architecture.channels": [4, 8], "architecture.hidden": 16, "batch": 100}  #: of digits-conv


def blobs(count=240, seed=0):
    """Three classes of 8x8 images: a bright patch in one of three places, in noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 3
    x = 0.3 * torch.rand(count, 1, 8, 8, generator=generator)
    for k, (r, c) in enumerate([(0, 0), (0, 5), (5, 2)]):
        x[y == k, :, r : r + 3, c : c + 3] += 0.6
    return Part(x, y, "direct")


def network(recipe, seed=0):
    """The network of a recipe for these images."""
    torch.manual_seed(seed)
    return build(
        recipe.network,
        input_shape=(1, 8, 8),
        classes=3,
        timesteps=recipe.timesteps,
        train_with=method(recipe.method, **recipe.method_options),
        options=recipe.architecture,
    )
