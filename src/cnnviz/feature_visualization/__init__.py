"""Images that a feature responds to most: activation maximization (thesis section 3.1.1)."""
