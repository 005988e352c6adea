"""Ready games, each with a start from which it is known to be solved."""
