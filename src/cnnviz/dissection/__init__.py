"""What features detect, by measurement (thesis section 4.3)."""
