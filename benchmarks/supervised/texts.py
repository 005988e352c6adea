"""The report's words that do not depend on the results."""

from benchmarks.supervised.data import WATCHED
from benchmarks.supervised.kfac import DAMPING, NORM_CONSTRAINT
from benchmarks.supervised.peers import REFRESH, WEIGHT_DECAY
from benchmarks.supervised.timing import CHUNK
from ocngame.solvers.ocnopt.decay import WEIGHT_DECAY as OURS

HOW = f"""\
OCNOpt at its defaults, untuned, against peers whose learning rate is tuned for each task, on
eleven small tasks. Every contender has the same first weights, batches and number of steps, and
a cosine schedule over them (schedule-free AdamW, as its name says, has none). The training loss
is that over all training samples, at most {WATCHED}, measured every step, every second or every
fourth; "steps" are those to the first measured loss at or below the target. Figures are means over
five seeds, which set the split, the weights and the batches, ± the standard deviation; if a seed
never arrives within the steps of the run, the figure is "never".

A peer's learning rate comes from runs with another seed, over a grid of two points per factor of
ten, widened while the best is at an end, on training samples less a fifth held out for
validation: once for the highest validation accuracy at the end (for the autoencoder the lowest
loss), once for the fewest steps to the target. The fewest steps of a peer are those at the
better of these two rates on the five seeds."""

COMMANDS = """\
```text
pip install "ocngame[bench]"
python -m benchmarks.supervised run           # tunes the peers, trains everybody
python -m benchmarks.supervised time          # time per step, in turns
python -m benchmarks.supervised experiments   # sensitivity, ablation, deep sigmoid, batches
python -m benchmarks.supervised report        # writes this page from results.jsonl
```

`run --optimizers ocnopt --tasks digits-tanh wine` makes a part. Runs that are in the file are
not made again; those of OCNOpt are when the sources of `ocngame` have changed."""

STEPS = """\
By `run`. Each peer at the better of its two learning rates."""

QUALITY = """\
By `run`. Accuracy at the end of all steps in per cent, each peer at its learning rate for
quality. The last line compares with the best mean of any peer: with ten peers on 36 to 1,000
test samples the best of them owes some of it to chance."""

COST = f"""\
By `time`. Processor time of a step as a ratio to Adam's: contenders make {CHUNK} steps each in
turn in one process on one thread, the ratio is taken turn by turn, and the median over the later
turns is shown. Processor seconds to the target add up the turns from the first on, so that the
first steps of OCNOpt, which all measure curvature, count in full: on runs of about forty steps they
are half of the run, and that is why OCNOpt loses in seconds where it wins in steps. The optimizer's
state is all its tensors, in bytes per parameter of the network."""

SENSITIVITY_TEXT = """\
By `experiments --parts sensitivity`. Mean steps to the target over {seeds} seeds with the step,
the first damping or the weight decay multiplied by the number at the head of the column. The last
column is the range of the ratio to the default, without the multiple 0.1 of the step."""

ABLATION = """\
By `experiments --parts ablation`. Steps to the target with each feedback and curvature. "exact"
is the joint damped Gauss-Newton step of the batch in sample space, with the curvature as its
metric; "stacked" has one value function for the batch with the curvature in place of all of Q_uu.
"gram" is the batch's own damped block of each stage, without memory, in sample space; with "exact"
it is lambda times the identity as metric. With "gram" and feedback off the step is the minimum of
the batch's model, as with feedback."""

VANISHING = """\
By `experiments --parts vanishing`. Sigmoid networks with hidden layers of 32 and torch's default
weights: the deeper, the smaller are the gradients of the first layers at the start, where all
outputs are alike."""

BATCHES = """\
By `experiments --parts batches`. The tanh network of the digits with small batches, 800 steps of
8, 400 of 16 and of 64, with peers tuned for each size."""

KFAC = f"""\
Packages for torch with K-FAC as an optimizer, of those that PyPI has: approxngd 0.1.1 runs and
is the one measured, with labels sampled from the network, damping {DAMPING:g} and norm
constraint {NORM_CONSTRAINT:g} (the best of a small grid over both on the tanh network and the
autoencoder, with and without sampled labels). It leaves norms to plain gradient descent, and
scales a convolution's second factor by the batch size squared less than a linear layer's. singd
0.0.5 covers no Conv1d; its inverse-free K-FAC diverged at most rates on both tasks and was
slower where it did not. kfac-pytorch and torch-kfac are not on PyPI; kfac and kfac-jax are for
TensorFlow and JAX; curvlinops and nngeometry give the matrices but no optimizer.

Other settings that are not the package's own: Shampoo is pytorch_optimizer's ScalableShampoo
with preconditioners from step {REFRESH} on, every {REFRESH} steps (by default from 25 on, every
1,000: none in these runs); its plain Shampoo with momentum diverged at every rate. Muon is
torch's, for all matrices but the last layer's, with `match_rms_adamw`, convolutions flattened to
matrices, AdamW for the rest. Weight decay is {WEIGHT_DECAY:g} for AdamW, Muon and schedule-free
AdamW, 0 for the others; OCNOpt has its default, which sets in as the schedule
lowers the rate, up to a part of {4 * OURS / 27:.3f} of an entry in one step, from entries that the
step makes smaller anyway. PSGD needs opt_einsum: without it torch contracts its five factors in an
order that makes a step 300 times slower."""
