"""Data sets: loading, checking, splitting and downloading."""
