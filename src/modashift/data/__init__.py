"""Data in: one internal layout, and a reader for every file layout of the field."""
