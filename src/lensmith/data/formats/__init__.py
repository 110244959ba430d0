"""The formats in which examples lie on a disk: one file each, with a reader and a writer."""
