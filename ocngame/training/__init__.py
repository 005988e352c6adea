"""Whole jobs: loops, callbacks, checkpoints and run folders."""
