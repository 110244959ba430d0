"""Images, and for each a file of its name that says what is on it: what YOLO and masks have in common."""
