"""Augmentation of windows during training."""
