"""How the splits of a run came about, in words that stand beside its numbers."""

from modashift.data.dataset import Dataset
from modashift.train.args import DataArgs

__all__ = ["protocol_in_words"]


def protocol_in_words(args: DataArgs, dataset: Dataset) -> str:
    """The protocol of a run, without the number of its fold: the same for all folds of a cross-validation.

    Numbers of different protocols cannot be compared: who has heard a speaker in training knows him.

    Args:
        args: of the run.
        dataset: the data as the run has them; a protocol named by ``args.protocol`` is described in its provenance.
    """
    groups = "grouped by video or speaker" if args.group == "video" else "utterances drawn singly"
    share = f"{args.validation or 0.15:.0%} of the training utterances as dev"
    if args.protocol is not None:
        known = dataset.provenance.get("protocol", {})
        said = f"{args.protocol}: {known.get('words', 'as named')}"
    elif args.folds is not None:
        said = f"{args.folds} folds, {groups}, {share}"
    elif args.leave_out is not None:
        said = f"{args.leave_out} left out, {share}"
    else:
        said = "dev split as test" if args.dev_as_test else "splits of the data"
        if args.validation is not None:
            said += f", {args.validation:.0%} of train as dev, {groups}"
    if dataset.classes:
        said = f"{len(dataset.classes)} classes ({', '.join(dataset.classes)}); {said}"
    return said
