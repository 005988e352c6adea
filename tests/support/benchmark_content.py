"""Results of benchmarks, compared without what the clock decides."""

_TIMES = {
    "cpu_seconds",
    "budget",
    "drawn_at_budget",
    "deterministic_at_budget",
    "exploitability_at_budget",
}


def without_times(value):
    """The same plain data without processor times and what was read off at one."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in _TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value
