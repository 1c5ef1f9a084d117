"""Samplers of synthetic windows, which replace recordings in pruning and export."""
