"""Writes families.safetensors beside this file: small models of every family trained for five steps by PyTorch in double
precision, from weights and images that formulas give.

    ABERRA_UPDATE=1 cargo test --workspace --locked --test golden draws     # only if the draws of training changed
    pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0 && python make_families.py

What training draws (order of the images, noise of the latents, noise of the images, codes that restart) is read from
draws.json, which the test above keeps; everything else is computed here. Layers, losses, optimiser and clipping are those
of torch.nn.functional, torch.distributions, torch.optim and torch.nn.utils.

Weights are named and laid out as in a member's tensors, convolutions as [kernel height, kernel width, large channels, small
channels], dense layers as [inputs, outputs]. The file's metadata holds the cases with their settings. Stored for each case
are, before training, reconstructions, embeddings and the family's own measurements of held-out images; of each epoch, which
is one step, the loss terms; the gradients of the first step, as the optimiser gets them; and the weights after the last,
both joined in the order of their names. Of a large tensor SAMPLES values are stored.
"""

import json
import math
import pathlib

import numpy
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch.distributions import Laplace, Normal, kl_divergence

HERE = pathlib.Path(__file__).parent
DRAWS = json.loads((HERE / "draws.json").read_text())
STEPS, HELD_OUT, SAMPLES = 5, 3, 160
# Number of the first held-out image.
FIRST_HELD_OUT = 500
# Number of the first training image, where with number 0 an activation is so near its kink, or two codes so equally near,
# that rounding decides.
FIRST_IMAGE = {
    "vae-gaussian": 5,
    "vae-bernoulli": 5,
    "vae-uncertainty": 10,
    "autoencoder-l1": 10,
    "autoencoder-ms-ssim": 20,
    "vqvae-fresh-codes": 250,
}

WINDOW, SIGMA, C1, C2 = 11, 1.5, 0.01**2, 0.03**2
SCALE_WEIGHTS, SCALE_FLOOR = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), 1e-3
LOG_VARIANCE_BOUNDS, WARMUP_VARIANCE = (-7.0, 2.0), 0.02
DECAY, SMOOTHING, DEAD_SHARE = 0.99, 1e-5, 0.05

CONVOLUTIONAL = {"channels": [2, 4, 6], "latent": 4, "normalization": "none", "precision": "f32"}
NORMALIZED = CONVOLUTIONAL | {"normalization": "batch"}
RESIDUAL = {"architecture": "residual", "channels": [8, 8, 8], "latent": 1, "activation": "leaky-relu", "precision": "f32"}
CODES = {"channels": [2, 4, 6], "normalization": "batch", "precision": "f32"}
MEAN_SQUARED = {"mse": 1.0, "l1": 0.0, "ssim": 0.0, "ms_ssim": 0.0}
NONE = dict.fromkeys(MEAN_SQUARED, 0.0)

# Name, family, [height, width, channels], settings of the family, settings of training.
CASES = [
    ("vae-gaussian", "vae", (16, 16, 1), CONVOLUTIONAL | {
        "likelihood": {"kind": "gaussian", "variance": 0.05}, "beta": 2.0, "beta_warmup_epochs": 0,
        "free_bits_nats": 0.09}, {}),
    ("vae-laplace", "vae", (16, 16, 1), NORMALIZED | {
        "likelihood": {"kind": "laplace", "scale": 0.1}, "beta": 0.5, "beta_warmup_epochs": 2,
        "activation": "leaky-relu"}, {"schedule": "constant"}),
    ("vae-bernoulli", "vae", (16, 16, 1), CONVOLUTIONAL | {
        "likelihood": {"kind": "bernoulli"}, "hidden": 10, "beta_warmup_epochs": 0}, {"weight_decay": 0.1}),
    ("vae-uncertainty", "vae", (16, 24, 3), NORMALIZED | {
        "likelihood": {"kind": "uncertainty"}, "beta_warmup_epochs": 0, "variance_warmup_epochs": 0}, {}),
    ("vae-warm-up", "vae", (16, 16, 1), CONVOLUTIONAL | {
        "likelihood": {"kind": "uncertainty"}, "beta": 4.0, "beta_warmup_epochs": 3, "variance_warmup_epochs": 2,
        "free_bits_nats": 0.09}, {"schedule": "one-cycle", "gradient_clip": 0.02}),
    ("vae-residual", "vae", (256, 256, 1), RESIDUAL | {
        "likelihood": {"kind": "gaussian", "variance": 0.5}, "beta_warmup_epochs": 0}, {"batch_size": 3}),
    ("autoencoder-mse", "autoencoder", (16, 16, 1), NORMALIZED | {"loss": MEAN_SQUARED}, {}),
    ("autoencoder-l1", "autoencoder", (16, 16, 1), CONVOLUTIONAL | {
        "loss": NONE | {"l1": 2.0}, "hidden": 10, "activation": "leaky-relu"}, {"gradient_clip": 0.0}),
    ("autoencoder-ssim", "autoencoder", (16, 16, 1), CONVOLUTIONAL | {"loss": NONE | {"ssim": 1.0}}, {}),
    ("autoencoder-ms-ssim", "autoencoder", (32, 48, 1), CONVOLUTIONAL | {
        "channels": [2, 3, 4, 4], "loss": NONE | {"ms_ssim": 1.0}}, {}),
    ("autoencoder-mixed", "autoencoder", (32, 24, 3), NORMALIZED | {
        "loss": {"mse": 0.5, "l1": 0.25, "ssim": 1.0, "ms_ssim": 0.75}}, {"weight_decay": 0.05}),
    ("autoencoder-denoising", "autoencoder", (16, 24, 3), NORMALIZED | {
        "loss": MEAN_SQUARED, "noise": 0.3, "noise_px": 5}, {}),
    ("autoencoder-residual", "autoencoder", (256, 256, 3), RESIDUAL | {"loss": MEAN_SQUARED}, {"batch_size": 3}),
    ("vqvae", "vqvae", (16, 16, 1), CODES | {
        "codes": 12, "code_dimensions": 3, "commitment": 0.25, "loss": MEAN_SQUARED}, {}),
    ("vqvae-fresh-codes", "vqvae", (24, 16, 3), CODES | {
        "normalization": "none", "codes": 8, "code_dimensions": 4, "commitment": 1.0,
        "loss": NONE | {"l1": 1.0, "ssim": 0.5}}, {"gradient_clip": 0.05}),
]

TRAIN = {"epochs": STEPS, "batch_size": 4, "learning_rate": 0.01, "schedule": "cosine", "weight_decay": 0.0,
         "gradient_clip": 1.0, "criterion": "last", "check_every_epochs": 1, "checkpoint_every_epochs": 1,
         "augmentation": {"flip_horizontal": False, "flip_vertical": False, "rotation_degrees": 0.0, "scale": 0.0,
                          "shift": 0.0, "gamma": 0.0}}


# Weights, images and draws


def noise(shape, seed):
    """Values from -1 to 1 that single precision holds exactly: the generator of the Rust tests."""
    state, mask, values = (seed * 0x9E3779B97F4A7C15 & (1 << 64) - 1) | 1, (1 << 64) - 1, []
    for _ in range(math.prod(shape)):
        state = (state * 6364136223846793005 + 1442695040888963407) & mask
        values.append(((state >> 40) - (1 << 23)) / (1 << 23))
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def single(tensor):
    """What single precision holds of it."""
    return tensor.float().double()


def image(number, shape):
    """Stripes whose slope depends on the image, and a little noise."""
    y, x, channel = torch.meshgrid(*(torch.arange(size) for size in shape), indexing="ij")
    wave = ((y * (2 + number % 3) + x * 3 + number * 5 + channel * 11) % 32 - 16).abs()
    return single(0.25 + wave.double() / 32 + noise(shape, 1000 + number) / 16)


def initial(name, shape, number, fresh_codes):
    values = noise(shape, number)
    last = name.rsplit(".", 1)[-1]
    if last == "weight":
        terms = math.prod(shape[:-1])
        return values * 2.0 ** (1 - (terms.bit_length() - 1) // 2)
    if last in ("bias", "shift"):
        return values / 8
    if last == "running_mean":
        return values / 4
    if last == "scale":
        return 1 + values / 4
    if last == "running_variance":
        return single(1 + values / 2)
    if fresh_codes or last == "running_usage":
        return torch.zeros(shape, dtype=torch.float64)
    if last == "running_counts":
        return single((1 + values) ** 3)
    assert last == "running_sums", name
    return values * 2


def normals(stream, step, count):
    values = numpy.array(DRAWS[stream][step], dtype=numpy.float32)
    assert len(values) >= count, f"draws.json holds {len(values)} draws of {stream}, of which {count} are needed"
    return torch.tensor(values[:count]).double()


# Layers


def shapes_of_convolution(name, channels, kernel, normalized):
    """Of weights between the larger and the smaller side; `channels` are the input's and the output's, then whether the
    convolution is transposed."""
    ins, outs, transposed = channels
    yield f"{name}.weight", (kernel, kernel, outs, ins) if transposed else (kernel, kernel, ins, outs)
    yield f"{name}.bias", (outs,)
    if normalized:
        for part in ("scale", "shift", "running_mean", "running_variance"):
            yield f"{name}.norm.{part}", (outs,)


def shapes_of_dense(name, ins, outs):
    yield f"{name}.weight", (ins, outs)
    yield f"{name}.bias", (outs,)


def activated(hidden, activation):
    if activation != "identity":
        kinks.append(hidden.abs().min().item())
    return {"relu": F.relu, "leaky-relu": lambda x: F.leaky_relu(x, 0.2), "identity": lambda x: x}[activation](hidden)


def convolution(p, name, hidden, activation, training, stride, padding, transposed=False):
    apply = F.conv_transpose2d if transposed else F.conv2d
    hidden = apply(hidden, p[f"{name}.weight"].permute(3, 2, 0, 1).contiguous(), p[f"{name}.bias"], stride, padding)
    if f"{name}.norm.scale" in p:
        mean, variance, scale, shift = (
            p[f"{name}.norm.{part}"] for part in ("running_mean", "running_variance", "scale", "shift"))
        hidden = F.batch_norm(hidden, mean, variance, scale, shift, training=training, momentum=0.1, eps=1e-5)
    return activated(hidden, activation)


def dense(p, name, hidden, activation):
    return activated(hidden @ p[f"{name}.weight"] + p[f"{name}.bias"], activation)


# Networks: each gives the shapes of its weights, and encodes and decodes [n, channels, height, width]


class Convolutional:
    """Halving convolutions and dense layers, mirrored."""

    def __init__(self, settings, shape, encoded, decoded):
        self.channels, self.latent = settings["channels"], settings["latent"]
        self.hidden, self.normalized = settings.get("hidden", 0), settings["normalization"] == "batch"
        self.activation = settings.get("activation", "relu")
        self.grid = (self.channels[-1], shape[0] >> len(self.channels), shape[1] >> len(self.channels))
        self.ins, self.encoded, self.decoded = shape[2], encoded, decoded
        self.path = "network.Convolutional"

    def shapes(self):
        ends = [self.ins, *self.channels]
        flat = math.prod(self.grid)
        narrow = self.hidden or flat
        for stage, (ins, outs) in enumerate(zip(ends, ends[1:])):
            yield from shapes_of_convolution(f"{self.path}.encoder.{stage}", (ins, outs, False), 4, self.normalized)
        if self.hidden:
            yield from shapes_of_dense(f"{self.path}.encoder_hidden", flat, self.hidden)
            yield from shapes_of_dense(f"{self.path}.decoder_hidden", self.hidden, flat)
        yield from shapes_of_dense(f"{self.path}.posterior", narrow, self.encoded)
        yield from shapes_of_dense(f"{self.path}.expand", self.latent, narrow)
        ends = [*reversed(self.channels), self.decoded]
        for stage, (ins, outs) in enumerate(zip(ends, ends[1:])):
            normalized = self.normalized and stage + 1 < len(self.channels)
            yield from shapes_of_convolution(f"{self.path}.decoder.{stage}", (ins, outs, True), 4, normalized)

    def encode(self, p, hidden, training):
        for stage in range(len(self.channels)):
            hidden = convolution(p, f"{self.path}.encoder.{stage}", hidden, self.activation, training, 2, 1)
        flat = hidden.permute(0, 2, 3, 1).flatten(1)
        if self.hidden:
            flat = dense(p, f"{self.path}.encoder_hidden", flat, self.activation)
        return dense(p, f"{self.path}.posterior", flat, "identity")

    def decode(self, p, latent, training):
        flat = dense(p, f"{self.path}.expand", latent, self.activation if self.hidden else "identity")
        if self.hidden:
            flat = dense(p, f"{self.path}.decoder_hidden", flat, self.activation)
        channels, rows, columns = self.grid
        hidden = flat.reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)
        for stage in range(len(self.channels)):
            last = stage + 1 == len(self.channels)
            activation = "identity" if last else self.activation
            hidden = convolution(p, f"{self.path}.decoder.{stage}", hidden, activation, training, 2, 1, True)
        return hidden


class Residual:
    """A 3 x 3 convolution, residual blocks of stride 4, 1 x 1 convolutions to a 4 x 4 grid of latents; six doubling
    transposed convolutions and a 3 x 3 convolution."""

    def __init__(self, settings, shape, encoded, decoded):
        self.channels, self.latent, self.activation = settings["channels"], settings["latent"], settings["activation"]
        self.ins, self.decoded = shape[2], decoded
        self.has_log_variance = encoded > 16 * self.latent
        width = self.channels[0]
        self.ups = [self.latent, 4 * width, 2 * width, width, width // 2, width // 4, width // 8]
        self.path = "network.Residual"

    def shapes(self):
        yield from shapes_of_convolution(f"{self.path}.stem", (self.ins, self.channels[0], False), 3, False)
        ends = [self.channels[0], *self.channels]
        for block, (ins, outs) in enumerate(zip(ends, ends[1:])):
            for name, channels in (("first", ins), ("second", outs), ("shortcut", ins)):
                path = f"{self.path}.blocks.{block}.{name}"
                yield from shapes_of_convolution(path, (channels, outs, False), 3, True)
        for name in ["mean"] + ["log_variance"] * self.has_log_variance:
            yield from shapes_of_convolution(f"{self.path}.{name}", (self.channels[2], self.latent, False), 1, False)
        for stage, (ins, outs) in enumerate(zip(self.ups, self.ups[1:])):
            yield from shapes_of_convolution(f"{self.path}.decoder.{stage}", (ins, outs, True), 4, True)
        yield from shapes_of_convolution(f"{self.path}.head", (self.ups[-1], self.decoded, False), 3, False)

    def encode(self, p, hidden, training):
        hidden = convolution(p, f"{self.path}.stem", hidden, "identity", training, 1, 1)
        for block in range(3):
            path = f"{self.path}.blocks.{block}"
            deep = convolution(p, f"{path}.first", hidden, self.activation, training, 2, 1)
            deep = convolution(p, f"{path}.second", deep, "identity", training, 2, 1)
            beside = convolution(p, f"{path}.shortcut", hidden, "identity", training, 4, 1)
            hidden = activated(deep + beside, self.activation)
        outputs = [convolution(p, f"{self.path}.{name}", hidden, "identity", training, 1, 0).permute(0, 2, 3, 1).flatten(1)
                   for name in ["mean"] + ["log_variance"] * self.has_log_variance]
        return torch.cat(outputs, 1)

    def decode(self, p, latent, training):
        hidden = latent.reshape(-1, 4, 4, self.latent).permute(0, 3, 1, 2)
        for stage in range(6):
            hidden = convolution(p, f"{self.path}.decoder.{stage}", hidden, self.activation, training, 2, 1, True)
        return convolution(p, f"{self.path}.head", hidden, "identity", training, 1, 1)


def network(settings, *rest):
    return (Residual if settings.get("architecture") == "residual" else Convolutional)(settings, *rest)


# Reconstruction losses, each summed over an image and averaged over the batch


def local_similarity(x, y):
    """Structural similarity, and its contrast and structure term, wherever the window fits (Wang et al., 2004)."""
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


def multi_scale_similarity(x, y):
    """As many of the five scales as the window fits, whose exponents are divided by their sum (Wang et al., 2003)."""
    scales = sum(min(x.shape[2:]) >> scale >= WINDOW for scale in range(len(SCALE_WEIGHTS)))
    assert scales > 1, "one scale alone is plain structural similarity"
    product = 1
    for scale, weight in enumerate(SCALE_WEIGHTS[:scales]):
        similarity, contrast = local_similarity(x, y)
        term = (similarity if scale == scales - 1 else contrast).mean((2, 3))
        margins.append(term.min().item() / SCALE_FLOOR)
        product = product * term.clamp(min=SCALE_FLOOR) ** (weight / sum(SCALE_WEIGHTS[:scales]))
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product.mean()


def reconstruction_terms(weights, logits, target):
    mean, count = logits.sigmoid(), target[0].numel()
    losses = {
        "mse": lambda: count * F.mse_loss(mean, target),
        "l1": lambda: count * F.l1_loss(mean, target),
        "ssim": lambda: count * (1 - local_similarity(mean, target)[0].mean()),
        "ms_ssim": lambda: count * (1 - multi_scale_similarity(mean, target)),
    }
    return [(name, weights[name], loss()) for name, loss in losses.items() if weights[name] > 0]


# Families: the shapes of their weights; the terms of a loss, each with its name and weight; what is inferred


class Vae:
    def __init__(self, settings, shape):
        self.settings, self.channels = settings, shape[2]
        self.latent = settings["latent"] * (16 if settings.get("architecture") == "residual" else 1)
        self.kind = settings["likelihood"]["kind"]
        decoded = shape[2] * (2 if self.kind == "uncertainty" else 1)
        self.network = network(settings, shape, 2 * self.latent, decoded)
        self.shapes = self.network.shapes

    def negative_log_likelihood(self, output, target, epoch):
        """Without the constants that no weight can change."""
        logits, rest = output[:, :self.channels], output[:, self.channels:]
        mean, likelihood = logits.sigmoid(), self.settings["likelihood"]
        if self.kind == "bernoulli":
            return F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        if self.kind == "laplace":
            return -Laplace(mean, likelihood["scale"]).log_prob(target) - math.log(2 * likelihood["scale"])
        if self.kind == "uncertainty" and epoch >= self.settings.get("variance_warmup_epochs", 5):
            deviation = (0.5 * rest.clamp(*LOG_VARIANCE_BOUNDS)).exp()
            return -Normal(mean, deviation).log_prob(target) - 0.5 * math.log(2 * math.pi)
        variance = likelihood.get("variance", WARMUP_VARIANCE)
        return -Normal(mean, math.sqrt(variance)).log_prob(target) - 0.5 * math.log(2 * math.pi * variance)

    def terms(self, p, target, step, training):
        mean, log_variance = self.network.encode(p, target, training).split(self.latent, 1)
        posterior = Normal(mean, (0.5 * log_variance).exp())
        z = mean
        if training:
            z = mean + posterior.stddev * normals("latent", step, mean.numel()).reshape(mean.shape)
        cost = self.negative_log_likelihood(self.network.decode(p, z, training), target, step).sum() / len(target)
        nats = kl_divergence(posterior, Normal(0.0, 1.0)).mean(0)
        if training:
            floored.append((nats < self.settings.get("free_bits_nats", 0.0)).sum().item())
            nats = nats.clamp(min=self.settings.get("free_bits_nats", 0.0))
        warmup = self.settings["beta_warmup_epochs"]
        beta = self.settings.get("beta", 1.0) * min(1, (step + 1) / (warmup + 1))
        return [("reconstruction", 1.0, cost), ("kl", beta, nats.sum())]

    def inferred(self, p, images):
        mean, log_variance = self.network.encode(p, images, False).split(self.latent, 1)
        kl = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
        output = self.network.decode(p, mean, False)[:, :self.channels]
        return output.sigmoid(), mean, {"kl": kl}

    def figures(self, p):
        return {}


class Autoencoder:
    def __init__(self, settings, shape):
        self.settings = settings
        latent = settings["latent"] * (16 if settings.get("architecture") == "residual" else 1)
        self.network = network(settings, shape, latent, shape[2])
        self.shapes = self.network.shapes

    def coarse_noise(self, shape, step):
        """Normal draws on a grid, interpolated bilinearly: pixels and points both begin at the image's corner."""
        images, channels, height, width = shape
        grid = self.settings["noise_px"]
        rows, columns = -(-height // grid) + 1, -(-width // grid) + 1
        points = normals("corruption", step, images * rows * columns * channels)
        points = points.reshape(images, rows, columns, channels).permute(0, 3, 1, 2)
        size = ((rows - 1) * grid + 1, (columns - 1) * grid + 1)
        smooth = F.interpolate(points, size, mode="bilinear", align_corners=True)
        return self.settings["noise"] * smooth[:, :, :height, :width]

    def terms(self, p, target, step, training):
        seen = target
        if training and self.settings.get("noise", 0.0):
            seen = target + self.coarse_noise(target.shape, step)
        logits = self.network.decode(p, self.network.encode(p, seen, training), training)
        return reconstruction_terms(self.settings["loss"], logits, target)

    def inferred(self, p, images):
        latent = self.network.encode(p, images, False)
        return self.network.decode(p, latent, False).sigmoid(), latent, {}

    def figures(self, p):
        return {}


class Vqvae:
    """Van den Oord et al., 2017, with the moving averages of appendix A.1."""

    def __init__(self, settings, shape):
        self.settings, self.channels, self.ins = settings, settings["channels"], shape[2]
        self.normalized = settings["normalization"] == "batch"

    def shapes(self):
        ends, codes, dimensions = [self.ins, *self.channels], self.settings["codes"], self.settings["code_dimensions"]
        for stage, (ins, outs) in enumerate(zip(ends, ends[1:])):
            yield from shapes_of_convolution(f"encoder.{stage}", (ins, outs, False), 4, self.normalized)
        yield from shapes_of_convolution("to_grid", (ends[-1], dimensions, False), 3, False)
        yield "codebook.running_counts", (codes,)
        yield "codebook.running_sums", (codes, dimensions)
        yield "codebook.running_usage", (codes,)
        yield from shapes_of_convolution("from_grid", (dimensions, ends[-1], False), 3, self.normalized)
        for stage, (outs, ins) in reversed(list(enumerate(zip(ends, ends[1:])))):
            path = f"decoder.{len(self.channels) - 1 - stage}"
            yield from shapes_of_convolution(path, (ins, outs, True), 4, self.normalized and stage > 0)

    def encode(self, p, hidden, training):
        for stage in range(len(self.channels)):
            hidden = convolution(p, f"encoder.{stage}", hidden, "relu", training, 2, 1)
        return convolution(p, "to_grid", hidden, "identity", training, 1, 1).permute(0, 2, 3, 1)

    def decode(self, p, grid, training):
        hidden = convolution(p, "from_grid", grid.permute(0, 3, 1, 2), "relu", training, 1, 1)
        for stage in range(len(self.channels)):
            activation = "identity" if stage + 1 == len(self.channels) else "relu"
            hidden = convolution(p, f"decoder.{stage}", hidden, activation, training, 2, 1, True)
        return hidden

    def codes(self, p):
        counts, sums = p["codebook.running_counts"], p["codebook.running_sums"]
        total = counts.sum()
        smoothed = (counts + SMOOTHING) / (total + len(counts) * SMOOTHING) * total
        return sums / smoothed[:, None]

    def quantised(self, p, grid):
        codes, flat = self.codes(p), grid.detach().flatten(0, 2)
        distances = ((flat[:, None] - codes) ** 2).sum(2)
        assigned = distances.argmin(1)
        # How much nearer the nearest code is than the next other one.
        nearest = distances.gather(1, assigned[:, None])
        others = torch.where((codes[assigned][:, None] == codes).all(2), torch.inf, distances).min(1, keepdim=True)[0]
        gaps.append((others - nearest).min().item())
        return assigned, codes[assigned].reshape(grid.shape)

    def restart(self, p, rows, draws):
        counts, sums = p["codebook.running_counts"], p["codebook.running_sums"]
        least = DEAD_SHARE * counts.mean().item()
        # The first batch gives all codes their places.
        count = 2 * least if counts.sum() > 0 else 1.0
        dead = [code for code in range(len(counts)) if counts[code] <= least]
        for code in dead:
            counts[code], sums[code] = count, count * rows[next(draws)]
        restarts.append(len(dead))

    def follow(self, p, rows, assigned, draws):
        counts, sums = p["codebook.running_counts"], p["codebook.running_sums"]
        one_hot = F.one_hot(assigned, len(counts)).double()
        counts.mul_(DECAY).add_((1 - DECAY) * one_hot.sum(0))
        sums.mul_(DECAY).add_((1 - DECAY) * one_hot.T @ rows)
        self.restart(p, rows, draws)

    def terms(self, p, target, step, training):
        grid = self.encode(p, target, training)
        rows = grid.detach().flatten(0, 2)
        draws = iter(DRAWS["codebook"][str(len(rows))][step]) if training else None
        if training and p["codebook.running_counts"].sum() == 0:
            self.restart(p, rows, draws)
        assigned, codes = self.quantised(p, grid)
        logits = self.decode(p, grid + (codes - grid).detach(), training)
        commitment = ((grid - codes) ** 2).sum() / len(target)
        if training:
            self.follow(p, rows, assigned, draws)
        terms = reconstruction_terms(self.settings["loss"], logits, target)
        return terms + [("commitment", self.settings["commitment"], commitment)]

    def inferred(self, p, images):
        grid = self.encode(p, images, False)
        assigned, codes = self.quantised(p, grid)
        error = ((grid - codes) ** 2).sum(3).mean((1, 2))
        usage = p["codebook.running_usage"] + 1
        rarity = -(usage / usage.sum()).log()[assigned].reshape(len(images), -1).mean(1)
        return self.decode(p, codes, False).sigmoid(), grid.mean((1, 2)), {
            "quantisation_error": error, "code_rarity": rarity}

    def figures(self, p):
        counts = p["codebook.running_counts"]
        dead = (counts <= DEAD_SHARE * counts.mean()).sum().item()
        return {"perplexity": torch.distributions.Categorical(counts).entropy().exp().item(), "dead_codes": dead}


# Training


def learning_rate_factor(schedule, step):
    """Constant; a half cosine to a hundredth; or a rise over 30 % of the steps from 0.04, then that cosine."""
    fall = lambda share: 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))
    share = step / STEPS
    if schedule == "one-cycle":
        return 0.04 + 0.96 * share / 0.3 if share < 0.3 else fall((share - 0.3) / 0.7)
    return fall(share) if schedule == "cosine" else 1.0


def stored(tensor):
    flat = tensor.detach().flatten()
    if len(flat) > SAMPLES:
        flat = flat[torch.tensor([index * 7919 % len(flat) for index in range(SAMPLES)])]
    return numpy.ascontiguousarray(flat.float().numpy())


def joined(tensors):
    return numpy.concatenate([stored(tensor) for tensor in tensors])


def digits(values):
    """Nine of them."""
    return {name: float(f"{value:.9g}") for name, value in values.items()}


def train(name, family, shape, settings, train_settings):
    for record in (floored, gaps, kinks, margins, restarts):
        record.clear()
    train_settings = TRAIN | train_settings
    count = train_settings["batch_size"]
    model = {"vae": Vae, "autoencoder": Autoencoder, "vqvae": Vqvae}[family](settings, shape)
    shapes = dict(sorted(model.shapes()))
    fresh_codes = name == "vqvae-fresh-codes"
    p = {name: initial(name, shape, number + 1, fresh_codes) for number, (name, shape) in enumerate(shapes.items())}
    trained = {name: p[name].requires_grad_() for name in p if ".running_" not in name}
    # A normalisation takes out any constant: the bias before it has no gradient and is left as it is.
    idle = {name for name in trained if name.replace(".bias", ".norm.scale") in p and name.endswith(".bias")}
    optimised = [trained[name] for name in trained if name not in idle]
    optimizer = torch.optim.AdamW(optimised, lr=train_settings["learning_rate"],
                                  weight_decay=train_settings["weight_decay"])
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(train_settings["schedule"], step))
    first = FIRST_IMAGE.get(name, 0)
    images = torch.stack([image(first + number, shape) for number in range(count)]).permute(0, 3, 1, 2)
    held_out = torch.stack([image(FIRST_HELD_OUT + number, shape) for number in range(HELD_OUT)]).permute(0, 3, 1, 2)
    tensors, epochs, norms = {}, [], []

    if not fresh_codes:
        with torch.no_grad():
            reconstructions, embeddings, own = model.inferred(p, held_out)
        tensors["inferred/reconstruction"] = stored(reconstructions.permute(0, 2, 3, 1))
        tensors["inferred/embedding"] = stored(embeddings)
        tensors |= {f"inferred/{name}": stored(values) for name, values in own.items()}
    for step in range(STEPS):
        optimizer.zero_grad()
        terms = model.terms(p, images[DRAWS["order"][str(count)][step]], step, True)
        sum(weight * value for _, weight, value in terms).backward()
        norms.append(torch.nn.utils.get_total_norm([parameter.grad for parameter in optimised]).item())
        largest_norm = train_settings["gradient_clip"] * shape[0] * shape[1]
        if largest_norm > 0:
            torch.nn.utils.clip_grad_norm_(optimised, largest_norm)
        if step == 0:
            assert all(trained[name].grad.abs().max() < 1e-9 * norms[0] for name in idle), name
            tensors["gradient"] = joined([trained[name].grad for name in trained if name not in idle])
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            watched = model.terms(p, held_out, step, False)
        epochs.append({
            "train": digits({name: value.item() for name, _, value in terms}),
            "held_out": digits({name: value.item() for name, _, value in watched}),
            "totals": digits({"train": sum(weight * value.item() for _, weight, value in terms),
                              "held_out": sum(weight * value.item() for _, weight, value in watched)}),
            "figures": digits(model.figures(p)),
        })
    tensors["trained"] = joined([values for name, values in p.items() if not name.endswith("running_usage")])

    print(f"{name}: {sum(map(math.prod, shapes.values()))} weights, loss",
          *(f"{epoch['totals']['train']:.5g}" for epoch in epochs),
          "gradient norm", *(f"{norm:.3g}" for norm in norms), f"of at most {largest_norm:g}")
    print("   ", {"dimensions within free bits": floored, "restarts": restarts}, "least gap between codes",
          min(gaps, default=None), "of activations from their kink", min(kinks), "least term of MS-SSIM over its floor",
          min(margins, default=None))
    case = {"name": name, "family": family, "shape": shape, "settings": settings, "train": train_settings,
            "first_image": first, "images": count, "held_out": HELD_OUT, "weights": shapes, "idle": sorted(idle), "fresh_codes": fresh_codes, "epochs": epochs}
    return case, {f"{name}/{key}": values for key, values in tensors.items()}


# What the run says of itself, so that no case hangs on rounding: each step's dimensions within free bits, each search's
# least difference of the squared distances to the nearest and the next code, each layer's least distance from the kink of
# its activation, each scale's least term, each step's codes that restart.
floored, gaps, kinks, margins, restarts = [], [], [], [], []

cases, tensors = [], {}
for arguments in CASES:
    case, of_case = train(*arguments)
    cases.append(case)
    tensors |= of_case
save_file(tensors, HERE / "families.safetensors", {"cases": json.dumps(cases, separators=(",", ":"))})
