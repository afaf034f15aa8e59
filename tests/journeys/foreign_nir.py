import numpy as np

import spikeport

frames = np.load("frames.npy")  # [steps, samples, channels]
record = spikeport.simulate("other.nir", frames, frames=True, dt=1e-3, membranes=True, out="run")
record.plot(graph=spikeport.load_model("other.nir", dt=1e-3).graph).save("raster.svg")
page = spikeport.report("run")
