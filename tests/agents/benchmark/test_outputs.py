"""Event files of TensorBoard, videos of other players, and files of suites of turns."""

import importlib
import json

import numpy as np
import pytest
from PIL import Image

from ocngame.agents import RandomDecider
from ocngame.agents.benchmark import Suite, run_benchmark
from ocngame.agents.benchmark import tensorboard as module
from ocngame.agents.benchmark.videos import can_be_drawn, draw_video, write_gif
from ocngame.cli import main
from ocngame.errors import InvalidInputError

CONTENT = {
    "results": [
        {"kind": "player", "world": "kuhn"},
        {
            "kind": "training",
            "world": "kuhn",
            "cell": "kuhn-a",
            "teams": {
                "player_0": {
                    "curve": {"frames": [1, 2], "drawn": [0.5, 0.6], "deterministic": [1.0, 2.0]}
                }
            },
            "exploitability_curve": {"frames": [1, 2], "value": [0.4, 0.3]},
        },
    ]
}


def test_curves_become_scalars(tmp_path, monkeypatch):
    written = []

    class Writer:
        def __init__(self, log_dir):
            self._folder = log_dir

        def add_scalar(self, tag, value, global_step):
            written.append((self._folder, tag, value, global_step))

        def close(self):
            written.append("closed")

    class Package:
        SummaryWriter = Writer

    monkeypatch.setattr(module, "import_module", lambda _: Package)
    module.write_tensorboard(CONTENT, tmp_path)
    folder = str(tmp_path / "kuhn-a")
    assert written == [
        (folder, "kuhn/player_0/drawn", 0.5, 1),
        (folder, "kuhn/player_0/drawn", 0.6, 2),
        (folder, "kuhn/player_0/deterministic", 1.0, 1),
        (folder, "kuhn/player_0/deterministic", 2.0, 2),
        (folder, "kuhn/exploitability", 0.4, 1),
        (folder, "kuhn/exploitability", 0.3, 2),
        "closed",
    ]


def test_without_tensorboard_nothing_is_begun(tmp_path, monkeypatch, capsys):
    def missing(name):
        if name == "torch.utils.tensorboard":
            raise ModuleNotFoundError("No module named 'tensorboard'")
        return importlib.import_module(name)

    monkeypatch.setattr(module, "import_module", missing)
    out = tmp_path / "out"
    assert main(["benchmark", "smoke", "--out", str(out), "--tensorboard", "True"]) == 2
    assert "needs the package tensorboard" in capsys.readouterr().err
    assert not out.exists()


def test_the_real_package_reads_them_back(tmp_path):
    pytest.importorskip("tensorboard")
    module.write_tensorboard(CONTENT, tmp_path)
    events = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    found = events.EventAccumulator(str(tmp_path / "kuhn-a"))
    found.Reload()
    values = [s.value for s in found.Scalars("kuhn/exploitability")]
    assert values == pytest.approx([0.4, 0.3])


def test_a_video_has_all_moments(tmp_path):
    path = tmp_path / "folder" / "video.gif"
    frames = draw_video(
        "simple_tag",
        lambda world, team: RandomDecider([g for g in world.groups if g.team == team]),
        path,
        seed=0,
    )
    assert frames == 51
    with Image.open(path) as video:
        assert video.n_frames > 40
        assert video.size == (240, 240)
    assert can_be_drawn("pursuit_evasion")
    assert not can_be_drawn("kuhn")
    with pytest.raises(InvalidInputError, match="can be drawn"):
        draw_video("kuhn", lambda *_: RandomDecider([]), path, seed=0)


def test_a_gif_keeps_its_pictures(tmp_path):
    frames = [np.full((8, 8, 3), k, np.uint8) for k in (0, 128, 255)]
    write_gif(frames, tmp_path / "v.gif")
    with Image.open(tmp_path / "v.gif") as video:
        assert video.n_frames == 3
    assert [p.name for p in tmp_path.iterdir()] == ["v.gif"]


def test_self_play_has_exploitability_along_the_run(tmp_path):
    suite = Suite(
        name="turns",
        worlds=("kuhn",),
        algorithms=("selfplay",),
        optimizers=("adam",),
        seeds=(0, 1),
        frames=256,
        points=2,
        point_episodes=8,
        episodes=8,
        crossplay_episodes=8,
        draws=100,
        settings={"evaluation_copies": 8},
        selfplay={"copies": 8, "horizon": 8, "learner": {"width": 8, "minibatch": 32}},
    )
    content = run_benchmark(suite, tmp_path)
    (floor, row) = content["exploitability"]
    assert (row["label"], row["kind"], row["runs"]) == ("selfplay adam", "exact", 2)
    assert floor["exploitability"]["value"] == pytest.approx(0.4583, abs=1e-4)
    assert row["exploitability_at_budget"]["value"] > 0
    trained = [r for r in content["results"] if r["kind"] == "training"]
    for result in trained:
        curve = result["exploitability_curve"]
        assert curve["frames"] == [128, 256]
        assert curve["value"][-1] == pytest.approx(sum(result["gains"].values()) / 2)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [p["title"] for p in kept["profiles"]][-1] == "kuhn"
