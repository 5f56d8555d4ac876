"""Makes residual.pth, residual-stream.pth and residual.json: the residual VAE for 256 x 256 images with few channels, as PyTorch
saves it, and what PyTorch computes with it.

    python make_residual.py     # torch 2
"""

import json
from pathlib import Path

import torch
from torch import nn

FOLDER = Path(__file__).parent
WIDTHS, LATENT, CHANNELS = (8, 12, 16), 3, 1


class EncoderBlock(nn.Module):
    """Two convolutions of stride 2 beside one of stride 4."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(ins, outs, 3, 2, 1), nn.BatchNorm2d(outs), nn.LeakyReLU(0.2))
        self.layer2 = nn.Sequential(nn.Conv2d(outs, outs, 3, 2, 1), nn.BatchNorm2d(outs))
        self.shortcut = nn.Sequential(nn.Conv2d(ins, outs, 3, 4, 1), nn.BatchNorm2d(outs))
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.activation(self.layer2(self.layer1(image)) + self.shortcut(image))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        one, two, three = WIDTHS
        self.conv1 = nn.Conv2d(CHANNELS, one, 3, 1, 1)
        self.block1, self.block2, self.block3 = EncoderBlock(one, one), EncoderBlock(one, two), EncoderBlock(two, three)
        self.conv_mu, self.conv_logvar = nn.Conv2d(three, LATENT, 1), nn.Conv2d(three, LATENT, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.block3(self.block2(self.block1(self.conv1(image))))
        return self.conv_mu(hidden), self.conv_logvar(hidden)


class DecoderBlock(nn.Module):
    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.ConvTranspose2d(ins, outs, 4, 2, 1), nn.BatchNorm2d(outs), nn.LeakyReLU(0.2))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.block(hidden)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        one = WIDTHS[0]
        widths = [LATENT, 4 * one, 2 * one, one, one // 2, one // 4, one // 8]
        for number, (ins, outs) in enumerate(zip(widths, widths[1:]), start=1):
            setattr(self, f"block{number}", DecoderBlock(ins, outs))
        self.out = nn.Sequential(nn.Conv2d(one // 8, CHANNELS, 3, 1, 1), nn.Tanh())

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for number in range(1, 7):
            hidden = getattr(self, f"block{number}")(hidden)
        return self.out(hidden)


class ResidualVae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()


def image() -> torch.Tensor:
    """An image of 0 to 1, `[1, 1, 256, 256]`, by a formula that the test has too."""
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    return (0.5 + 0.4 * torch.sin(0.05 * y + 0.11 * x) * torch.cos(0.03 * x))[None, None]


def main() -> None:
    torch.manual_seed(7)
    model = ResidualVae().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.4)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.05, 0.4)
    # So that images are not all grey.
    nn.init.uniform_(model.decoder.out[0].weight, -4.0, 4.0)
    state = model.state_dict()
    torch.save(state, FOLDER / "residual.pth")
    # As training on several devices and an older PyTorch save it.
    nested = {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
    torch.save(nested, FOLDER / "residual-stream.pth", _use_new_zipfile_serialization=False)
    with torch.no_grad():
        mu, logvar = model.encoder(2.0 * image() - 1.0)
        output = (model.decoder(mu) + 1.0) / 2.0
    # The channels of a place are next to each other.
    flat = lambda grid: grid[0].permute(1, 2, 0).flatten().double().tolist()
    golden = {"mean": flat(mu), "log_variance": flat(logvar), "every_37th": output.flatten()[::37].double().tolist()}
    (FOLDER / "residual.json").write_text(json.dumps({key: [round(v, 8) for v in values] for key, values in golden.items()}) + "\n")


main()
