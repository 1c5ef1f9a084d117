"""What a sample is: clips, modalities, preprocessing, windows and sensor faults."""
