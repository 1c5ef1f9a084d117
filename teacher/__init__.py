"""Workstation side: the large transformer, its masked pretraining and its fine-tuning."""

import os

# torch's OpenMP threads otherwise burn their time slice waiting for each other: with one other busy process on two
# cores a training step took 8 times as long. Read by libgomp when torch is loaded, so it is set before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
