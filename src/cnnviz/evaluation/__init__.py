"""Whether attribution maps are right."""
