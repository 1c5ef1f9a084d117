"""Training shared by teacher and student: loop, batches, checkpoints."""
