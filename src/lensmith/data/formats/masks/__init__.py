"""A PNG of class indices for each image."""
