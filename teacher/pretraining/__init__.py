"""Self-supervised pretraining: masked prediction and contrast."""
