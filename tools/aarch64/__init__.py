"""Comparison of the aarch64 wheels with x86-64."""
