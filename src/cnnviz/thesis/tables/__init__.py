"""One module per table of the thesis: numbers in, rows out."""
