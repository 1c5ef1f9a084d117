"""Structured pruning: importance, allocation, removal and recovery."""
