import onnxruntime
from sklearn.datasets import load_digits

import spikeport

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32").reshape(-1, 1, 8, 8)
spikeport.export("digits-conv", "digits.onnx")
session = onnxruntime.InferenceSession("digits.onnx")
output, spikes = session.run(["output", "spikes/dense.neuron"], {"input": x[:100]})
accuracy = (output.argmax(1) == y[:100]).mean()
record = spikeport.simulate("digits.onnx", x[:100])
