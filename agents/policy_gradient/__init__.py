"""Policy-gradient agents: rollouts, advantages, the clipped surrogate, and who descends it."""
