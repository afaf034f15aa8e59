"""Data sets: each a `Source` that an entry point names; nothing is downloaded."""
