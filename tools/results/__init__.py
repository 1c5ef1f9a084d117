"""Tables and figures of the documentation, rendered from docs/results."""
