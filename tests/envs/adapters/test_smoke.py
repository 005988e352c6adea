"""Whatever is installed of the known collections, 300 random frames each, twice, bitwise alike.

Pistonball draws every frame (about 0.15 s), so it gets 60 frames. Atari needs ROMs and is left out.
"""

from importlib.util import find_spec

import pytest

from ocngame.envs import check_world, make
from ocngame.envs.adapters.names import known_names

NEEDS = {"mpe2.": "mpe2", "sisl/": "pygame", "butterfly/": "pygame", "classic/": "rlcard"}

NAMES = [name for name in known_names() if name.startswith(tuple(NEEDS))]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_three_hundred_frames(name: str) -> None:
    package = next(package for start, package in NEEDS.items() if name.startswith(start))
    if find_spec(package) is None:
        pytest.skip(f"needs {package}")
    check_world(
        lambda: make(name, batch_size=2), episodes=10**6, limit=30 if "pistonball" in name else 150
    )
