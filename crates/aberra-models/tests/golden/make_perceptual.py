"""Makes `perceptual.json`: the perceptual loss of two batches of images and its gradient, by PyTorch in double precision.

    pip install torch numpy safetensors==0.8.0
    python crates/aberra-models/tests/golden/make_perceptual.py
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent
WEIGHTS = HERE.parents[1] / "backbone" / "efficientnet-lite0-10.safetensors"
# Kernel of the depthwise convolution, its stride, and whether the input is added.
BLOCKS = [(3, 1, 0), (3, 2, 0), (3, 1, 1), (5, 2, 0), (5, 1, 1), (3, 2, 0), (3, 1, 1), (3, 1, 1), (5, 1, 0), (5, 1, 1), (5, 1, 1)]
FEATURE_BLOCKS = [2, 4, 10]
BATCH, HEIGHT, WIDTH, CHANNELS = 2, 48, 37, 3
SAMPLES = 40


def convolved(x, weight, bias, stride=1, groups=1):
    """With TensorFlow's padding SAME."""
    kernel = weight.shape[-1]
    total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (x.shape[-1], x.shape[-2])]
    x = F.pad(x, [part for side in total for part in (side // 2, side - side // 2)])
    return F.conv2d(x, weight, bias, stride=stride, groups=groups)


def features(x, tensors):
    x, found = (x - 0.498) / 0.502, []
    for number, (kernel, stride, adds) in enumerate(BLOCKS):
        before = x
        if number == 0:
            x = convolved(x, tensors["stem.weight"].permute(3, 2, 0, 1), tensors["stem.bias"], 2)
        else:
            weight = tensors[f"blocks.{number}.expand.weight"].t()[:, :, None, None]
            x = convolved(x, weight, tensors[f"blocks.{number}.expand.bias"])
        x = x.clamp(0, 6)
        weight = tensors[f"blocks.{number}.depthwise.weight"].permute(2, 0, 1)[:, None]
        x = convolved(x, weight, tensors[f"blocks.{number}.depthwise.bias"], stride, x.shape[1]).clamp(0, 6)
        weight = tensors[f"blocks.{number}.project.weight"].t()[:, :, None, None]
        x = convolved(x, weight, tensors[f"blocks.{number}.project.bias"])
        x = x + before if adds else x
        if number in FEATURE_BLOCKS:
            found.append(x)
    return found


def distance(expected, target, tensors):
    of_blocks = []
    for expected, target in zip(features(expected, tensors), features(target, tensors)):
        mean = target.mean((2, 3), keepdim=True)
        deviation = (target.var((2, 3), keepdim=True, unbiased=False) + 0.01).sqrt()
        difference = ((expected - target) / deviation).abs().mean((1, 2, 3))
        of_blocks.append((difference / ((target - mean) / deviation).abs().mean((1, 2, 3))).mean())
    return torch.stack(of_blocks).mean()


def images(phase):
    """What the test draws, too: `[batch, height, width, channels]`."""
    at = np.arange(BATCH * HEIGHT * WIDTH * CHANNELS, dtype=np.float64)
    values = (0.5 + 0.45 * np.sin(at * 0.37 + phase) * np.cos(at * 0.011)).astype(np.float32)
    return torch.from_numpy(values.astype(np.float64)).reshape(BATCH, HEIGHT, WIDTH, CHANNELS)


def main():
    tensors = {name: torch.from_numpy(values.astype(np.float64)) for name, values in load_file(WEIGHTS).items()}
    expected, target = images(0.0).requires_grad_(), images(0.8)
    value = distance(expected.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2), tensors)
    value.backward()
    gradient = expected.grad.flatten()
    every = len(gradient) // SAMPLES
    golden = {
        "distance": float(value.detach()),
        "largest": float(gradient.abs().max()),
        "every": every,
        "gradient": [float(x) for x in gradient[::every]],
    }
    (HERE / "perceptual.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
