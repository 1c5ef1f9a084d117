"""Self-supervised pretraining: masked autoencoder and contrastive loss."""
