"""Deciders: what acts in an environment."""
