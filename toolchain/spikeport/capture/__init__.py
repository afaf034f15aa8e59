"""PyTorch modules and the authors' checkpoints become graphs."""

from spikeport.capture.module import capture
from spikeport.capture.registry import Cells, register_neuron

__all__ = ["Cells", "capture", "register_neuron"]
