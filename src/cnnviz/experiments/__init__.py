"""What is computed for the thesis's chapters and beyond them."""
