"""Explanations of one prediction: which steps, sensors, joints and axes made the answer."""
