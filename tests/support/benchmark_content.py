"""Results of benchmarks, compared without what the clock decides."""

_TIMES = {"cpu_seconds", "budget", "drawn_at_budget", "deterministic_at_budget"}


def without_times(value, *more):
    """The same plain data without processor times and what was read off at one, nor `more`."""
    if isinstance(value, dict):
        left_out = {*_TIMES, *more}
        return {k: without_times(v, *more) for k, v in value.items() if k not in left_out}
    return [without_times(v, *more) for v in value] if isinstance(value, list) else value
