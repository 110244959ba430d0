"""YOLO: a text file of boxes or outlines for each image."""
