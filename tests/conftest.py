"""Settings of every test: one torch thread, repeatable hypothesis in CI."""

import os
from collections.abc import Iterator

import hypothesis
import jaxtyping
import pytest
import torch

torch.set_num_threads(1)

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def as_user() -> Iterator[None]:
    """Call the library as it is installed: without the type checks that pytest switches on.

    For tests of the library's own answer to an argument of the wrong type.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
