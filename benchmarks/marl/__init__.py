"""Players of the adversarial worlds against each other."""
