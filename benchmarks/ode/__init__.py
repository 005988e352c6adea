"""OCNOpt in continuous time against Adam and SGD tuned on grids."""
