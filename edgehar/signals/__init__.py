"""Signals: clips, modalities, preprocessing, windows and sensor faults."""
