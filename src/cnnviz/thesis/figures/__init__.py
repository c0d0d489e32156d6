"""One module per figure of the thesis, named by its number."""
