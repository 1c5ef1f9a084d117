"""Distillation: teacher ensemble, pseudo-labels and initialisation."""
