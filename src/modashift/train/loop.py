"""The training loop. There is one; models bring their losses to it, not loops of their own."""

import math
import resource
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from modashift.batch import Batch
from modashift.models.base import Output
from modashift.train.args import TrainArgs
from modashift.train.batching import evaluation_batches, training_batches
from modashift.train.distributed import World, gather
from modashift.train.progress import Reporter
from modashift.train.runs import RunFolder
from modashift.train.schedules import factor
from modashift.train.setup import Setup

__all__ = ["fit", "make_optimizer", "predict_rows"]


def fit(setup: Setup, args: TrainArgs, run: RunFolder, world: World, report: Reporter) -> dict[str, Any]:
    """Train, keeping the checkpoint that is best by ``args.select`` on dev; the test split is not touched here.

    Everything a step depends on is a function of the seed and of the state that is saved after each epoch (and every
    ``args.save_every`` steps), so an interrupted run that is resumed ends with the same bits on a CPU.

    Returns:
        ``best_epoch``, its dev metrics, and how many epochs were run.
    """
    model = setup.model.to(world.device)
    runner = _wrap(model, args, world)
    optimizer = make_optimizer(model.param_groups(args.lr, args.lr_backbone or args.lr, args.weight_decay), args)
    base_rates = [group["lr"] for group in optimizer.param_groups]
    scaler = torch.amp.GradScaler(world.device.type, enabled=args.precision == "fp16")
    average = averaged(model, args.average)
    rows, lengths = setup.labelled("train"), setup.encoded.lengths
    least = max(2, world.size)

    def batches_of(epoch: int) -> list[NDArray[np.intp]]:
        return training_batches(rows, lengths, args.batch_size, args.seed, epoch, least, args.drop_last)

    per_epoch = len(batches_of(0))
    steps_per_epoch = math.ceil(per_epoch / args.accumulate)
    total = steps_per_epoch * args.epochs

    torch.manual_seed(args.seed + world.rank)
    now: dict[str, Any] = {"epoch": 0, "batch": 0, "best": None, "best_epoch": -1, "stale": 0, "lines": 0, "sums": {}}
    now |= {"factor": 1.0, "flat": 0}  # of schedule plateau
    now |= {"skipped": 0, "skipped_before": 0}  # steps passed over, in this epoch and before
    labels = torch.full((len(setup.dataset),), math.nan, dtype=torch.float64)
    labels[rows] = torch.from_numpy(setup.dataset.labels[rows])
    model.start_training(labels.to(world.device))
    saved = run.load_state()
    if saved is not None:
        now |= saved["progress"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        scaler.load_state_dict(saved["scaler"])
        model.load_training_state({k: v.to(world.device) for k, v in saved["own"].items()})
        if average is not None:
            average.load_state_dict(saved["average"])
        _restore_random(saved["random"][world.rank], world)
    elif model.wants_initial_losses():
        model.eval()
        model.before_training(validate(setup, runner, args, world)[0])
    if world.main:
        run.truncate(run.metrics, now["lines"])
        run.truncate(run.timing, now["lines"])
    report.start(total, done=now["epoch"] * steps_per_epoch + now["batch"] // args.accumulate)

    def save() -> None:
        random = gather_random(world)
        if world.main:
            run.save_state(
                {
                    "progress": now,
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict(),
                    "own": model.training_state(),
                    "average": None if average is None else average.state_dict(),
                    "random": random,
                }
            )
        world.barrier()

    while now["epoch"] < args.epochs and (args.patience is None or now["stale"] < args.patience):
        epoch, started = now["epoch"], time.perf_counter()
        batches = batches_of(epoch)
        model.train()
        for number in range(now["batch"], per_epoch):
            if number % args.accumulate == 0:
                step = epoch * steps_per_epoch + number // args.accumulate
                for group, base in zip(optimizer.param_groups, base_rates):
                    group["lr"] = base * now["factor"] * factor(args, step, total, epoch)
                optimizer.zero_grad(set_to_none=True)
                usable = True
            last = (number + 1) % args.accumulate == 0 or number + 1 == per_epoch
            group_size = min(args.accumulate, per_epoch - number // args.accumulate * args.accumulate)
            with nullcontext() if last or world.size == 1 else runner.no_sync():
                output, whole = whole_batch(setup, runner, batches[number], args, world)
                losses = model.loss(output, whole)
                # All processes see the same loss; only where it is asked for does a step wait for the device.
                finite = not args.skip_nonfinite or bool(losses["loss"].isfinite())
                if finite:
                    scaler.scale(losses["loss"] / group_size).backward()  # type: ignore[no-untyped-call]
                    model.after_backward(output, whole, epoch + 1)
            if finite:
                add_up(now["sums"], losses, len(batches[number]))
            usable = usable and finite
            if not last:
                continue
            if usable:
                descend(model, optimizer, scaler, average, args)
            else:
                now["skipped"] += 1
            report.step(epoch)
            now["batch"] = number + 1
            done = step + 1 - epoch * steps_per_epoch
            if args.save_every and done % args.save_every == 0 and number + 1 < per_epoch:
                save()

        kept = model if average is None else average.module
        kept.eval()
        model.eval()
        dev_losses, dev = validate(setup, runner if average is None else kept, args, world)
        value = {**dev, setup.task.term: dev_losses[setup.task.term]}[setup.task.criterion(args.select)]
        weights = model.after_validation(dev_losses)
        if average is not None:
            kept.load_state_dict(dict(model.named_buffers()), strict=False)  # loss weights are not averaged
        score = setup.task.worth(args.select, value)
        better = not math.isnan(score) and (now["best"] is None or score > now["best"])
        line = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * steps_per_epoch,
            **{f"train_{k}": v for k, v in means(now["sums"]).items()},
            **{f"dev_{k}": v for k, v in {**dev_losses, **dev}.items()},
            **weights,
            "lr": optimizer.param_groups[-1]["lr"],
            **({"skipped": now["skipped"]} if args.skip_nonfinite else {}),
            "best": better,
        }
        if not math.isfinite(loss := line.get("train_loss", math.nan)):  # there is none where every step was skipped
            raise FloatingPointError(
                f"training loss is {loss} in epoch {epoch + 1}; lower --lr, or use --precision fp32"
            )
        now |= {"epoch": epoch + 1, "batch": 0, "sums": {}, "lines": now["lines"] + 1}
        now |= {"skipped": 0, "skipped_before": now["skipped_before"] + now["skipped"]}
        now |= {"best": score, "best_epoch": epoch + 1, "stale": 0} if better else {"stale": now["stale"] + 1}
        now["flat"] = 0 if better else now["flat"] + 1
        if args.schedule == "plateau" and now["flat"] > args.plateau_patience:
            now |= {"factor": now["factor"] * args.plateau_factor, "flat": 0}
        if world.main:
            run.append(run.metrics, line)
            run.append(run.timing, {"epoch": epoch + 1, "seconds": time.perf_counter() - started, **memory(world)})
            if better:
                run.save_weights(kept.state_dict())
            report.epoch(line, setup.task)
        if args.save_every != 0:
            save()
    report.stop()
    criterion = setup.task.criterion(args.select)
    skipped = {"skipped": now["skipped_before"]} if args.skip_nonfinite else {}
    return {"best_epoch": now["best_epoch"], "epochs": now["epoch"], "select": f"dev {criterion}", **skipped}


def descend(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    average: AveragedModel | None,
    args: TrainArgs,
) -> None:
    """One step along the gradient that has been gathered, clipped as asked for; the average follows."""
    if args.clip > 0 or args.clip_value > 0:
        scaler.unscale_(optimizer)
    if args.clip_value > 0:
        nn.utils.clip_grad_value_(model.parameters(), args.clip_value)
    if args.clip > 0:
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
    scaler.step(optimizer)
    scaler.update()
    if average is not None:
        average.update_parameters(model)


def make_optimizer(groups: list[dict[str, Any]], args: TrainArgs) -> torch.optim.Optimizer:
    """The optimiser asked for; Adam and AdamW in torch's fused form, an eighth of the time of the other on a CPU."""
    if args.optimizer == "adamax":
        return torch.optim.Adamax(groups)
    kind = torch.optim.AdamW if args.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, fused=True)


def whole_batch(
    setup: Setup, runner: nn.Module, rows: NDArray[np.intp], args: TrainArgs, world: World
) -> tuple[Output, Batch]:
    """Output, labels and indices of a whole batch of which each process scores its share."""
    output, batch = forward(setup, runner, rows[world.rank :: world.size], args, world)
    whole = replace(batch, label=gather(batch.label, world), index=gather(batch.index, world))
    return gather(output, world), whole


def forward(
    setup: Setup, runner: nn.Module, rows: NDArray[np.intp], args: TrainArgs, world: World
) -> tuple[Output, Any]:
    """Collate some rows and run the model on them, in the precision asked for; the output is float32."""
    batch = setup.preprocessor.collate(setup.dataset, setup.encoded, rows)
    if args.feature_dropout and runner.training:
        batch = batch.drop_features(args.feature_dropout)
    if args.modality_dropout and runner.training:
        batch = batch.drop_modalities(args.modality_dropout)
    if world.device.type == "cuda":
        batch = batch.map(lambda t: t.pin_memory()).to(world.device)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(args.precision)
    with torch.autocast(world.device.type, dtype=kind, enabled=kind is not None):
        output: Output = runner(batch)
    if kind is not None:
        output = replace(
            output,
            prediction=output.prediction.float(),
            embeddings={m: z.float() for m, z in output.embeddings.items()},
            extra={k: v.float() if v.is_floating_point() else v for k, v in output.extra.items()},
        )
    return output, batch


@torch.no_grad()
def validate(
    setup: Setup, runner: nn.Module, args: TrainArgs, world: World
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean loss terms and metrics on the dev split."""
    rows = setup.labelled("dev")
    sums: dict[str, Any] = {}
    predictions, order = [], []
    for part in evaluation_batches(rows, setup.encoded.lengths, args.batch_size, max(2, world.size)):
        output, whole = whole_batch(setup, runner, part, args, world)
        add_up(sums, setup.model.loss(output, whole), len(part))
        predictions.append(output.prediction)
        order.append(whole.index)
    answer = setup.model.answer(torch.cat(predictions).double()).cpu().numpy()
    gold = setup.dataset.labels[torch.cat(order).cpu().numpy()]
    with np.errstate(all="ignore"):
        return means(sums), setup.task.metrics(gold, answer)


@torch.no_grad()
def predict_rows(setup: Any, rows: NDArray[np.intp], device: torch.device, batch_size: int = 64) -> NDArray[np.float64]:
    """What a model says of some rows of a data set, in the order given; float32 arithmetic.

    Args:
        setup: anything with ``model``, ``preprocessor``, ``dataset`` and ``encoded``.
        rows: which utterances.
        device: where the model is.
        batch_size: utterances scored together.

    Returns:
        (n,) scores, or (n, C) probabilities of the classes.
    """
    model = setup.model.eval()
    result = np.zeros((len(setup.dataset), model.classes) if model.classes else len(setup.dataset), dtype=np.float64)
    for part in evaluation_batches(rows, setup.encoded.lengths, batch_size, 1):
        batch = setup.preprocessor.collate(setup.dataset, setup.encoded, part).to(device)
        result[part] = model.answer(model(batch).prediction.double()).cpu().numpy()
    return result[rows]


def add_up(sums: dict[str, Any], losses: Mapping[str, Tensor], count: int) -> None:
    """Add loss terms weighted by their batch; kept as tensors, so that no step waits for the device."""
    for key, value in losses.items():
        total, n = sums.get(key, (0.0, 0))
        sums[key] = (total + value.detach().double() * count, n + count)


def means(sums: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """Mean of each loss term."""
    return {key: float(total) / n for key, (total, n) in sums.items()}


def averaged(model: nn.Module, decay: float) -> AveragedModel | None:
    """A copy of the model that follows it as a moving average over steps, or None for a decay of 0."""
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def memory(world: World) -> dict[str, float]:
    """Peak memory so far, in MiB."""
    found = {"peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if world.device.type == "cuda":
        found["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def gather_random(world: World) -> list[list[Tensor]]:
    """Random generators' states of every process."""
    own = [torch.get_rng_state()]
    if world.device.type == "cuda":
        own.append(torch.cuda.get_rng_state())
    if world.size == 1:
        return [own]
    states: list[Any] = [None] * world.size
    torch.distributed.all_gather_object(states, own)
    return states


def _restore_random(states: Sequence[Tensor], world: World) -> None:
    torch.set_rng_state(states[0])
    if world.device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1])


def _wrap(model: nn.Module, args: TrainArgs, world: World) -> Any:
    runner: Any = torch.compile(model, dynamic=True) if args.compile else model
    if world.size > 1:
        from torch.nn.parallel import DistributedDataParallel

        runner = DistributedDataParallel(runner)
    return runner
