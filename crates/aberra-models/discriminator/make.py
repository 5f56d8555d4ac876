"""Makes the weights that learn from generated images alone: `../backbone/generated-10.safetensors`, and the weights that a
discriminator's training begins with, `start.safetensors` and `start-generated.safetensors`.

    cargo build --release --bin aberra-bench
    pip install torch numpy safetensors==0.8.0
    python crates/aberra-models/discriminator/make.py --worlds "target/release/aberra-bench worlds"

Every image is drawn by a program (`aberra::phantom::World`), as is every anomaly (the kinds that families train on), and the
discriminator's layers are those of `families/discriminator`. No photograph, no scan and no weights from elsewhere go into
`generated-10` and `start-generated`; `start` reads features by the weights trained on ImageNet. The published files took about
ten minutes of one H200 with an earlier form of this script: 5,000 steps for backbone and `start` on the same batches, then
2,400 for `start` and, from its layers on, for `start-generated`. Another run gives other weights of the same kind, not the
same bits. `--steps 3 2 --groups 1 --processes 1 --side 64 --out FOLDER` tries the script on any machine.
"""

import argparse
import pathlib
import queue
import subprocess
import threading

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file
from torch import nn

HERE = pathlib.Path(__file__).parent
IMAGENET = HERE.parent / "backbone" / "efficientnet-lite0-10.safetensors"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Kernel, expanded channels, stride and outputs of each block, after its inputs: those of `backbone/architecture.rs`.
BLOCKS = [
    (3, 32, 3, 1, 16), (16, 96, 3, 2, 24), (24, 144, 3, 1, 24), (24, 144, 5, 2, 40), (40, 240, 5, 1, 40),
    (40, 240, 3, 2, 80), (80, 480, 3, 1, 80), (80, 480, 3, 1, 80), (80, 480, 5, 1, 112), (112, 672, 5, 1, 112),
    (112, 672, 5, 1, 112),
]
FEATURE_BLOCKS = [2, 4, 10]
CHANNELS = 24 + 40 + 112
COMPARED = 2 * CHANNELS + 1
MEAN, DEVIATION = 0.498, 0.502
STRIDE = 8
# Images of one kind in a batch, which are each other's normals.
OF_A_KIND = 8
# Share of a place that an anomaly must cover, and how much a place with one counts: as in `families/discriminator`.
COVERED, ANOMALY_WEIGHT = 0.15, 3.0


def padded(x, kernel, stride):
    """TensorFlow's SAME padding."""
    height, width = x.shape[-2:]
    total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (width, height)]
    return F.pad(x, [part for side in total for part in (side // 2, side - side // 2)])


def layer(inputs, outputs, kernel=1, stride=1, groups=1):
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return nn.ModuleList([convolution, nn.BatchNorm2d(outputs, momentum=0.01)])


class Backbone(nn.Module):
    """EfficientNet-Lite0 up to block 10, from random weights."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList([
                layer(inputs, expanded, 3, 2) if number == 0 else layer(inputs, expanded),
                layer(expanded, expanded, kernel, stride, expanded),
                layer(expanded, outputs),
            ])
            for number, (inputs, expanded, kernel, stride, outputs) in enumerate(BLOCKS)
        )

    def forward(self, x):
        x = ((x - MEAN) / DEVIATION).contiguous(memory_format=torch.channels_last)
        found = []
        for number, (inputs, _, kernel, stride, outputs) in enumerate(BLOCKS):
            before = x
            (expand, depthwise, project) = self.blocks[number]
            x = expand[1](expand[0](padded(x, 3, 2) if number == 0 else x)).clamp(0, 6)
            x = depthwise[1](depthwise[0](padded(x, kernel, stride))).clamp(0, 6)
            x = project[1](project[0](x))
            if number > 0 and stride == 1 and inputs == outputs:
                x = x + before
            if number in FEATURE_BLOCKS:
                found.append(x)
        return found

    def tensors(self):
        """Batch normalisation folded into the convolutions, channels last, as `backbone/` keeps them."""
        tensors = {}
        for number, block in enumerate(self.blocks):
            first = "stem" if number == 0 else f"blocks.{number}.expand"
            for name, (convolution, norm) in zip((first, f"blocks.{number}.depthwise", f"blocks.{number}.project"), block):
                factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                weight = (convolution.weight * factor[:, None, None, None]).permute(2, 3, 1, 0)
                if name.endswith("depthwise"):
                    weight = weight[:, :, 0]
                elif name != "stem":
                    weight = weight[0, 0]
                tensors[f"{name}.weight"] = weight
                tensors[f"{name}.bias"] = norm.bias - norm.running_mean * factor
        return tensors

    @classmethod
    def frozen(cls, path):
        """With the folded weights of a file."""
        tensors = {name: torch.from_numpy(values.astype(np.float32)) for name, values in load_file(path).items()}
        backbone = cls()
        with torch.no_grad():
            for number, block in enumerate(backbone.blocks):
                first = "stem" if number == 0 else f"blocks.{number}.expand"
                for name, (convolution, norm) in zip((first, f"blocks.{number}.depthwise", f"blocks.{number}.project"), block):
                    weight = tensors[f"{name}.weight"]
                    if name.endswith("depthwise"):
                        weight = weight[:, :, None]
                    elif name != "stem":
                        weight = weight[None, None]
                    convolution.weight.copy_(weight.permute(3, 2, 0, 1))
                    norm.running_var.fill_(1 - norm.eps)
                    norm.bias.copy_(tensors[f"{name}.bias"])
        return backbone.to(DEVICE).eval().requires_grad_(False)


class Layer(nn.Module):
    """Convolution, batch normalisation by the statistics of each kind of images, ReLU."""

    def __init__(self, inputs, outputs, kernel, stride, padding):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.scale, self.shift = nn.Parameter(torch.ones(outputs)), nn.Parameter(torch.zeros(outputs))
        self.register_buffer("running_mean", torch.zeros(outputs))
        self.register_buffer("running_variance", torch.ones(outputs))

    def forward(self, x):
        x = self.convolution(x)
        kinds = x.unflatten(0, (-1, OF_A_KIND))
        mean = kinds.mean((1, 3, 4), keepdim=True)
        variance = kinds.var((1, 3, 4), keepdim=True, unbiased=False)
        with torch.no_grad():
            self.running_mean.lerp_(mean.mean(0).flatten(), 0.01)
            self.running_variance.lerp_(variance.mean(0).flatten(), 0.01)
        x = ((kinds - mean) * torch.rsqrt(variance + 1e-5)).flatten(0, 1)
        return F.relu(x * self.scale[:, None, None] + self.shift[:, None, None])

    def tensors(self, name):
        return {
            f"{name}.weight": self.convolution.weight.permute(2, 3, 1, 0),
            f"{name}.bias": self.convolution.bias,
            f"{name}.norm.scale": self.scale,
            f"{name}.norm.shift": self.shift,
            f"{name}.norm.running_mean": self.running_mean,
            f"{name}.norm.running_variance": self.running_variance,
        }


class Discriminator(nn.Module):
    """The trained layers of the family, of its default sizes."""

    def __init__(self, inputs=COMPARED, width=96, context=64, detail=16):
        super().__init__()
        self.places, self.context = Layer(inputs, width, 1, 1, 0), Layer(width, context, 3, 1, 1)
        ends = [3, detail, 2 * detail, 4 * detail]
        self.halve = nn.ModuleList(Layer(*pair, 3, 2, 1) for pair in zip(ends, ends[1:]))
        self.joint = Layer(context + 4 * detail, context, 3, 1, 1)
        self.logit = nn.Conv2d(context, 1, 1)

    def forward(self, places, pixels):
        context = self.context(self.places(places))
        for halve in self.halve:
            pixels = halve(pixels)
        return self.logit(self.joint(torch.cat([context, pixels], 1)))

    def tensors(self):
        tensors = {"logit.weight": self.logit.weight.permute(2, 3, 1, 0), "logit.bias": self.logit.bias}
        for name in ("places", "context"):
            tensors |= getattr(self, name).tensors(name)
        for number, halve in enumerate(self.halve):
            tensors |= halve.tensors(f"detail.halve.{number}")
        return tensors | self.joint.tensors("detail.joint")


def on_grid(blocks, side):
    """The features of a backbone's blocks on one grid, as `features.rs` joins them."""
    smooth = [F.avg_pool2d(block.float(), 3, 1, 1, count_include_pad=False) for block in blocks]
    return torch.cat([F.interpolate(block, size=(side, side), mode="bilinear") for block in smooth], 1)


def scaled(normal, drawn):
    """Each channel brought to mean 0 and deviation 1 over the normal places of a kind."""
    kinds = normal.unflatten(0, (-1, OF_A_KIND))
    mean = kinds.mean((1, 3, 4), keepdim=True)
    factor = torch.rsqrt(kinds.var((1, 3, 4), keepdim=True) + 1e-6)
    return [((x.unflatten(0, (-1, OF_A_KIND)) - mean) * factor).flatten(0, 1) for x in (normal, drawn)]


@torch.no_grad()
def compared(normal, drawn):
    """Places beside their differences to the nearest normal places of the kind's other images, of which a random share is
    known, as a bank knows some."""
    normal, drawn = scaled(normal, drawn)
    _, channels, height, width = normal.shape
    image = torch.arange(OF_A_KIND, device=DEVICE).repeat_interleave(height * width)
    differences = []
    for normals, queries in zip(normal.split(OF_A_KIND), drawn.split(OF_A_KIND)):
        normals, queries = (x.permute(0, 2, 3, 1).reshape(-1, channels) for x in (normals, queries))
        known = torch.rand(len(normals), device=DEVICE) < 0.06 * 16 ** np.random.rand()
        bank, origin = normals[known], image[known]
        distance = (bank * bank).sum(1)[None] - 2 * queries @ bank.t()
        distance.masked_fill_(image[:, None] == origin[None], 1e9)
        difference = queries - bank[distance.argmin(1)]
        length = difference.norm(dim=1, keepdim=True) / channels**0.5
        both = torch.cat([difference.abs(), length], 1)
        differences.append(both.unflatten(0, (OF_A_KIND, height, width)).permute(0, 3, 1, 2))
    return torch.cat([drawn, torch.cat(differences)], 1)


def cross_entropy(logits, target):
    return (F.softplus(-logits) * target * ANOMALY_WEIGHT + F.softplus(logits) * (1 - target)).mean()


def of_one_kind(pooled):
    """Supervised contrastive loss (Khosla et al., 2020): images of one kind are alike."""
    pooled = F.normalize(pooled, dim=1)
    itself = torch.eye(len(pooled), dtype=torch.bool, device=DEVICE)
    likeness = (pooled @ pooled.t() / 0.1).masked_fill(itself, -1e4)
    kind = torch.arange(len(pooled), device=DEVICE) // OF_A_KIND
    same = (kind[:, None] == kind[None]) & ~itself
    return -(F.log_softmax(likeness, 1) * same).sum(1).div(same.sum(1)).mean()


class Batches:
    """Normals, the same with anomalies, and where those are; drawn by other processes, and given again turned and mirrored
    while they draw new ones."""

    KEPT = 300

    def __init__(self, options, seed):
        side, places = options.side, options.side // STRIDE
        self.shape, self.groups, self.kept = (side, places), options.groups, []
        self.length = 2 * side * side * 3 + places * places
        self.queue = queue.Queue(4 * options.processes)
        self.processes = []
        for number in range(options.processes):
            arguments = [seed, number, options.processes, OF_A_KIND, side]
            command = options.worlds.split() + [str(argument) for argument in arguments]
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            threading.Thread(target=self.read, args=(process.stdout,), daemon=True).start()
            self.processes.append(process)

    def read(self, stream):
        while len(kind := stream.read(OF_A_KIND * self.length)) == OF_A_KIND * self.length:
            self.queue.put(np.frombuffer(kind, np.uint8).reshape(OF_A_KIND, self.length))

    def next(self):
        if len(self.kept) >= 20 and self.queue.qsize() < self.groups:
            batch = self.kept[np.random.randint(len(self.kept))]
        else:
            drawn = np.concatenate([self.queue.get(timeout=600) for _ in range(self.groups)])
            batch = torch.from_numpy(drawn).to(DEVICE)
            self.kept = [*self.kept[-self.KEPT :], batch]
        side, places = self.shape
        pixels, covered = batch[:, : 2 * side * side * 3], batch[:, 2 * side * side * 3 :]
        normal, drawn = (pixels.unflatten(1, (2, side, side, 3)).permute(1, 0, 4, 2, 3).float() / 255)
        target = (covered.unflatten(1, (1, places, places)).float() / 255 > COVERED).float()
        turn, mirrored = np.random.randint(4), np.random.rand() < 0.5
        turned = [torch.rot90(x, turn, (2, 3)) for x in (normal, drawn, target)]
        return [x.flip(3) for x in turned] if mirrored else turned

    def close(self):
        for process in self.processes:
            process.kill()


class Descent:
    """AdamW over so many steps, with a short rise and a cosine fall of the learning rate."""

    def __init__(self, module, steps, rate, decay):
        self.parameters = list(module.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=rate, weight_decay=decay)
        shape = lambda step: min(1, (step + 1) / 100) * (0.5 + 0.5 * np.cos(np.pi * step / steps) + 1e-3)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, shape)

    def step(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.schedule.step()
        return float(loss.detach())


def learn_backbone(options, steps):
    """A backbone, trained together with a discriminator on its features, which no reference helps."""
    backbone, head = Backbone().to(DEVICE), Discriminator(CHANNELS).to(DEVICE)
    pooling = nn.Linear(2 * CHANNELS, 64).to(DEVICE)
    descent = Descent(nn.ModuleList([backbone, head, pooling]), steps, 3e-3, 1e-2)
    batches = Batches(options, seed=1)
    for step in range(steps):
        normal, drawn, target = batches.next()
        with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda"):
            blocks = backbone(torch.cat([normal, drawn]))
        grid = on_grid(blocks, target.shape[-1])
        normals, places = scaled(*grid.chunk(2))
        whole = grid.chunk(2)[0]
        pooled = pooling(torch.cat([whole.mean((2, 3)), whole.std((2, 3))], 1))
        loss = cross_entropy(head(places, drawn), target) + 0.1 * of_one_kind(pooled)
        value = descent.step(loss)
        if step % 100 == 0:
            print(f"backbone: step {step}, loss {value:.4f}", flush=True)
    batches.close()
    return backbone.tensors()


def learn_start(options, steps, backbones):
    """A discriminator's layers on the features of each backbone."""
    heads = [Discriminator().to(DEVICE) for _ in backbones]
    descents = [Descent(head, steps, 2e-3, 1e-3) for head in heads]
    batches = Batches(options, seed=2)
    for step in range(steps):
        normal, drawn, target = batches.next()
        values = []
        for backbone, head, descent in zip(backbones, heads, descents):
            with torch.no_grad():
                grids = [on_grid(backbone(x), target.shape[-1]) for x in (normal, drawn)]
            values.append(descent.step(cross_entropy(head(compared(*grids), drawn), target)))
        if step % 100 == 0:
            print(f"start: step {step}, losses {values}", flush=True)
    batches.close()
    return [head.tensors() for head in heads]


def save(path, tensors):
    half = {name: np.ascontiguousarray(tensor.detach().cpu().half().numpy()) for name, tensor in tensors.items()}
    assert all(np.isfinite(tensor).all() for tensor in half.values())
    save_file(half, path, metadata={"source": "learnt from generated images by discriminator/make.py"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", required=True, help="command that draws images, `aberra-bench worlds`")
    parser.add_argument("--steps", type=int, nargs=2, default=[5000, 7400], help="of the backbone and of the discriminators")
    parser.add_argument("--groups", type=int, default=8, help="kinds of images in a batch")
    parser.add_argument("--processes", type=int, default=15, help="that draw images")
    parser.add_argument("--side", type=int, default=256, help="of the images, in pixels")
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parent, help="folder with `backbone` and `discriminator`")
    options = parser.parse_args()
    torch.manual_seed(0)
    np.random.seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    for folder in ("backbone", "discriminator"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    generated = options.out / "backbone" / "generated-10.safetensors"
    save(generated, learn_backbone(options, options.steps[0]))
    backbones = [Backbone.frozen(IMAGENET), Backbone.frozen(generated)]
    for name, tensors in zip(("start", "start-generated"), learn_start(options, options.steps[1], backbones)):
        save(options.out / "discriminator" / f"{name}.safetensors", tensors)


main()
