"""Simulated subjects, their motion and their sensors."""
