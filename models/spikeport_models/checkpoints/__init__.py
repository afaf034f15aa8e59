"""Shipped models: a checkpoint and its card each."""
