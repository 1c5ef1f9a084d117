"""Evaluation of a package on recordings: accuracy, streams, robustness."""
