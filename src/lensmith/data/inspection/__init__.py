"""The audit: look at the data before anything is trained on it."""
