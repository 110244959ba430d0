"""COCO: a JSON file of boxes and outlines."""
