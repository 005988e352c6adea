"""Solvers: who iterates the Bellman recursion."""
