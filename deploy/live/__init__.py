"""Live recognition: sources, sinks and the terminal view."""
