"""Searches settings with Ray Tune, on one machine or a cluster. As sweep_optuna.py, it sees no real anomaly.

    pip install aberra "ray[tune]"
    python sweep_ray.py images/
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ray
from ray import tune


def train(config: dict[str, object]) -> None:
    """Trains one detector and reports the best AUROC of any evidence on synthetic anomalies."""
    import aberra

    detector = aberra.Detector.train(config.pop("data"), family="vae", threads=1, progress=False, **config)
    tune.report({"synthetic_auroc": max(one["synthetic_auroc"] for one in detector.info["evidence_weights"])})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    ray.init(include_dashboard=False)
    space = {
        "data": str(arguments.data.resolve()),
        "epochs": arguments.epochs,
        "size": tune.choice([64, 96, 128]),
        "train__learning_rate": tune.loguniform(3e-4, 3e-3),
    }
    settings = tune.TuneConfig(metric="synthetic_auroc", mode="max", num_samples=arguments.trials)
    best = tune.Tuner(tune.with_resources(train, {"cpu": 1}), param_space=space, tune_config=settings).fit().get_best_result()
    print(f"best: {best.metrics['synthetic_auroc']:.3f} with {best.config}")


if __name__ == "__main__":
    main()
