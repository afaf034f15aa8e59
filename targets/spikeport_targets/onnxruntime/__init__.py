"""onnxruntime as a target: the exported ONNX model, run by somebody else's engine."""

from spikeport_targets.onnxruntime.target import OnnxRuntime, cuda

__all__ = ["OnnxRuntime", "cuda"]
