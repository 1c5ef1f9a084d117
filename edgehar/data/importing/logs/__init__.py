"""Tables of loggers become recordings: which file and row belongs to which recording, sensor and label."""
