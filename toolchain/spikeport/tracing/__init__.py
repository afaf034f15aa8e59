"""PyTorch modules, the authors' checkpoints and ONNX models of other tools' neurons become graphs."""

from spikeport.tracing.module import capture
from spikeport.tracing.registry import Cells, register_neuron
from spikeport.tracing.resting import refractory

__all__ = ["Cells", "capture", "refractory", "register_neuron"]
