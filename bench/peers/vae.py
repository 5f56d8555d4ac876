"""The peers of the speed comparison: the presets `peer` and `reference` in PyTorch, ONNX Runtime and OpenVINO, on the CPU.

    python vae.py MODE [--preset peer] [--size 128] [--batch 32] [--threads 2] [--repeats 11]

Prints one JSON line: median milliseconds and images per second of a training step (forward, backward, Adam; PyTorch
only) and of a forward pass without gradients. `aberra-bench speed` runs every mode in turn with Aberra.
Needs what `requirements.txt` beside it lists.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn

TORCH_MODES = ("eager", "channels_last", "compile", "bf16", "channels_last_bf16")
MODES = (*TORCH_MODES, "onnxruntime", "openvino", "openvino_bf16")
WARM_UP = 3


class Vae(nn.Module):
    """[batch, 1, size, size] -> reconstruction, mean, log-variance; size a multiple of 16. Samples while training."""

    def __init__(self, size, channels=(32, 64, 128, 256), latent=128):
        super().__init__()
        self.grid = (channels[-1], size // 16, size // 16)
        flat = channels[-1] * (size // 16) ** 2
        ins, outs = (1, *channels[:-1]), (*reversed(channels[:-1]), 1)
        downs = [m for i, o in zip(ins, channels) for m in (nn.Conv2d(i, o, 4, 2, 1), nn.ReLU())]
        ups = [m for i, o in zip(reversed(channels), outs) for m in (nn.ConvTranspose2d(i, o, 4, 2, 1), nn.ReLU())]
        self.encoder = nn.Sequential(*downs)
        self.mean, self.log_variance = nn.Linear(flat, latent), nn.Linear(flat, latent)
        self.expand = nn.Linear(latent, flat)
        self.decoder = nn.Sequential(*ups[:-1], nn.Sigmoid())

    def forward(self, x):
        hidden = self.encoder(x).flatten(1)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
        return self.decoder(self.expand(z).view(-1, *self.grid)), mean, log_variance


def normed(layer, activation=True):
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), *([nn.LeakyReLU(0.2)] if activation else []))


class Block(nn.Module):
    """Two convolutions of stride 2 beside one of stride 4."""

    def __init__(self, ins, outs):
        super().__init__()
        self.deep = nn.Sequential(
            normed(nn.Conv2d(ins, outs, 3, 2, 1)), normed(nn.Conv2d(outs, outs, 3, 2, 1), activation=False)
        )
        self.shortcut = normed(nn.Conv2d(ins, outs, 3, 4, 1), activation=False)

    def forward(self, x):
        return F.leaky_relu(self.deep(x) + self.shortcut(x), 0.2)


class ReferenceVae(nn.Module):
    """[batch, 1, 256, 256] -> reconstruction, mean, log-variance: residual, 32 latents on a 4 x 4 grid."""

    def __init__(self, size, ch=256, latent=32):
        super().__init__()
        assert size == 256, "the reference has 256 x 256 pixels"
        self.encoder = nn.Sequential(
            nn.Conv2d(1, ch, 3, 1, 1), Block(ch, ch), Block(ch, 2 * ch), Block(2 * ch, 4 * ch)
        )
        self.mean, self.log_variance = nn.Conv2d(4 * ch, latent, 1), nn.Conv2d(4 * ch, latent, 1)
        ups = [latent, 4 * ch, 2 * ch, ch, ch // 2, ch // 4, ch // 8]
        stages = (normed(nn.ConvTranspose2d(i, o, 4, 2, 1)) for i, o in zip(ups, ups[1:]))
        self.decoder = nn.Sequential(*stages, nn.Conv2d(ch // 8, 1, 3, 1, 1), nn.Sigmoid())

    def forward(self, x):
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
        return self.decoder(z), mean, log_variance


PRESETS = {"peer": Vae, "reference": ReferenceVae}


def median_secs(work, repeats):
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_torch(mode, preset, size, batch, repeats):
    model, x = PRESETS[preset](size), torch.rand(batch, 1, size, size)
    if "channels_last" in mode:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    run = torch.compile(model) if mode == "compile" else model

    def forward():
        with torch.autocast("cpu", torch.bfloat16, enabled=mode.endswith("bf16")):
            return run(x)

    def step():
        optimizer.zero_grad()
        reconstruction, mean, log_variance = (t.float() for t in forward())
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
        ((F.mse_loss(reconstruction, x, reduction="sum") + kl) / batch).backward()
        optimizer.step()

    train_secs = median_secs(step, repeats)
    model.eval()
    with torch.inference_mode():
        return train_secs, median_secs(forward, repeats)


def measure_runtime(mode, preset, size, batch, threads, repeats):
    model, x = PRESETS[preset](size).eval(), torch.rand(batch, 1, size, size)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vae.onnx")
        torch.onnx.export(model, (x,), path, dynamo=True, verbose=False)
        values = numpy.ascontiguousarray(x.numpy())
        if mode == "onnxruntime":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            name = session.get_inputs()[0].name
            return None, median_secs(lambda: session.run(None, {name: values}), repeats)
        import openvino

        precision = "bf16" if mode.endswith("bf16") else "f32"
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(path, "CPU", settings)
        return None, median_secs(lambda: compiled(values), repeats)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--preset", choices=PRESETS, default="peer")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=11)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    if arguments.mode in TORCH_MODES:
        train, forward = measure_torch(
            arguments.mode, arguments.preset, arguments.size, arguments.batch, arguments.repeats
        )
    else:
        train, forward = measure_runtime(
            arguments.mode, arguments.preset, arguments.size, arguments.batch, arguments.threads, arguments.repeats
        )
    rate = lambda secs: secs and round(arguments.batch / secs, 1)
    print(
        json.dumps(
            {
                "name": arguments.mode,
                "train_images_per_s": rate(train),
                "forward_images_per_s": rate(forward),
                "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
