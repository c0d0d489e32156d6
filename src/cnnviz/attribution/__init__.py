"""What a neuron, feature or unit looks at in an image (thesis chapter 3)."""
