"""The Python in README files and docs runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parents[1]


@pytest.mark.parametrize("page", [ROOT / "README.md", PACKAGE / "README.md"], ids=["project", "package"])
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr


def test_a_sweep_with_optuna_runs(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    import aberra

    data = aberra.phantoms(tmp_path / "data", size=64, train_normals=80, test_normals=0, anomalies_per_kind=0)
    script = ROOT / "docs" / "scale" / "sweep_optuna.py"
    words = [str(data / "train" / "good"), "--trials", "2", "--epochs", "1", "--journal", str(tmp_path / "journal")]
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "best: 0." in done.stdout, done.stderr
