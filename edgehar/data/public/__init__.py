"""Public data sets as their publishers offer them: reading and downloading."""
