"""Lava processes for what Lava cannot express. Lava runs every file of this folder, so nothing else may lie here."""
