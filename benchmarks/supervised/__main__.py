"""OCNOpt at its defaults against tuned peers: run, time, report.

    python -m benchmarks.supervised run
    python -m benchmarks.supervised time
    python -m benchmarks.supervised experiments
    python -m benchmarks.supervised report

`pip install "ocngame[bench]"` brings the peers and the data. Results are appended to
`results.jsonl` beside this file; what is there is not run again, and what was stopped goes on.
OCNOpt is run again where the sources of ocngame have changed. All of it takes about two hours on
one core; `run --optimizers ocnopt` a few minutes.
"""

import torch
import tyro

from benchmarks.supervised.commands import Experiments, Prune, Report, RunTasks, Time


def main() -> None:
    torch.set_num_threads(1)
    commands = {
        "run": RunTasks,
        "time": Time,
        "experiments": Experiments,
        "report": Report,
        "prune": Prune,
    }
    tyro.extras.subcommand_cli_from_dict(commands, description=__doc__).run()


if __name__ == "__main__":
    main()
