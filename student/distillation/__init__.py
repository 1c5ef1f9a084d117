"""Distillation: teacher ensemble, objective, pseudo-labels and initialisation."""
