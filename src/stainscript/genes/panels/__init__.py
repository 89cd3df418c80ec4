"""Which genes a method predicts."""
