"""Explanations of a trained checkpoint with torch: gradients, and the methods of the board."""
