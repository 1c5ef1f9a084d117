"""Metrics of classification, segmentation, calibration and detection delay."""
