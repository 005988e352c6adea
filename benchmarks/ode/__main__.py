"""OCNOpt in continuous time against Adam and SGD tuned on grids: run, report.

    python -m benchmarks.ode run
    python -m benchmarks.ode run --optimizers adam --solver adjoint_dopri5
    python -m benchmarks.ode time
    python -m benchmarks.ode memory
    python -m benchmarks.ode horizon
    python -m benchmarks.ode report

Results are appended to `results.jsonl` beside this file; what is there is not run again, and what
was stopped goes on. OCNOpt is run again where the sources of ocngame have changed.
"""

import torch
import tyro

from benchmarks.ode.commands import Horizon, Measure, Report, RunTasks, Time


def main() -> None:
    torch.set_num_threads(1)
    commands = {
        "run": RunTasks,
        "time": Time,
        "memory": Measure,
        "horizon": Horizon,
        "report": Report,
    }
    tyro.extras.subcommand_cli_from_dict(commands, description=__doc__).run()


if __name__ == "__main__":
    main()
