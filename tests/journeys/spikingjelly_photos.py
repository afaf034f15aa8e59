from spikingjelly.activation_based import neuron
from spikingjelly.activation_based.model.spiking_resnet import BasicBlock, SpikingResNet

import spikeport

net = SpikingResNet(BasicBlock, [1, 1, 1, 1], num_classes=2, spiking_neuron=neuron.LIFNode)
model = spikeport.load_model(net, data="photos", timesteps=4)
spikeport.export(model, "resnet.nir")
evaluation = spikeport.evaluate("resnet.nir", "photos")
fits = spikeport.fit("resnet.nir", chip="loihi2", picture="cores.svg")
print(evaluation, fits.bounds["shared"].sentence)
