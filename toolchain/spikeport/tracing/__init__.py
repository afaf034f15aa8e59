"""PyTorch modules and the authors' checkpoints become graphs."""

from spikeport.tracing.module import capture
from spikeport.tracing.registry import Cells, register_neuron

__all__ = ["Cells", "capture", "register_neuron"]
