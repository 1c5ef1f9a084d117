"""Simulated people, their motion and their sensors."""
