"""The student network: distillation, data-free pruning, export, and baselines."""
