"""Streaming: clocks, buffers, recognition per hop and segments."""
