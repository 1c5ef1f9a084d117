"""Warnings about recordings that can be read and are probably not as they were meant."""
