"""A plain PyTorch + Pillow loop over a folder: decode, resize, reconstruct, score. The peer of `aberra score`.

    python score_folder.py FOLDER [--size 128] [--batch 32] [--threads 2]

Prints one JSON line with images per second, the start of the program left out. Made with torch 2.15.0 and pillow 13.0.0.
"""

import argparse
import json
import pathlib
import resource
import time

import numpy
import torch
from PIL import Image

from vae import Vae


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = Vae(arguments.size).eval()
    paths = sorted(arguments.folder.rglob("*.jpg"))
    start, scores = time.perf_counter(), []
    with torch.inference_mode():
        for first in range(0, len(paths), arguments.batch):
            images = []
            for path in paths[first : first + arguments.batch]:
                image = Image.open(path).convert("L").resize((arguments.size, arguments.size), Image.Resampling.BILINEAR)
                images.append(numpy.asarray(image, dtype=numpy.float32) / 255)
            x = torch.from_numpy(numpy.stack(images))[:, None]
            reconstruction, _, _ = model(x)
            scores.extend(((reconstruction - x) ** 2).mean((1, 2, 3)).tolist())
    secs = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = round(len(scores) / secs, 1)
    print(json.dumps({"name": "pytorch + pillow", "images": len(scores), "images_per_s": rate, "memory_mb": round(memory)}))


if __name__ == "__main__":
    main()
