"""Workstation side: the large transformer, its masked pretraining and its fine-tuning."""
