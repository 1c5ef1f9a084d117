"""Benchmarks: latency, memory, energy, cold start and tuning."""
