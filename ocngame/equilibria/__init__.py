"""Is it an equilibrium? Residuals, second-order checks, deviation gains."""
