"""Augmentation: changed copies of an example, made while training; boxes, masks and points follow their image."""
