"""What a network is: nodes, edges, and what their numbers mean. Needs numpy only."""

from spikeport.graph.adaptive import ALIF
from spikeport.graph.arithmetic import Arithmetic
from spikeport.graph.arrays import Array, over_neurons, same_bits, schedule_over_neurons
from spikeport.graph.bounds import Range
from spikeport.graph.graph import Edge, Graph
from spikeport.graph.loihi import Loihi
from spikeport.graph.neurons import LIF, CubaLIF
from spikeport.graph.node import Node, Shape
from spikeport.graph.operations import (
    OPERATIONS,
    Concat,
    Dilate,
    Gate,
    MatMul,
    Maximum,
    Operation,
    Repeat,
    Reshape,
    Slice,
    StepAffine,
    Sum,
)
from spikeport.graph.peak import Peak
from spikeport.graph.plumbing import Coding, Delay, Flatten, Input, Norm, Pool, Readout, Scale
from spikeport.graph.profile import DECAY_ONE, LOIHI1, LOIHI2, SPECK, STATE_SHIFT, XYLO, Profile
from spikeport.graph.real import Real
from spikeport.graph.samples import Samples
from spikeport.graph.synapses import Conv, Linear, Synapse

__all__ = [
    "ALIF",
    "DECAY_ONE",
    "LIF",
    "LOIHI1",
    "SPECK",
    "LOIHI2",
    "OPERATIONS",
    "STATE_SHIFT",
    "Arithmetic",
    "Array",
    "Coding",
    "Concat",
    "Conv",
    "CubaLIF",
    "Delay",
    "Dilate",
    "Edge",
    "Flatten",
    "Gate",
    "Graph",
    "Input",
    "Linear",
    "Loihi",
    "MatMul",
    "Maximum",
    "Node",
    "Norm",
    "Operation",
    "Peak",
    "Pool",
    "Profile",
    "Range",
    "Readout",
    "Real",
    "Repeat",
    "Reshape",
    "Samples",
    "Scale",
    "Shape",
    "Slice",
    "StepAffine",
    "Sum",
    "Synapse",
    "XYLO",
    "over_neurons",
    "same_bits",
    "schedule_over_neurons",
]
