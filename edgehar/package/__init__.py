"""The edge package on disk: manifest, folder and model card."""
