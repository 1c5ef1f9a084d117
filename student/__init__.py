"""Workstation side: distillation, data-free pruning and export of the lite network."""
