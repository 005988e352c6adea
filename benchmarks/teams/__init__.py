"""Teams with conflicting costs: bargaining against sums and published multi-task methods."""
