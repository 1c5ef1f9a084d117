"""Latency of the runtimes and of pruned packages."""
