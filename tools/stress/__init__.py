"""Endurance and robustness of streams and packages."""
