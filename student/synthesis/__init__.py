"""Synthetic windows that pruning trains on in place of recordings."""
