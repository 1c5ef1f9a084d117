"""Quantisation, calibration, verification and signing of packages."""
