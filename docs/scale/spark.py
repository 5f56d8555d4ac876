"""Scores images with Spark, for those whose paths lie in a table already. The detector is loaded once for each iterator of
batches, and a batch holds 64 paths.

    pip install aberra pyspark pandas pyarrow
    spark-submit spark.py detector.aberra images/ scores.parquet
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession


def main(detector: str, images: str, out: str) -> None:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # on a cluster: a Python that has the packages on every machine
    spark = (
        SparkSession.builder.appName("aberra")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", 64)
        .getOrCreate()
    )
    content = spark.sparkContext.broadcast(Path(detector).read_bytes())

    def score(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import aberra

        loaded = aberra.Detector.from_bytes(content.value)
        for batch in batches:
            verdicts = loaded.score(list(batch["path"]), batch=1, threads=1, errors="skip", progress=False)
            yield batch.assign(score=verdicts.scores, p_value=verdicts.p_values, anomalous=verdicts.anomalous)

    paths = sorted(str(path) for path in Path(images).rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif"))
    table = spark.createDataFrame(pd.DataFrame({"path": paths})).repartition(max(1, len(paths) // 64))
    table.mapInPandas(score, "path string, score double, p_value double, anomalous boolean").write.parquet(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
