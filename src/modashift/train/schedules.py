"""Learning rates over a run: factors of the rates that were asked for, functions of where the run is."""

import math

from modashift.train.args import TrainArgs

__all__ = ["factor", "rate", "warm_cosine"]


def factor(args: TrainArgs, step: int, total: int, epoch: int) -> float:
    """Factor of the learning rate before a step.

    Args:
        args: schedule and what belongs to it; ``plateau``, which depends on dev too, is constant here.
        step: number of the step from 0, over all epochs.
        total: steps of the whole run.
        epoch: number of the epoch from 0.
    """
    if args.schedule == "warm-cosine":
        return warm_cosine(epoch, args.epochs, args.warmup, args.rate_floor)
    return rate(step, total, args.warmup, args.schedule == "linear")


def rate(step: int, total: int, warmup: float, decays: bool = True) -> float:
    """Factor of the learning rate before step `step` of `total`: linear warm-up, then linear decay to zero, or none."""
    rising = round(total * warmup)
    if step < rising:
        return (step + 1) / rising
    return (total - step) / max(1, total - rising) if decays else 1.0


def warm_cosine(epoch: int, epochs: int, warmup: float, floor: float) -> float:
    """Factor of the learning rate in an epoch: a linear warm-up from `floor` to 1, then a cosine back towards it.

    With w = round(warmup · epochs) and t = epoch − w, both counted from 0,

        floor + (1 − floor) · epoch / w   for epoch < w,   floor + (1 − floor) · (1 + cos(π t / epochs)) / 2   after

    Half a cosine takes as long as the whole run, not as what is left of it after the warm-up, so that `floor` is not
    quite reached: with a warm-up of a fifth the last of 50 epochs has .203. Ando et al. (SLT 2022) train so, with a
    rate of 1e-4 and a floor of .1.
    """
    rising = round(warmup * epochs)
    share = epoch / rising if epoch < rising else (1 + math.cos(math.pi * (epoch - rising) / epochs)) / 2
    return floor + (1 - floor) * share
