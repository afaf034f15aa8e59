import snntorch as snn
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import spikeport

x, y = load_digits(return_X_y=True)
loader = DataLoader(TensorDataset(torch.tensor(x / 16).float(), torch.tensor(y)), batch_size=64)
net = nn.Sequential(nn.Linear(64, 32), snn.Leaky(beta=0.9, init_hidden=True), nn.Linear(32, 10))
integers = spikeport.quantize(net, data=loader, timesteps=8, calibration=64)
comparison = spikeport.compare(net, integers.graph, loader, limit=100, timesteps=8)
costs = spikeport.energy(integers.graph, loader, limit=20)
print(comparison, costs.verdicts)
