"""Parameter groups: which learning rate and weight decay belong to which parameter."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ocngame._checks import non_negative
from ocngame.errors import InvalidInputError
from ocngame.games.network_control import NetworkControl

__all__ = ["Rates", "checked_group", "completed", "note_peaks", "require_same_parameters"]

_PEAK = "peak_lr"
_ALL = "decays_vectors"


def completed(model: nn.Module, groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Complete parameter groups by one of all parameters that none of them names.

    Args:
        model: The network.
        groups: Groups as torch takes them: "params" and options.

    Returns:
        The groups, each to be checked by `checked_group`, and that of the rest if there is any.
    """
    made = [{**group, "params": _listed(group)} for group in groups]
    taken = {id(parameter) for group in made for parameter in group["params"]}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    return [*made, {"params": rest}] if rest else made


def checked_group(model: nn.Module, group: Mapping[str, Any]) -> dict[str, Any]:
    """Check a parameter group, and note whether it has a weight decay of its own.

    Args:
        model: The network.
        group: A group as torch takes it: "params" and options.

    Returns:
        The group.

    Raises:
        InvalidInputError: if it has no "params", an unknown option or parameters that are not the
            network's.
    """
    params = _listed(group)
    unknown = sorted(set(group) - {"params", "lr", "weight_decay", "name"})
    if unknown:
        raise InvalidInputError(
            f"groups: expected the options 'lr' and 'weight_decay', got {unknown}"
        )
    for option in {"lr", "weight_decay"} & set(group):
        non_negative(f"groups.{option}", group[option])
    own = {id(parameter) for parameter in model.parameters()}
    if any(id(parameter) not in own for parameter in params):
        raise InvalidInputError(
            "groups: expected parameters of the model, got one that is not in it"
        )
    return {**group, "params": params, _ALL: "weight_decay" in group}


def _listed(group: Mapping[str, Any]) -> list[nn.Parameter]:
    if "params" not in group:
        raise InvalidInputError(f"groups: expected 'params' in a group, got {sorted(group)}")
    params = group["params"]
    return [params] if isinstance(params, nn.Parameter) else [*params]


def note_peaks(groups: Sequence[dict[str, Any]]) -> None:
    """Write the highest learning rate so far into every group.

    Args:
        groups: The optimizer's `param_groups`.
    """
    for group in groups:
        group[_PEAK] = max(float(group["lr"]), group.get(_PEAK, 0.0))


def require_same_parameters(model: nn.Module, known: Sequence[nn.Parameter]) -> None:
    """Refuse a network whose layers have been given other parameters.

    Args:
        model: The network.
        known: Its parameters when the optimizer was made.

    Raises:
        InvalidInputError: if they are no longer the same objects.
    """
    now = list(model.parameters())
    if len(now) != len(known) or any(a is not b for a, b in zip(now, known, strict=True)):
        raise InvalidInputError(
            "model: expected the parameters that the optimizer was made for, got others; make a "
            "new OCNOpt where layers or parameters are replaced"
        )


class Rates:
    """The options of every parameter."""

    def __init__(self, groups: Sequence[Mapping[str, Any]], growth: float = 0.0):
        """Read the groups of an optimizer as they are now.

        Args:
            groups: Its `param_groups`.
            growth: Power of `1 - lr / peak` that multiplies the weight decay; the peak is the
                highest learning rate that `note_peaks` has seen.
        """
        self._growth = growth
        self._group = {id(parameter): group for group in groups for parameter in group["params"]}

    def lr(self, parameter: nn.Parameter) -> float:
        """Give the learning rate of a parameter.

        Args:
            parameter: A parameter of the model.

        Returns:
            Its rate; 0 if it belongs to no group.
        """
        group = self._group.get(id(parameter))
        return 0.0 if group is None else float(group["lr"])

    def decay(self, parameter: nn.Parameter) -> float:
        """Give the part of a parameter that one step takes away.

        Args:
            parameter: A parameter of the model.

        Returns:
            Learning rate times weight decay times its growth; a rate above one, which does not
            lengthen the step of the trust region, does not raise the decay either. Offsets and
            scales, parameters of one dimension, decay only in a group with a decay of its own.
        """
        group = self._group.get(id(parameter))
        if group is None or not group["lr"] > 0:
            return 0.0
        if parameter.ndim < 2 and not group.get(_ALL, False):
            return 0.0
        lr = float(group["lr"])
        progress = 1 - lr / max(lr, group.get(_PEAK, lr))
        return min(lr, 1.0) * float(group["weight_decay"]) * progress**self._growth

    def of_controls(self, controls: Sequence[NetworkControl]) -> list[float]:
        """Give one learning rate per stage.

        Args:
            controls: The controls of the stages.

        Returns:
            Their rates.

        Raises:
            InvalidInputError: if the parameters of one layer have different rates.
        """
        found = []
        for control in controls:
            rates = {self.lr(parameter) for parameter in control.parameters}
            if len(rates) > 1:
                raise InvalidInputError(
                    f"groups: expected one learning rate for the parameters of {control.stage!r}, "
                    f"got {sorted(rates)}"
                )
            found.append(rates.pop())
        return found
