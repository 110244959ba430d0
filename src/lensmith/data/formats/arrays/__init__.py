"""Arrays: in memory, in NumPy and idx files, and the data that scikit-learn carries."""
