"""Whole multi-agent runs: the job, its metrics and pictures, and trained teams read back."""

from ocngame.agents.training.job import MarlJob
from ocngame.agents.training.load import load_team
from ocngame.agents.training.rows import MarlRow, read_marl_rows
from ocngame.agents.training.train import train

__all__ = ["MarlJob", "MarlRow", "load_team", "read_marl_rows", "train"]
