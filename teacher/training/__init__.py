"""Training shared by teacher and student: data, batches, loop, checkpoints."""
