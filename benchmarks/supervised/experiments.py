"""Experiments beside the comparison: sensitivity, ablation, vanishing gradients, batches."""

from collections.abc import Sequence

from benchmarks.supervised.campaign import Campaign, installed
from benchmarks.supervised.tasks import TASKS, task_named
from ocngame.solvers.ocnopt.decay import WEIGHT_DECAY

SENSITIVITY = {
    "multiple of the step": {
        "0.1": "ocnopt:lr=0.1",
        "0.3": "ocnopt:lr=0.3",
        "1": "ocnopt",
        "3": "ocnopt:lr=3",
    },
    "multiple of the first damping": {
        "0.01": "ocnopt:damping=0.01",
        "0.03": "ocnopt:damping=0.03",
        "1": "ocnopt",
        "10": "ocnopt:damping=10",
        "30": "ocnopt:damping=30",
    },
    "multiple of the weight decay": {
        "0": "ocnopt:decay=0",
        "1": "ocnopt",
        "3": f"ocnopt:decay={3 * WEIGHT_DECAY:g}",
    },
}
FEEDBACKS = ("off", "per_sample", "stacked", "exact")
CURVATURES = ("identity", "diagonal", "kronecker", "gram")
ABLATION_TASKS = {"digits-tanh": 1, "wine": 3}
"""Number of seeds by task: the feedbacks over the whole batch are slow."""
PEERS_OF_EXPERIMENTS = ("sgd", "adam", "muon", "soap")
OURS_OF_EXPERIMENTS = ("ocnopt", "ocnopt:feedback=per_sample")
VANISHING = ("sigmoid-3", "sigmoid-5", "sigmoid-10")
BATCHES = ("batch-8", "batch-16", "batch-64")
FEW = 2  # seeds of the sensitivities


def ablated(feedback: str, curvature: str) -> str:
    """Name the contender of a cell of the ablation."""
    return f"ocnopt:feedback={feedback},curvature={curvature}"


def sensitivity(campaign: Campaign, tasks: Sequence[str] = tuple(TASKS)) -> None:
    """Make the runs to the target with scaled step and damping."""
    for name in tasks:
        for optimizer in dict.fromkeys(o for kind in SENSITIVITY.values() for o in kind.values()):
            for seed in range(FEW):
                # The runs at the defaults are the comparison's, which are whole.
                campaign.ours(optimizer, TASKS[name], seed, only_target=optimizer != "ocnopt")


def ablation(campaign: Campaign, tasks: Sequence[str] = tuple(TASKS)) -> None:
    """Make the runs to the target with every feedback and curvature."""
    for name, seeds in ABLATION_TASKS.items():
        if name not in tasks:
            continue
        for feedback in FEEDBACKS:
            for curvature in CURVATURES:
                for seed in range(seeds):
                    campaign.ours(ablated(feedback, curvature), TASKS[name], seed, only_target=True)


def contenders(kind: str) -> Sequence[str]:
    """Give those who take part beside the eleven tasks: all, ours or peers."""
    peers = () if kind == "ours" else PEERS_OF_EXPERIMENTS
    return (*peers, *(() if kind == "peers" else OURS_OF_EXPERIMENTS))


def extra(campaign: Campaign, tasks: Sequence[str], seeds: int, names: Sequence[str]) -> None:
    """Compare on tasks beside the eleven."""
    for task in map(task_named, tasks):
        for optimizer in installed(names):
            campaign.compare(optimizer, task, seeds)
