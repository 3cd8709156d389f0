"""Other trainers that can carry the weights."""
