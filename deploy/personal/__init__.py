"""The last layer of a package with what a person added: features of windows, activities of their own."""
