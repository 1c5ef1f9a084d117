"""The teacher's network."""
