"""The teacher: a transformer, its masked pretraining and its fine-tuning (torch)."""

import os

# By default, OpenMP threads spin while they wait: with another busy process on two cores, a training step took 8 times
# as long. libgomp reads this when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
