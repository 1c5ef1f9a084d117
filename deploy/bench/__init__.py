"""Benchmarks: latency, memory, energy, cold start, tuning."""
