"""Baseline classifiers to compare with."""
