"""Measures whether explanations show what a network used."""
