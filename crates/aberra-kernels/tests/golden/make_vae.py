"""Writes vae.json beside this file: the peer VAE of the speed comparison by PyTorch in double precision, ten training
steps from weights that a formula gives, at 32 pixels.

    pip install torch==2.15.0 && python make_vae.py

Weights are in the layout of aberra-kernels, [kernel height, kernel width, large channels, small channels] and
[inputs, outputs]; of each, some values are stored.
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

SIZE, BATCH, STEPS, LATENT, CHANNELS = 32, 4, 10, 128, (1, 32, 64, 128, 256)
GRID = SIZE // 16
FLAT = GRID * GRID * CHANNELS[-1]
SAMPLES = 6


def noise(shape, seed):
    """Values from -1 to 1 that single precision holds exactly: the generator of the Rust tests."""
    state, mask, values = (seed * 0x9E3779B97F4A7C15 & (1 << 64) - 1) | 1, (1 << 64) - 1, []
    for _ in range(math.prod(shape)):
        state = (state * 6364136223846793005 + 1442695040888963407) & mask
        values.append(((state >> 40) - (1 << 23)) / (1 << 23))
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def shapes():
    """Name, shape and number of terms in a sum of each layer's weights; biases follow their weights."""
    for stage, (large, small) in enumerate(zip(CHANNELS, CHANNELS[1:])):
        yield f"encoder.{stage}", (4, 4, large, small), 16 * large, small
    yield "mean", (FLAT, LATENT), FLAT, LATENT
    yield "log_variance", (FLAT, LATENT), FLAT, LATENT
    yield "expand", (LATENT, FLAT), LATENT, FLAT
    for stage, (large, small) in reversed(list(enumerate(zip(CHANNELS, CHANNELS[1:])))):
        yield f"decoder.{stage}", (4, 4, large, small), 4 * small, large


def parameters():
    made = {}
    for name, shape, terms, outputs in shapes():
        scale = 2.0 ** (1 - math.floor(math.log2(math.sqrt(terms))))
        made[f"{name}.weight"] = (scale * noise(shape, len(made) + 1)).requires_grad_()
        made[f"{name}.bias"] = (scale * noise((outputs,), len(made) + 1)).requires_grad_()
    return made


def loss(p, x, epsilon):
    hidden = x.permute(0, 3, 1, 2)
    for stage in range(4):
        weight = p[f"encoder.{stage}.weight"].permute(3, 2, 0, 1)
        hidden = F.relu(F.conv2d(hidden, weight, p[f"encoder.{stage}.bias"], stride=2, padding=1))
    flat = hidden.permute(0, 2, 3, 1).flatten(1)
    mean, log_variance = (flat @ p[f"{name}.weight"] + p[f"{name}.bias"] for name in ("mean", "log_variance"))
    z = mean + epsilon * (0.5 * log_variance).exp()
    hidden = (z @ p["expand.weight"] + p["expand.bias"]).reshape(-1, GRID, GRID, CHANNELS[-1]).permute(0, 3, 1, 2)
    for stage in reversed(range(4)):
        weight = p[f"decoder.{stage}.weight"].permute(3, 2, 0, 1)
        hidden = F.conv_transpose2d(hidden, weight, p[f"decoder.{stage}.bias"], stride=2, padding=1)
        hidden = F.relu(hidden) if stage else hidden.sigmoid()
    kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return (F.mse_loss(hidden.permute(0, 2, 3, 1), x, reduction="sum") + kl) / len(x)


def samples(tensor):
    flat = tensor.detach().flatten()
    return [float(f"{flat[index * 7919 % len(flat)]:.9g}") for index in range(SAMPLES)]


p = parameters()
optimizer = torch.optim.Adam(p.values(), lr=1e-3)
x, losses, gradients = (noise((BATCH, SIZE, SIZE, 1), 100) + 1) / 2, [], {}
for step in range(STEPS):
    optimizer.zero_grad()
    value = loss(p, x, noise((BATCH, LATENT), 200 + step))
    value.backward()
    losses.append(float(f"{value.item():.9g}"))
    if step == 0:
        gradients = {n: {"norm": t.grad.norm().item(), "samples": samples(t.grad)} for n, t in p.items()}
    optimizer.step()
trained = {name: samples(tensor) for name, tensor in p.items()}
path = pathlib.Path(__file__).parent / "vae.json"
path.write_text(json.dumps({"losses": losses, "gradients": gradients, "trained": trained}) + "\n")
