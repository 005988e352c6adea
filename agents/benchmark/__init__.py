"""Benchmarks of learning teams: suites, crash-safe cells, statistics, cross-play, reports."""

from ocngame.agents.benchmark.built_in import SUITES
from ocngame.agents.benchmark.crossplay import CrossPlay
from ocngame.agents.benchmark.entrants import Entrant, as_decider, entrant_of
from ocngame.agents.benchmark.profiles import performance_profile
from ocngame.agents.benchmark.ratings import elo_ratings
from ocngame.agents.benchmark.runner import run_benchmark
from ocngame.agents.benchmark.statistics import (
    Interval,
    inter_quartile_mean,
    stratified_bootstrap,
)
from ocngame.agents.benchmark.suite import Suite
from ocngame.agents.benchmark.suite_file import load_suite

__all__ = [
    "SUITES",
    "CrossPlay",
    "Entrant",
    "Interval",
    "Suite",
    "as_decider",
    "elo_ratings",
    "entrant_of",
    "inter_quartile_mean",
    "load_suite",
    "performance_profile",
    "run_benchmark",
    "stratified_bootstrap",
]
