"""False alarms of the report's intervals, beside those of plain percentiles, where two models do not differ.

    python benchmarks/false_alarms.py [--repetitions 600] [--draws 4000]

Errors of one model are 10 plus a part of the seed, a part of the utterance and a part of the two together; those of the
other are 10. A test at level .05 should find a difference in one simulation of twenty.
"""

import argparse

import numpy as np

from modashift.evaluate.statistics import Bootstrap

UTTERANCES = 80
CASES = {  # what varies: number of seeds, and the deviations of the three parts
    "utterances only": (1, (0.0, 1.0, 0.0)),
    "seeds, mostly, 3": (3, (0.5, 0.5, 0.5)),
    "seeds, mostly, 5": (5, (0.5, 0.5, 0.5)),
    "utterances, mostly, 5": (5, (0.1, 1.0, 0.3)),
    "only the two together, 5": (5, (0.0, 0.0, 1.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=600)
    parser.add_argument("--draws", type=int, default=4000)
    options = parser.parse_args()
    print("| what varies, seeds | plain percentiles | the report's |\n|---|---|---|")
    for name, (seeds, (of_seed, of_item, of_both)) in CASES.items():
        rng = np.random.default_rng(1)
        plain = ours = 0
        for number in range(options.repetitions):
            errors = of_seed * rng.normal(size=(seeds, 1)) + of_item * rng.normal(size=UTTERANCES)
            errors = 10 + errors + of_both * rng.normal(size=(seeds, UTTERANCES))
            runs = {"a": dict(enumerate(errors)), "b": dict(enumerate(np.full((seeds, UTTERANCES), 10.0)))}
            bootstrap = Bootstrap(np.zeros(UTTERANCES), runs, samples=options.draws, seed=number)
            ours += bootstrap.difference("a", "b", "mae").p < 0.05
            part = bootstrap._part("a", "mae")
            low, high = np.quantile((part.draws * part.shares).sum(1), [0.025, 0.975])
            plain += not low < 10 < high
        print(f"| {name} | {plain / options.repetitions:.3f} | {ours / options.repetitions:.3f} |", flush=True)


if __name__ == "__main__":
    main()
