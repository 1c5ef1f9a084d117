"""Serving people: one fleet for all lines of a stream, metrics and the watchdog of a service."""
