"""The teacher network and the transformer layers it shares with the student."""
