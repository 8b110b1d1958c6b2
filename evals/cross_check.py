"""Do our measures of tables agree with mostlyai-qa and SDMetrics, where the definition is the same?

Rows of UCI Adult (train and holdout of equal size) against three synthetic sets: other real rows, train rows of which 30 % of
the cells are exchanged within their column, and train rows of which all are (independent columns). The peers need an environment of
their own (``pip install mostlyai-qa sdmetrics 'pandas<3'``); they run there as a process and read the same CSV files.

    python evals/cross_check.py --python PATH_OF_THAT_ENVIRONMENT/bin/python     # about 5 minutes; writes results/cross_check.json
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "cross_check.json"
NAMES = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain "
    "capital-loss hours-per-week native-country income"
).split()
NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
SETS = ("real", "perturbed", "independent")
SAME = {
    "univariate": "accuracy of single columns",
    "bivariate": "accuracy of pairs",
    "trivariate": "accuracy of triples (all 455)",
    "univariate_max": "its expected maximum, single columns",
    "bivariate_max": "its expected maximum, pairs",
    "trivariate_max": "its expected maximum, triples",
    "shapes": "SDMetrics: column shapes",
    "trends": "SDMetrics: contingency and correlation similarity of related pairs",
}
OTHER = {
    "auc": "C2ST: mostlyai-qa learns from its embedding (quantiles, PCA of category names), ours from the columns",
    "auc_embedding": "C2ST, both on its embedding: the same but for how rows fall into folds",
    "auc_real": "the same, holdout against train",
    "closest_share": "DCR share: mostlyai-qa in its embedding, the worst of seven column groups; ours Gower, all columns",
    "trends_report": "SDMetrics' quality report cuts numbers by each table's own range; ours, as ContingencySimilarity, by the real one",
}
# Ours and theirs may differ by rounding: mostlyai-qa rounds each table to 5 decimals.
TOLERANCE = 0.0005


def main() -> None:
    options = read_options()
    if options.peers:
        json.dump(ask_peers(Path(options.peers)), sys.stdout)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sets(folder, options.data, options.rows, options.seed)
        if not options.python:
            raise SystemExit("name the Python of the peers' environment with --python")
        command = [options.python, str(Path(__file__).resolve()), "--peers", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the peers failed:\n{done.stderr[-2000:]}")
        theirs = json.loads(done.stdout.splitlines()[-1])
        ours = measure(folder)
    report(ours, theirs, options)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="the Python of the peers' environment")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "uci_adult")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_sets(folder: Path, data: Path, size: int, seed: int) -> None:
    """Write train, holdout and the synthetic sets as CSV files; a missing value is an empty cell."""
    import numpy as np

    rows = []
    for name in ("adult.data", "adult.test"):
        for line in (data / name).read_text(encoding="utf-8").splitlines():
            cells = [cell.strip().rstrip(".") for cell in line.split(",")]
            if len(cells) == len(NAMES):
                rows.append(["" if cell == "?" else cell for cell in cells])
    random = np.random.default_rng(seed)
    order = random.permutation(len(rows))
    table = np.array(rows, dtype=object)[order[: 3 * size]]
    train, holdout, fresh = table[:size], table[size : 2 * size], table[2 * size :]
    sets = {"train": train, "holdout": holdout, "real": fresh}
    for name, share in (("perturbed", 0.3), ("independent", 1.0)):
        mixed = np.stack([column[random.permutation(size)] for column in train.T], axis=1)
        sets[name] = np.where(random.random(train.shape) < share, mixed, train)
    for name, cells in sets.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([NAMES, *cells.tolist()])


def measure(folder: Path) -> dict[str, dict[str, float | None]]:
    """Return our values, by synthetic set."""
    from textsynth.measure.copying import table_copying
    from textsynth.measure.detection import detect
    from textsynth.measure.fidelity import accuracy, similarity
    from textsynth.measure.table import Table

    kinds = {name: "number" if name in NUMBERS else "category" for name in NAMES}
    columns = {name: read_columns(folder / f"{name}.csv") for name in ("train", "holdout", *SETS)}
    tables = {name: Table.of(values, kinds) for name, values in columns.items()}
    found: dict[str, dict[str, float | None]] = {}
    for name in SETS:
        three = (tables[name],)
        real = {"real": tables["train"], "holdout": tables["holdout"]}
        values = {
            each.name: each for each in accuracy(*three, **real) + similarity(*three, **real) + detect(*three, **real)
        }
        row: dict[str, float | None] = {}
        for way in ("univariate", "bivariate", "trivariate"):
            each = values[f"fidelity.accuracy.{way}"]
            row |= {way: each.value, f"{way}_max": each.detail["maximum"]}
        row |= {"shapes": values["fidelity.shapes"].value, "trends": values["fidelity.trends"].value}
        row |= {"auc": values["fidelity.detection.table"].value, "auc_real": values["fidelity.detection.table"].real}
        copied = table_copying(columns[name], columns["train"], columns["holdout"], kinds=kinds)
        row["closest_share"] = next(each.value for each in copied if each.name == "privacy.closest_share")
        row["trends_report"] = row["trends"]
        row["auc_embedding"] = told_by_embedding(folder, name)
        found[name] = row
    return found


def told_by_embedding(folder: Path, name: str) -> float:
    """Return our C2ST AUC on the vectors that mostlyai-qa makes."""
    import numpy as np

    from textsynth.measure.detection import Features, tell_apart

    made, known = (np.load(folder / f"{name}.{side}.npy").astype(np.float64) for side in ("made", "known"))
    features = Features(("all",) * made.shape[1], np.zeros(made.shape[1], dtype=bool))
    return tell_apart(made, known, features, explain=False).value


def read_columns(path: Path) -> dict[str, list[Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        name: [(int(row[name]) if name in NUMBERS else row[name]) if row[name] else None for row in rows]
        for name in NAMES
    }


def report(ours: dict[str, Any], theirs: dict[str, Any], options: argparse.Namespace) -> None:
    """Print both side by side and write them down."""
    worst = 0.0
    rows = []
    for name in SETS:
        for key, what in (SAME | OTHER).items():
            one, other = ours[name][key], theirs[name][key]
            gap = abs(one - other) if one is not None and other is not None else None
            rows.append(
                {
                    "set": name,
                    "measure": key,
                    "ours": one,
                    "theirs": other,
                    "same_definition": key in SAME,
                    "what": what,
                }
            )
            if key in SAME and gap is not None:
                worst = max(worst, gap)
            told = "-" if gap is None else f"{gap:.5f}"
            print(
                f"{name:12} {key:15} ours {show(one)}  theirs {show(other)}  difference {told:>8}  {'' if key in SAME else '(differs by definition)'}"
            )
    print(f"largest difference where the definition is the same: {worst:.5f} (rounding allows {TOLERANCE})")
    found = {"rows": options.rows, "seed": options.seed, "versions": theirs["versions"], "largest_difference": worst}
    RESULTS.write_text(
        json.dumps(found | {"agree": worst <= TOLERANCE, "values": rows}, indent=1) + "\n", encoding="utf-8"
    )
    if worst > TOLERANCE:
        raise SystemExit("they do not agree")


def show(value: float | None) -> str:
    return "   -   " if value is None else f"{value:.5f}"


# What runs in the peers' environment ----------------------------------------------------------------------------------


def ask_peers(folder: Path) -> dict[str, Any]:
    """Return the peers' values, by synthetic set."""
    import logging
    import random
    import warnings
    from importlib.metadata import version

    import numpy as np
    import pandas as pd

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    random.seed(0)
    np.random.seed(0)
    types = {name: "float64" if name in NUMBERS else "object" for name in NAMES}
    frames = {name: pd.read_csv(folder / f"{name}.csv", dtype=types) for name in ("train", "holdout", *SETS)}
    found: dict[str, Any] = {"versions": {name: version(name) for name in ("mostlyai-qa", "sdmetrics", "pandas")}}
    for name in SETS:
        found[name] = ask_mostlyai(frames, name, folder) | ask_sdmetrics(frames["train"], frames[name])
    return found


def ask_mostlyai(frames: dict[str, Any], name: str, folder: Path) -> dict[str, float]:
    import numpy as np
    import pandas as pd
    from mostlyai.qa import _accuracy, _distances, _sampling, _similarity

    train, holdout, synthetic = (
        _sampling.prepare_data_for_accuracy(df_tgt=frames[n].copy()) for n in ("train", "holdout", name)
    )
    original, bins = _accuracy.bin_data(pd.concat([train, holdout], ignore_index=True), 10)
    cut, _ = _accuracy.bin_data(synthetic, bins)
    found = {}
    for way in ("univariate", "bivariate", "trivariate"):
        table = getattr(_accuracy, f"calculate_{way}s")(original, cut)
        found |= {way: float(table.accuracy.mean()), f"{way}_max": float(table.accuracy_max.mean())}
    made, known, held = _sampling.prepare_data_for_embeddings(
        syn_tgt_data=frames[name].copy(), trn_tgt_data=frames["train"].copy(), hol_tgt_data=frames["holdout"].copy()
    )
    np.save(folder / f"{name}.made.npy", made)
    np.save(folder / f"{name}.known.npy", known)
    embedded = {"syn_embeds": made, "trn_embeds": known, "hol_embeds": held}
    of_real, of_synthetic = _similarity.calculate_discriminator_auc(**embedded)
    near = _distances.calculate_distances(**embedded)
    share = _distances.calculate_dcr_share(near["dcr_syn_trn"], near["dcr_syn_hol"])
    return found | {
        "auc": float(of_synthetic),
        "auc_embedding": float(of_synthetic),
        "auc_real": float(of_real),
        "closest_share": float(share),
    }


def ask_sdmetrics(real: Any, synthetic: Any) -> dict[str, float]:
    import itertools

    import numpy as np
    from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
    from sdmetrics.reports.single_table import QualityReport

    kinds = {name: {"sdtype": "numerical" if name in NUMBERS else "categorical"} for name in NAMES}
    full = QualityReport()
    full.num_rows_subsample = None
    full.generate(real, synthetic, {"columns": kinds}, verbose=False)
    properties = full.get_properties().set_index("Property")["Score"]
    similar = []
    for pair in itertools.combinations(NAMES, 2):
        numbers = [name for name in pair if name in NUMBERS]
        sides = (real[list(pair)].copy(), synthetic[list(pair)].copy())
        if len(numbers) == 2:
            similar.append(CorrelationSimilarity.compute(*sides, real_correlation_threshold=0.5))
        else:
            similar.append(
                ContingencySimilarity.compute(*sides, continuous_column_names=numbers, real_association_threshold=0.3)
            )
    report_trends = float(properties["Column Pair Trends"])
    return {
        "shapes": float(properties["Column Shapes"]),
        "trends": float(np.nanmean(similar)),
        "trends_report": report_trends,
    }


if __name__ == "__main__":
    main()
