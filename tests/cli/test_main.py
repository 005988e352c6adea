"""The command line as a person sees it: tables, one-sentence errors, exit codes, kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ocngame.cli import main

QUICK = ["--data", "wine", "--width", "8", "--depth", "1", "--epochs", "3", "--batch-size", "32"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str) -> int:
    """Call the program in this process; the parser ends it with SystemExit."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def test_train_evaluate_resume(tmp_path, capsys):
    folder = str(tmp_path / "run")
    assert run("train", "supervised", *QUICK, "--out", folder) == 0
    shown = capsys.readouterr().out
    for name in ("OCNOpt", "Adam", "SGD+momentum", "accuracy", "CPU s", "/ Adam"):
        assert name in shown
    names = {p.name for p in Path(folder).iterdir()} - {"checkpoint.previous.pt"}
    assert names == {"config.json", "metrics.jsonl", "checkpoint.pt", "curves.png", "game.png"}
    assert run("evaluate", folder) == 0
    table = [line for line in shown.splitlines() if "OCNOpt " in line]
    assert table == [line for line in capsys.readouterr().out.splitlines() if "OCNOpt " in line]
    assert run("resume", folder) == 0
    assert "going on from step 12 of 12" in capsys.readouterr().out


def test_default_folder_has_data_set_and_time_in_its_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("train", "supervised", *QUICK, "--optimizers", "adam") == 0
    assert run("train", "supervised", *QUICK, "--optimizers", "adam") == 0
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all(f.name.startswith("supervised-wine-20") for f in folders)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epohcs", "3"], "--epochs"),
        (["--schedule", "cos"], "cosine"),
        (["--epochs", "few"], "--epochs"),
        (["--data", "digit"], "ocngame: data: unknown name 'digit'; did you mean 'digits'?"),
        (["--adam.lr", "-0.1"], "ocngame: adam.lr: expected a finite number above 0, got -0.1"),
        (["--ocnopt.lr", "-1"], "ocngame: ocnopt.lr: expected a finite number above 0, got -1.0"),
        (["--epochs", "0"], "ocngame: epochs: expected an integer of at least 1, got 0"),
        (["--model", "fixed:net"], "ocngame: model: Sequential has no stage with a control"),
        (["--data", "nan.npz"], "ocngame: data nan.npz: x: expected finite numbers, got 1 "),
        (["--device", "abacus"], "ocngame: device: expected a torch device that is here"),
        (["--batch-size", "9999"], "ocngame: batch_size: expected at most the 142 training"),
        (["--out", "earlier"], "ocngame: out: expected a folder that does not exist yet"),
    ],
)
def test_bad_usage_is_one_sentence_and_code_2(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "config.json").write_text("{}")
    (tmp_path / "fixed.py").write_text(
        "from torch import nn\n"
        "def net(i, o): return nn.Sequential(nn.Tanh(), nn.AdaptiveAvgPool1d(o))\n"
    )
    x = np.ones((50, 3))
    x[4, 1] = np.nan
    np.savez(tmp_path / "nan.npz", x=x, y=np.arange(50) % 2)
    before = sorted(tmp_path.rglob("*"))
    assert run("train", "supervised", "--data", "wine", *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    if message.startswith("ocngame: "):
        assert len(captured.err.strip().splitlines()) == 1
    left = [p for p in sorted(tmp_path.rglob("*")) if "__pycache__" not in str(p)]
    assert left == before


def test_folders_that_cannot_be_read_are_code_1(tmp_path, capsys):
    for command in ("resume", "evaluate"):
        assert run(command, str(tmp_path)) == 1
        assert "is not a run folder: it has no config.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["train", "resume", "evaluate"]),
        ([], ["train", "resume", "evaluate"]),
        (["train", "--help"], ["supervised", "Train a network as a game"]),
        (["train", "supervised", "--help"], ["--ocnopt.feedback", "runs/supervised-DATA-TIME"]),
        (["resume", "--help"], ["Run folder"]),
        (["evaluate", "--help"], ["Run folder"]),
    ],
)
def test_help(capsys, arguments, words):
    assert run(*arguments) == 0
    shown = capsys.readouterr().out
    assert [word for word in words if word not in shown] == []
    assert "tyro" not in shown


def start(folder: Path, *options: str, output: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    code = "import sys; from ocngame.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "train", "supervised", *QUICK, *options]
    return subprocess.Popen([*command, "--out", str(folder)], stdout=output, stderr=output)


def metrics(folder: Path) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "cpu_seconds"} for line in lines]


LONG = ["--epochs", "40", "--checkpoint-every", "7"]
SLOW = [pytest.param(rows, marks=pytest.mark.slow) for rows in (1, 40, 333)]


@pytest.mark.parametrize("rows", [100, *SLOW])
def test_a_run_killed_at_any_time_resumes(tmp_path, rows):
    """Kill with SIGKILL once so many rows are there; the result equals a run never stopped."""
    assert run("train", "supervised", *QUICK, *LONG, "--out", str(tmp_path / "whole")) == 0
    killed = start(tmp_path / "killed", *LONG)
    log = tmp_path / "killed" / "metrics.jsonl"
    while not (log.exists() and log.read_bytes().count(b"\n") >= rows):
        assert killed.poll() is None
        time.sleep(0.001)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert run("resume", str(tmp_path / "killed")) == 0
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    contents = [
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["contenders"]
        for name in ("whole", "killed")
    ]
    for name, content in contents[0].items():
        for key, value in content["model"].items():
            assert torch.equal(value, contents[1][name]["model"][key])


def test_ctrl_c_says_how_to_go_on(tmp_path):
    process = start(tmp_path / "run", "--epochs", "5000", output=subprocess.PIPE)
    while not (tmp_path / "run" / "metrics.jsonl").exists() or not metrics(tmp_path / "run"):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output = b"".join(process.communicate()).decode()
    assert process.returncode == 130
    assert "interrupted; go on with: ocngame resume" in output
    assert "Traceback" not in output


def test_a_truncated_checkpoint_is_named(tmp_path, capsys):
    folder = tmp_path / "run"
    assert run("train", "supervised", *QUICK, "--checkpoint-every", "5", "--out", str(folder)) == 0
    expected = metrics(folder)
    capsys.readouterr()
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])
    assert run("resume", str(folder)) == 0
    captured = capsys.readouterr()
    assert "checkpoint.pt is truncated or damaged" in captured.err
    assert "going on from step 10 of 12" in captured.out
    assert metrics(folder) == expected
