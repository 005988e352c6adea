"""How good a network is: losses and accuracy over all samples."""

from dataclasses import dataclass

import torch
from torch import nn

from ocngame.training.datasets import LabelledData

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good a network is.

    Attributes:
        train_loss: Mean loss over all training samples.
        test_loss: Mean loss over all test samples.
        test_accuracy: Fraction of the test samples classified rightly.
    """

    train_loss: float
    test_loss: float
    test_accuracy: float


def evaluate(model: nn.Module, data: LabelledData) -> Evaluation:
    """Measure a network on all samples.

    Args:
        model: The network; its mode is left as it was.
        data: Training and test samples.

    Returns:
        Losses and accuracy.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            train = nn.functional.cross_entropy(model(data.x_train), data.y_train)
            output = model(data.x_test)
            test = nn.functional.cross_entropy(output, data.y_test)
            hits = (output.argmax(-1) == data.y_test).double().mean()
    finally:
        model.train(was_training)
    return Evaluation(train_loss=float(train), test_loss=float(test), test_accuracy=float(hits))
