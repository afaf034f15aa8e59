"""Mutation testing: cosmic-ray makes small changes to the code, and the tests of the room must notice them."""
