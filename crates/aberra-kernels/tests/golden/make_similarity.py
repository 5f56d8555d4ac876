"""Writes similarity.json beside this file: one minus SSIM and MS-SSIM with their gradients, by PyTorch in double
precision, of images that a formula gives.

    pip install torch==2.15.0 && python make_similarity.py

SSIM: Wang, Bovik, Sheikh and Simoncelli 2004. MS-SSIM: Wang, Simoncelli and Bovik 2003, with the mean of the contrast
and structure term at every scale but the last, as in pytorch-msssim and torchmetrics; the number of scales follows
from the size, and the exponents are divided by their sum. A mean below FLOOR counts as FLOOR where there are several
scales.
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

WINDOW, SIGMA, C1, C2 = 11, 1.5, 0.01**2, 0.03**2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
FLOOR, SAMPLES = 1e-3, 600
# kind, [batch, height, width, channels], whether the output is the target's negative
CASES = [
    ("ssim", (2, 16, 13, 1), False),
    ("ssim", (3, 11, 30, 3), False),
    ("ssim", (1, 14, 17, 2), True),
    ("ms-ssim", (1, 24, 20, 1), False),
    ("ms-ssim", (2, 48, 46, 2), False),
    ("ms-ssim", (1, 180, 177, 1), False),
    ("ms-ssim", (1, 25, 22, 1), True),
]


def noise(shape, seed):
    """Values from -1 to 1 that single precision holds exactly: the generator of the Rust tests."""
    state, mask, values = (seed * 0x9E3779B97F4A7C15 & (1 << 64) - 1) | 1, (1 << 64) - 1, []
    for _ in range(math.prod(shape)):
        state = (state * 6364136223846793005 + 1442695040888963407) & mask
        values.append(((state >> 40) - (1 << 23)) / (1 << 23))
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def images(shape, negative):
    """Output and target: noise on a ramp, with a black margin on top where only the output has noise."""
    rows, columns = (torch.arange(size, dtype=torch.float64) for size in shape[1:3])
    ramp = ((rows[:, None] + columns) / (shape[1] + shape[2]))[..., None]
    target = 0.25 * (noise(shape, 1) + 1) + 0.5 * ramp
    other = 0.5 * (noise(shape, 2) + 1)
    output = 1 - target if negative else 0.75 * target + 0.25 * other
    margin = (rows < shape[1] // 4)[:, None, None]
    output, target = torch.where(margin, 0.05 * other, output), torch.where(margin, 0.0, target)
    return tuple(image.float().double().permute(0, 3, 1, 2) for image in (output, target))


def local_terms(x, y):
    """Similarity, and its contrast and structure term, wherever the window fits."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    gaussian = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = torch.outer(gaussian, gaussian)
    window = (window / window.sum()).expand(x.shape[1], 1, WINDOW, WINDOW)
    mean = lambda image: F.conv2d(image, window, groups=x.shape[1])
    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    contrast = (2 * covariance + C2) / (variance_x + variance_y + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance * contrast, contrast


def ssim(x, y):
    return local_terms(x, y)[0].mean()


def ms_ssim(x, y):
    scales = sum(min(x.shape[2:]) >> scale >= WINDOW for scale in range(len(WEIGHTS)))
    if scales == 1:
        return ssim(x, y)
    weights = [weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales]]
    product = 1
    for scale, weight in enumerate(weights):
        similarity, contrast = local_terms(x, y)
        term = (similarity if scale == scales - 1 else contrast).mean((2, 3))
        product = product * term.clamp(min=FLOOR) ** weight
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product.mean()


def case(kind, shape, negative):
    output, target = images(shape, negative)
    output.requires_grad_()
    value = 1 - {"ssim": ssim, "ms-ssim": ms_ssim}[kind](output, target)
    value.backward()
    gradient = output.grad.permute(0, 2, 3, 1).flatten()
    samples = [gradient[index * 7919 % len(gradient)].item() for index in range(min(SAMPLES, len(gradient)))]
    return {"kind": kind, "shape": shape, "negative": negative, "value": float(f"{value.item():.12g}"),
            "norm": float(f"{gradient.norm().item():.9g}"), "samples": [float(f"{value:.9g}") for value in samples]}


path = pathlib.Path(__file__).parent / "similarity.json"
path.write_text(json.dumps([case(*each) for each in CASES]) + "\n")
