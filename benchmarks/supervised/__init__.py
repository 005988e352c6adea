"""OCNOpt at its defaults against tuned peers on small supervised tasks."""
