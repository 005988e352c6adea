"""OCNOpt inside Lightning: manual optimization, a schedule, a checkpoint that goes on bitwise.

`pip install lightning`, then run this file. Lightning moves data and modules, logs and saves;
`opt.backward` takes the place of `manual_backward`, because the step needs to see the forward pass.
"""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import ocngame as og

# An optional package, found by name so that type checkers do without it.
lightning: Any = import_module("lightning")


class Digits(lightning.LightningModule):
    """A classifier of digits, trained by OCNOpt."""

    def __init__(self, epochs: int):
        super().__init__()
        self.automatic_optimization = False
        self.net = nn.Sequential(
            nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
        )
        self.loss, self.epochs = nn.CrossEntropyLoss(), epochs

    def configure_optimizers(self) -> dict[str, Any]:
        """Give the optimizer and torch's own schedule."""
        optimizer = og.OCNOpt(self.net, self.loss)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def training_step(self, batch: tuple[Tensor, Tensor], _number: int) -> None:
        """Make one step; `step(x, y)` would do, these are its parts."""
        x, y = batch
        wrapped = self.optimizers()  # Lightning's, which counts the steps
        optimizer: og.OCNOpt = wrapped.optimizer
        optimizer.zero_grad()
        loss = optimizer.backward(lambda: self.loss(self.net(x), y))
        nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        wrapped.step()
        self.log("loss", loss)

    def on_train_epoch_end(self) -> None:
        """Advance the schedule, which manual optimization leaves to us."""
        self.lr_schedulers().step()

    def validation_step(self, batch: tuple[Tensor, Tensor], _number: int) -> None:
        """Log the accuracy."""
        x, y = batch
        self.log("accuracy", (self.net(x).argmax(-1) == y).float().mean())


def trainer(epochs: int, folder: Path) -> Any:
    """Give a quiet trainer on the CPU."""
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def main() -> None:
    """Train in one go, then in two with a checkpoint between: the weights are the same."""
    digits = load_digits(return_X_y=True)
    x = torch.tensor(digits[0], dtype=torch.float32) / 16
    y = torch.tensor(digits[1])
    train = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=100)
    held_out = DataLoader(TensorDataset(x[1500:], y[1500:]), batch_size=297)

    def fresh() -> Digits:
        lightning.seed_everything(0, verbose=False)
        return Digits(epochs=6)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = fresh()
        run = trainer(6, folder)
        run.fit(whole, train)
        accuracy = run.validate(whole, held_out, verbose=False)[0]["accuracy"]
        print(f"accuracy {accuracy:.3f}")
        assert accuracy > 0.85

        first = trainer(3, folder)
        first.fit(fresh(), train)
        first.save_checkpoint(folder / "half.ckpt")
        resumed = Digits(epochs=6)
        trainer(6, folder).fit(resumed, train, ckpt_path=folder / "half.ckpt")
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)
    print("resumed from the checkpoint, bitwise the same weights")


if __name__ == "__main__":
    main()
