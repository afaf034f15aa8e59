spikeport quantize digits-conv --data digits --calibration 64 --skip rounding --out model.int.nir
spikeport compare digits-conv model.int.nir --data digits --max-accuracy-drop 0.01 --min-agreement 0.97 --out page --json
spikeport compare model.int.nir model.int.nir@onnxruntime --data digits --max-spike-mismatch 0
spikeport evaluate model.int.nir --data digits --json
