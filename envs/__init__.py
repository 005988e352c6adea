"""Worlds: environments that games are played in."""
