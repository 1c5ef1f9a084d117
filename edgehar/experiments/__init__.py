"""Experiments that chain the verbs: pipeline, cross-validation and suites."""
