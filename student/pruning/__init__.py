"""Structured pruning: criteria, allocation, removal and recovery."""
