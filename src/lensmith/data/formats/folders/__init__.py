"""Folders of images: the label is the name of the folder, a part of the file name, or not there."""
