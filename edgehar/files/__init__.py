"""Safe file access: atomic writes, locks, archives, strict JSON and npz."""
