"""Whatever happens to the newest checkpoint, a whole one is read or the damage is named."""

import json
import math

import pytest
import torch

from ocngame.errors import CheckpointError
from ocngame.training.checkpoint import CURRENT, PREVIOUS, read_checkpoint, write_checkpoint
from ocngame.training.metrics import MetricsLog, MetricsRow, read_metrics


def write_two(folder):
    for step in (1, 2):
        write_checkpoint(folder, {"step": step, "x": torch.arange(1000.0) + step})


def test_the_newest_is_read(tmp_path):
    write_two(tmp_path)
    content = read_checkpoint(tmp_path)
    assert content["step"] == 2
    assert torch.equal(content["x"], torch.arange(1000.0) + 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [PREVIOUS, CURRENT]


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_truncated_one_is_named_and_the_one_before_it_used(tmp_path, caplog, keep):
    write_two(tmp_path)
    path = tmp_path / CURRENT
    whole = path.read_bytes()
    size = int(len(whole) * keep) if isinstance(keep, float) else keep % len(whole)
    path.write_bytes(whole[:size])
    assert read_checkpoint(tmp_path)["step"] == 1
    assert f"{CURRENT} is truncated or damaged ({size} bytes); going on from" in caplog.text


def test_a_changed_byte_is_noticed(tmp_path, caplog):
    write_two(tmp_path)
    path = tmp_path / CURRENT
    content = bytearray(path.read_bytes())
    place = content.find(torch.arange(1000.0).add(2).numpy().tobytes()) + 2000
    assert place > 2000
    content[place] ^= 1
    path.write_bytes(bytes(content))
    assert read_checkpoint(tmp_path)["step"] == 1
    assert f"{CURRENT} is damaged" in caplog.text


def test_killed_between_the_two_renames(tmp_path):
    write_two(tmp_path)
    (tmp_path / CURRENT).unlink()
    assert read_checkpoint(tmp_path)["step"] == 1


def test_both_damaged(tmp_path):
    write_two(tmp_path)
    for name in (CURRENT, PREVIOUS):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=f"{CURRENT} is truncated.*{PREVIOUS} is truncated"):
        read_checkpoint(tmp_path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return print, ("hello",)

    torch.save({"step": Payload()}, tmp_path / CURRENT)
    with pytest.raises(
        CheckpointError, match=f"{CURRENT} has something else than plain data in it"
    ):
        read_checkpoint(tmp_path)


def row(step: int, loss: float = 0.5) -> MetricsRow:
    return MetricsRow(
        step=step,
        epoch=step / 10,
        optimizer="adam",
        batch_loss=loss,
        accepted=True,
        train_loss=loss,
        test_loss=loss,
        test_accuracy=0.9,
        cpu_seconds=0.1,
        details={"lr": 0.1, "ratio": math.nan},
    )


def test_metrics_are_json_lines_that_can_be_cut_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.append([row(1), row(2, math.inf)])
    size = log.sync()
    log.append([row(3)])
    log.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]
    back = MetricsLog(path, size)
    back.append([row(4)])
    back.close()
    rows = read_metrics(path)
    assert [r.step for r in rows] == [1, 2, 4]
    assert math.isnan(rows[1].train_loss)
    assert math.isnan(rows[0].details["ratio"])
    assert rows[0].details["lr"] == 0.1
    with path.open("a") as file:
        file.write('{"step": 5, "ep')
    assert [r.step for r in read_metrics(path)] == [1, 2, 4]


def test_metrics_shorter_than_the_checkpoint_says(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("{}\n")
    with pytest.raises(CheckpointError, match=r"expected at least 100 bytes.* got 3"):
        MetricsLog(path, 100)
    assert path.read_text() == "{}\n"


def test_only_one_process_writes_to_a_run(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.append([row(1)])
    with pytest.raises(CheckpointError, match="another process is going on with it"):
        MetricsLog(path)
    log.close()
    assert [r.step for r in read_metrics(path)] == [1]
    MetricsLog(path).close()
