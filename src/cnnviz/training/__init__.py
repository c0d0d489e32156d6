"""Training of the networks of chapters 4 and 5."""
