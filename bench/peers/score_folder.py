"""The peers of `aberra score`: programs that decode, resize and score a folder of JPEG files, on the CPU.

    python score_folder.py MODE FOLDER [--size 128] [--batch 32] [--threads 2]

Modes: `pillow` and `torchvision` decode with the library of that name and reconstruct with the VAE of `vae.py`;
`patchcore` and `patchcore_openvino` are PatchCore on a ResNet18, in PyTorch and as anomalib's inferencer runs it: one image at
a time through an OpenVINO model that holds the resize, the network, the memory bank and the map. Weights and bank are random,
which changes no time. Prints one JSON line with images per second, the start of the program left out.
"""

import argparse
import json
import os
import pathlib
import resource
import time

import numpy
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from vae import Vae

# anomalib 2.7: 256 px, centre 224 px; a tenth of the patches of 200 normals is kept.
RESIZED, CROPPED, BANK, NEIGHBOURS = 256, 224, 200 * 28 * 28 // 10, 9


class PatchCore(nn.Module):
    """[batch, 3, height, width] in 0 to 1 -> score [batch], map [batch, 1, 224, 224]."""

    def __init__(self):
        super().__init__()
        from torchvision.models import resnet18

        net = resnet18(weights=None)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1)
        self.second, self.third = net.layer2, net.layer3
        self.register_buffer("bank", torch.randn(BANK, 128 + 256, generator=torch.Generator().manual_seed(0)))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[None, :, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[None, :, None, None])
        reach = torch.arange(-16, 17) / 4.0
        bell = torch.exp(-0.5 * reach**2) / torch.exp(-0.5 * reach**2).sum()
        self.register_buffer("blur", bell)

    def forward(self, images):
        x = F.interpolate(images, (RESIZED, RESIZED), mode="bilinear", antialias=True)
        edge = (RESIZED - CROPPED) // 2
        x = (x[:, :, edge:-edge, edge:-edge] - self.mean) / self.deviation
        second = self.second(self.stem(x))
        third = self.third(second)
        pooled = [F.avg_pool2d(features, 3, 1, 1) for features in (second, third)]
        features = torch.cat([pooled[0], F.interpolate(pooled[1], size=(28, 28), mode="bilinear")], dim=1)
        patches = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        squares = (patches**2).sum(1, keepdim=True) + (self.bank**2).sum(1) - 2 * patches @ self.bank.T
        distances = squares.clamp_min(0).sqrt()
        least, nearest = distances.min(1)
        least = least.view(-1, 28 * 28)
        farthest = least.argmax(1)
        # The score is weighted by how crowded the neighbourhood of the nearest normal patch is.
        offset = torch.arange(least.shape[0]) * (28 * 28)
        normal = self.bank[nearest[offset + farthest]]
        around = torch.cdist(normal, self.bank).topk(NEIGHBOURS, largest=False).indices
        own = torch.linalg.vector_norm(patches[offset + farthest][:, None] - self.bank[around], dim=2)
        weight = 1 - F.softmax(own, 1)[:, 0]
        pixels = F.interpolate(least.view(-1, 1, 28, 28), size=(CROPPED, CROPPED), mode="bilinear")
        pixels = F.conv2d(F.pad(pixels, (16, 16, 0, 0), mode="reflect"), self.blur[None, None, None, :])
        pixels = F.conv2d(F.pad(pixels, (0, 0, 16, 16), mode="reflect"), self.blur[None, None, :, None])
        return weight * least.max(1).values, pixels


def in_batches(score, read, count):
    """A function from paths to scores."""

    def scored(paths):
        for first in range(0, len(paths), count):
            yield from score(torch.stack([read(path) for path in paths[first : first + count]])).tolist()

    return scored


def vae(arguments, read):
    model = Vae(arguments.size).eval()
    return in_batches(lambda images: ((model(images)[0] - images) ** 2).mean((1, 2, 3)), read, arguments.batch)


def coloured(path, side=None):
    image = Image.open(path).convert("RGB")
    image = image if side is None else image.resize((side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(numpy.asarray(image, dtype=numpy.float32).copy()).permute(2, 0, 1) / 255


def pillow(arguments):
    side = (arguments.size, arguments.size)

    def read(path):
        image = Image.open(path).convert("L").resize(side, Image.Resampling.BILINEAR)
        return torch.from_numpy(numpy.asarray(image, dtype=numpy.float32))[None] / 255

    return vae(arguments, read)


def torchvision(arguments):
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    def read(path):
        image = decode_jpeg(read_file(str(path)), mode=ImageReadMode.GRAY).float()[None] / 255
        return F.interpolate(image, (arguments.size, arguments.size), mode="bilinear", antialias=True)[0]

    return vae(arguments, read)


def patchcore(arguments):
    model = PatchCore().eval()
    return in_batches(lambda images: model(images)[0], lambda path: coloured(path, RESIZED), arguments.batch)


def patchcore_openvino(arguments):
    import openvino

    example = torch.rand(1, 3, RESIZED, RESIZED)
    converted = openvino.convert_model(PatchCore().eval(), example_input=example, input=[1, 3, -1, -1])
    config = {"INFERENCE_NUM_THREADS": arguments.threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(converted, "CPU", config)
    return lambda paths: (float(compiled(coloured(path)[None].numpy())[0].item()) for path in paths)


MODES = {f.__name__: f for f in (pillow, torchvision, patchcore, patchcore_openvino)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    torch.set_num_threads(arguments.threads)
    paths = sorted(arguments.folder.rglob("*.jpg"))
    with torch.inference_mode():
        score = MODES[arguments.mode](arguments)
        list(score(paths[: arguments.batch]))  # building and compiling the model is not timed
        start = time.perf_counter()
        scores = list(score(paths))
        secs = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = round(len(scores) / secs, 1)
    print(json.dumps({"name": arguments.mode, "images": len(scores), "images_per_s": rate, "memory_mb": round(memory)}))


if __name__ == "__main__":
    main()
