"""The verbs that learn from a person's recordings, without torch: enrol, correct, adapt, forget."""
