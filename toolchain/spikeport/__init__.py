"""spikeport: from a trained PyTorch spiking network to Loihi arithmetic, with proof that it is still the same."""

__version__ = "0.1.0"
