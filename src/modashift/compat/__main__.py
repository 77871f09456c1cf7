"""``python -m modashift.compat -m mag-bert -d mosi -s 1111``: MMSA's command line."""

import argparse
import json
import sys
from pathlib import Path

from modashift.compat.mmsa import DATASETS, MODELS, MMSA_run
from modashift.errors import ModashiftError


def main(argv: list[str] | None = None) -> int:
    """Parse MMSA's options and run."""
    parser = argparse.ArgumentParser(
        prog="python -m modashift.compat",
        description="MMSA's command, run by modashift: its pickles in, its table of results out. The validation split "
        "alone chooses checkpoints and parameters, and padding is masked out.",
    )
    parser.add_argument("-m", "--model", required=True, help=f"{', '.join(MODELS)}, or a name of modashift's")
    parser.add_argument("-d", "--dataset", required=True, choices=[*DATASETS])
    parser.add_argument("-c", "--config", default="", help="JSON file of parameters, or a configuration of modashift's")
    parser.add_argument("-s", "--seeds", action="append", type=int, help="may be repeated; 1111 to 1115 if not given")
    parser.add_argument("-t", "--tune", action="store_true", help="search the lists of values in the JSON file")
    parser.add_argument("-tt", "--tune-times", type=int, default=50)
    parser.add_argument("-T", "--features", help="the pickle with features of all modalities")
    parser.add_argument("--dataset-root-dir", default=".", help="folder that holds MOSI/Processed/aligned_50.pkl")
    parser.add_argument("--pretrained", help="language backbone: minilm, a folder, or a hub name")
    parser.add_argument("--model-save-dir", default="runs/mmsa/models")
    parser.add_argument("--res-save-dir", default="runs/mmsa/results")
    parser.add_argument("-v", "--verbose-level", type=int, default=1)
    parser.add_argument(
        "-g", "--gpu-ids", action="append", help="taken and ignored: the first GPU is used if there is one"
    )
    parser.add_argument("-n", "--num-workers", type=int, help="taken and ignored")
    options = parser.parse_args(argv)
    try:
        config, file = {}, options.config
        if file.endswith(".json"):
            config, file = json.loads(Path(file).read_text(encoding="utf-8")), ""
        if options.features:
            config["featurePath"] = options.features
        config.setdefault("dataset_root_dir", options.dataset_root_dir)
        if options.pretrained:
            config["pretrained"] = options.pretrained
        row = MMSA_run(
            options.model, options.dataset, config, file, options.seeds, options.tune, options.tune_times,
            options.model_save_dir, options.res_save_dir, options.verbose_level,
        )  # fmt: skip
    except (ModashiftError, OSError, json.JSONDecodeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write("".join(f"{column:<14} {mean:7.2f} ± {sd:.2f}\n" for column, (mean, sd) in row.items()))
    sys.stdout.write(f"table: {Path(options.res_save_dir) / options.dataset}.csv\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
