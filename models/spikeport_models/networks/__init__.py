"""Networks: each a function of the input's shape, the classes, the timesteps and the method, with its own options."""
