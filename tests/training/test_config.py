"""Settings of the supervised job: each bad value is named, and they survive JSON."""

import json
import subprocess
import sys
from dataclasses import fields
from typing import get_args

import pytest

from ocngame.errors import InvalidInputError
from ocngame.solvers.ocnopt import Feedback
from ocngame.training import config as settings
from ocngame.training.config import (
    AdamSettings,
    OCNOptSettings,
    SGDSettings,
    SupervisedConfig,
    config_from_dict,
)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OCNOptSettings(lr=-1.0), "ocnopt.lr: expected a finite number above 0, got -1.0"),
        (lambda: OCNOptSettings(weight_decay=-1.0), "ocnopt.weight_decay: .* at least 0"),
        (lambda: OCNOptSettings(feedback="on"), "ocnopt.feedback: unknown name 'on'"),
        (lambda: AdamSettings(lr=0.0), "adam.lr: .* above 0, got 0.0"),
        (lambda: SGDSettings(lr=float("nan")), "sgd.lr: .* got nan"),
        (lambda: SGDSettings(momentum=1.0), "sgd.momentum: .* got 1.0"),
        (lambda: SupervisedConfig(scaling="std"), "scaling: unknown name 'std'"),
        (lambda: SupervisedConfig(activation="thanh"), "did you mean 'tanh'"),
        (lambda: SupervisedConfig(schedule="cosin"), "did you mean 'cosine'"),
        (lambda: SupervisedConfig(optimizers=("lbfgs",)), "optimizers: unknown name 'lbfgs'"),
        (lambda: SupervisedConfig(optimizers=()), "optimizers: expected at least one"),
        (lambda: SupervisedConfig(optimizers=("adam", "adam")), "each once"),
        (lambda: SupervisedConfig(test_fraction=1.0), "test_fraction"),
        (lambda: SupervisedConfig(target_loss=0.0), "target_loss"),
        (lambda: SupervisedConfig(depth=-1), "depth: expected an integer of at least 0, got -1"),
        (lambda: SupervisedConfig(seed=-1), "seed"),
        (lambda: SupervisedConfig(width=0), "width"),
        (lambda: SupervisedConfig(epochs=0), "epochs"),
        (lambda: SupervisedConfig(batch_size=0), "batch_size"),
        (lambda: SupervisedConfig(evaluate_every=0), "evaluate_every"),
        (lambda: SupervisedConfig(checkpoint_every=0), "checkpoint_every"),
        (lambda: SupervisedConfig(threads=0), "threads"),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_settings_survive_json():
    config = SupervisedConfig(
        epochs=3, optimizers=("sgd", "ocnopt"), ocnopt=OCNOptSettings(lr=0.5), seed=7
    )
    assert config_from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("change", [{"epocs": 3}, {"adam": {"rate": 1.0}}, {"adam": None}])
def test_foreign_settings_are_refused(change):
    with pytest.raises(InvalidInputError, match="config: expected the settings of a run"):
        config_from_dict(SupervisedConfig().as_dict() | change)


def test_feedback_choices_are_the_solvers():
    assert set(get_args(settings.Feedback)) == set(Feedback)


@pytest.mark.parametrize(
    "kind", [SupervisedConfig, OCNOptSettings, AdamSettings, SGDSettings], ids=lambda k: k.__name__
)
def test_every_setting_is_explained(kind):
    text = kind.__doc__
    assert text is not None
    assert [f.name for f in fields(kind) if f"        {f.name}: " not in f"    {text}"] == []


def test_help_does_not_wait_for_torch():
    code = (
        "import sys; from ocngame.cli import main; "
        "sys.exit('torch' in sys.modules or 'ocngame.cli.supervised' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
