"""Clocks of the sensors of a stream: jumps, drift, samples held until a clock is known, and how many were lost."""
