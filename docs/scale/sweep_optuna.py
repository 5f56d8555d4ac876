"""Searches settings with Optuna. What is maximised is how well the detector's evidence finds anomalies drawn into held-out normal
images: no real anomaly is seen, so the test set stays a test set.

    pip install aberra optuna
    python sweep_optuna.py images/ --trials 20

Several processes, also of several machines that share the folder, may run it at once: the journal is a file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import aberra
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def objective(trial: optuna.Trial, data: Path, **fixed: object) -> float:
    """The best AUROC of any evidence on synthetic anomalies."""
    detector = aberra.Detector.train(
        data,
        family="vae",
        preprocessing__size_px=trial.suggest_categorical("size_px", [64, 96, 128]),
        train__learning_rate=trial.suggest_float("learning_rate", 3e-4, 3e-3, log=True),
        progress=False,
        **fixed,
    )
    return max(one["synthetic_auroc"] for one in detector.info["evidence_weights"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--journal", type=Path, default=Path("sweep.journal"))
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    storage = JournalStorage(JournalFileBackend(str(arguments.journal)))
    study = optuna.create_study(study_name="aberra", storage=storage, direction="maximize", load_if_exists=True)
    study.optimize(lambda trial: objective(trial, arguments.data, epochs=arguments.epochs), n_trials=arguments.trials)
    print(f"best: {study.best_value:.3f} with {study.best_params}")


if __name__ == "__main__":
    main()
