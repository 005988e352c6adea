"""The continuous-time job: data, models, contenders, pictures."""
