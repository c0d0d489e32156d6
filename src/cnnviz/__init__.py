"""Replication of Kalmeijer (2016): features learned by convolutional networks."""

__version__ = "0.1.0"
