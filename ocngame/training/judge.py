r"""A judge of generated images: a small classifier that was trained on the same data.

It gives, for a batch of images,

* classes: of how many classes at least a share of `1 / (5 classes)` was made;
* confidence: the mean probability of the likeliest class;
* distance: the Frechet distance of Gaussians fitted to the last hidden layer on generated and on
  held-out images (Heusel et al., 1706.08500, equation 6),

    |m - m'|^2 + tr(C + C' - 2 (C C')^{1/2}),

which sees what confidence does not: images that are not like the data, or all alike.
"""

import torch
from torch import Tensor, nn

from ocngame.training.datasets import LabelledData

__all__ = ["Judge", "frechet_distance"]

_EPOCHS = 12
_BATCH = 100
_WIDTHS = (128, 64)


class Judge:
    """A classifier and what it holds of held-out data.

    Attributes:
        accuracy: Share of held-out images that it classifies well.
        confidence: Its mean confidence on held-out images.
        floor: Distance of the training images to the held-out ones.
    """

    def __init__(self, data: LabelledData, *, seed: int = 0):
        """Train the classifier.

        Args:
            data: Images as rows of features.
            seed: Seed of weights and batches.
        """
        self._classes = data.classes
        noise = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            first, second = _WIDTHS
            self._body = nn.Sequential(
                nn.Linear(data.x_train.shape[1], first), nn.ReLU(), nn.Linear(first, second)
            )
            self._head = nn.Sequential(nn.ReLU(), nn.Linear(second, data.classes))
        net, cost = nn.Sequential(self._body, self._head), nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(_EPOCHS):
            for rows in torch.randperm(len(data.x_train), generator=noise).split(_BATCH):
                optimizer.zero_grad()
                cost(net(data.x_train[rows]), data.y_train[rows]).backward()
                optimizer.step()
        features, likely = self._look(data.x_test)
        self._features = features
        self.accuracy = float((likely.argmax(1) == data.y_test).float().mean())
        self.confidence = float(likely.max(1).values.mean())
        self.floor = frechet_distance(self._look(data.x_train)[0], features)

    def __call__(self, images: Tensor) -> dict[str, float]:
        """Judge images.

        Args:
            images: Shape (S, height, width).

        Returns:
            Numbers by name.
        """
        features, likely = self._look(images.reshape(len(images), -1))
        counts = torch.bincount(likely.argmax(1), minlength=self._classes)
        covered = counts >= len(images) / (5 * self._classes)
        return {
            "classes": float(covered.sum()),
            "confidence": float(likely.max(1).values.mean()),
            "distance": frechet_distance(features, self._features),
        }

    @torch.no_grad()
    def _look(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        features = self._body(rows)
        return features, self._head(features).softmax(1)


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """Measure how far the Gaussians fitted to two samples are apart.

    Args:
        one: Shape (S, d).
        other: Shape (S', d).

    Returns:
        The squared distance.
    """
    one, other = one.to(torch.float64), other.to(torch.float64)
    shift = float((one.mean(0) - other.mean(0)).square().sum())
    first, second = torch.cov(one.mT), torch.cov(other.mT)
    values, vectors = torch.linalg.eigh(first)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.mT
    both = torch.linalg.eigvalsh(root @ second @ root).clamp_min(0).sqrt().sum()
    return shift + float(first.trace() + second.trace() - 2 * both)
