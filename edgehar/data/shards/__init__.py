"""Recordings packed once into Parquet files, which pretraining reads in order without holding them in memory."""
