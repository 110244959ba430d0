"""Pascal VOC: an XML file of boxes for each image."""
