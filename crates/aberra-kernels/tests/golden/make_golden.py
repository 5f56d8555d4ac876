"""Writes four JSON files beside this file: layers, optimiser steps, batch normalisation and losses by PyTorch, with
their gradients.

    pip install torch==2.15.0 numpy==2.4.6 && python make_golden.py

Tensors are stored in the layout of aberra-kernels: images [batch, height, width, channels], weights
[kernel height, kernel width, large channels, small channels], dense weights [inputs, outputs].
"""

import json
import pathlib

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
# kind, input [n, c, h, w] or [n, i], channels out, kernel, stride, padding, activation
CASES = [
    ("conv2d", (2, 3, 7, 6), 5, (3, 3), 1, 1, "tanh"),
    ("conv2d", (2, 1, 8, 8), 4, (4, 4), 2, 1, "relu"),
    ("conv2d", (1, 2, 9, 7), 3, (5, 2), 3, 2, "leaky_relu"),
    ("conv2d", (2, 3, 5, 5), 1, (1, 1), 2, 0, "identity"),
    ("conv_transpose2d", (2, 3, 4, 5), 2, (4, 4), 2, 1, "sigmoid"),
    ("conv_transpose2d", (2, 4, 3, 3), 6, (4, 4), 2, 1, "relu"),
    ("conv_transpose2d", (1, 3, 3, 4), 5, (3, 5), 1, 1, "identity"),
    ("conv_transpose2d", (1, 2, 3, 2), 5, (2, 3), 4, 0, "tanh"),
    ("linear", (3, 10), 7, None, None, None, "leaky_relu"),
    ("linear", (2, 5), 18, None, None, None, "identity"),
]


def stored(tensor):
    return {"shape": list(tensor.shape), "values": [float(f"{v:.9g}") for v in tensor.detach().flatten().tolist()]}


def layer(kind, shape, out, kernel, stride, padding, activation):
    image = kind != "linear"
    to_last, to_weight = ((0, 2, 3, 1), (2, 3, 1, 0)) if image else ((0, 1), (1, 0))
    weight_shape = {
        "conv2d": lambda: (out, shape[1], *kernel),
        "conv_transpose2d": lambda: (shape[1], out, *kernel),
        "linear": lambda: (out, shape[1]),
    }[kind]()
    input = torch.randn(shape, requires_grad=True)
    weight = (0.5 * torch.randn(weight_shape)).requires_grad_()
    bias = torch.randn(out, requires_grad=True)
    options = {"stride": stride, "padding": padding} if image else {}
    output = ACTIVATIONS[activation](getattr(F, kind)(input, weight, bias, **options))
    direction = torch.randn(output.shape)
    output.backward(direction)
    return {
        "kind": kind, "stride": stride, "padding": padding, "activation": activation,
        "input": stored(input.permute(to_last)), "weight": stored(weight.permute(to_weight)), "bias": stored(bias),
        "direction": stored(direction.permute(to_last)), "output": stored(output.permute(to_last)),
        "input_gradient": stored(input.grad.permute(to_last)),
        "weight_gradient": stored(weight.grad.permute(to_weight)), "bias_gradient": stored(bias.grad),
    }


def adam(kind, weight_decay, steps=5, size=12):
    parameter = torch.randn(size, requires_grad=True)
    start = stored(parameter)
    optimizer = getattr(torch.optim, kind)([parameter], lr=1e-2, betas=(0.8, 0.99), eps=1e-6, weight_decay=weight_decay)
    taken = []
    for _ in range(steps):
        gradient = torch.randn(size)
        parameter.grad = gradient
        optimizer.step()
        taken.append({"gradient": stored(gradient), "parameter": stored(parameter)})
    return {"kind": kind, "learning_rate": 1e-2, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6,
            "weight_decay": weight_decay, "start": start, "steps": taken}


def batch_norm(shape, activation, epsilon=1e-3):
    input = (2 * torch.randn(shape) + 1).requires_grad_()
    scale, shift = (torch.randn(shape[1], requires_grad=True) for _ in range(2))
    mean, variance = torch.zeros(shape[1]), torch.zeros(shape[1])
    # With momentum 1 the running statistics are the batch's; PyTorch's running variance is the unbiased one.
    normalized = F.batch_norm(input, mean, variance, scale, shift, training=True, momentum=1.0, eps=epsilon)
    output = ACTIVATIONS[activation](normalized)
    direction = torch.randn(shape)
    output.backward(direction)
    rows, last = input.numel() // shape[1], (0, 2, 3, 1)
    return {
        "activation": activation, "epsilon": epsilon, "input": stored(input.permute(last)), "scale": stored(scale),
        "shift": stored(shift), "direction": stored(direction.permute(last)), "output": stored(output.permute(last)),
        "mean": stored(mean), "variance": stored(variance * (rows - 1) / rows),
        "input_gradient": stored(input.grad.permute(last)), "scale_gradient": stored(scale.grad),
        "shift_gradient": stored(shift.grad),
    }


def cost(kind, shape=(2, 3, 4, 2)):
    predicted = kind == "predicted_gaussian"
    output = (3 * torch.randn((*shape[:3], shape[3] * (2 if predicted else 1)))).requires_grad_()
    target = torch.rand(shape)
    logits, log_variance = output[..., : shape[3]], output[..., shape[3] :].clamp(-3.0, 2.0)
    each = {
        "gaussian": lambda: F.gaussian_nll_loss(logits.sigmoid(), target, torch.full(shape, 0.3), reduction="none")
        - 0.5 * torch.tensor(0.3).log(),
        "predicted_gaussian": lambda: F.gaussian_nll_loss(
            logits.sigmoid(), target, log_variance.exp(), reduction="none"
        ),
        "laplace": lambda: F.l1_loss(logits.sigmoid(), target, reduction="none") / 0.2,
        "bernoulli": lambda: F.binary_cross_entropy_with_logits(logits, target, reduction="none"),
    }[kind]()
    value = each.sum() / shape[0]
    value.backward()
    return {"kind": kind, "output": stored(output), "target": stored(target), "value": stored(value.reshape(1)),
            "gradient": stored(output.grad)}


def divergence(shape=(3, 7)):
    mean, log_variance = (torch.randn(shape, requires_grad=True) for _ in range(2))
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(shape), torch.ones(shape))
    value = torch.distributions.kl_divergence(posterior, prior).sum() / shape[0]
    value.backward()
    return {"mean": stored(mean), "log_variance": stored(log_variance), "value": stored(value.reshape(1)),
            "mean_gradient": stored(mean.grad), "log_variance_gradient": stored(log_variance.grad)}


torch.manual_seed(20)
(HERE / "layers.json").write_text(json.dumps([layer(*case) for case in CASES]) + "\n")
(HERE / "adam.json").write_text(json.dumps([adam("Adam", 0.0), adam("AdamW", 0.05)]) + "\n")
(HERE / "norm.json").write_text(
    json.dumps([batch_norm((3, 5, 4, 3), "relu"), batch_norm((2, 18, 2, 3), "identity")]) + "\n"
)
COSTS = ("gaussian", "predicted_gaussian", "laplace", "bernoulli")
(HERE / "loss.json").write_text(
    json.dumps({"costs": [cost(kind) for kind in COSTS], "divergence": divergence()}) + "\n"
)
