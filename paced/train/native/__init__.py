"""The compact training loop and all around it: batches, both models, checkpoints, metrics, several processes."""
