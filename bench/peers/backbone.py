"""The frozen backbone in ONNX Runtime: the peer of `aberra-bench backbone`, which runs it.

    python backbone.py WEIGHTS SIZE BATCH THREADS REPEATS ROUND

Builds the graph from the same weights and prints one JSON line with milliseconds an image.
Needs what `requirements.txt` beside it lists.
"""

import json
import pathlib
import sys
import time

import numpy
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load

MEAN, DEVIATION, WARM_UP = 0.498, 0.502, 5
FEATURE_BLOCKS = [2, 4, 10]
HALVING_BLOCKS = [1, 3, 5]


def graph(weights, size):
    """The network on images `[batch, 3, size, size]`, as a serialised model."""
    nodes, tensors = [], []

    def constant(name, value):
        tensors.append(numpy_helper.from_array(numpy.ascontiguousarray(value, dtype=numpy.float32), name))
        return name

    def node(operation, inputs, name, **attributes):
        nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def convolution(name, x, stride=1, is_bounded=True):
        weight = weights[f"{name}.weight"].astype(numpy.float32)
        if weight.ndim == 2:
            weight = weight.T[:, :, None, None]
        elif weight.ndim == 3:
            weight = weight.transpose(2, 0, 1)[:, None]
        else:
            weight = weight.transpose(3, 2, 0, 1)
        groups = weight.shape[0] if weight.shape[1] == 1 else 1
        inputs = [x, constant(f"{name}.weight", weight), constant(f"{name}.bias", weights[f"{name}.bias"])]
        x = node("Conv", inputs, name, group=groups, strides=[stride] * 2, auto_pad="SAME_UPPER")
        return node("Clip", [x, "zero", "six"], f"{name}.relu6") if is_bounded else x

    for name, value in [("zero", 0), ("six", 6), ("mean", MEAN), ("deviation", DEVIATION)]:
        constant(name, value)
    x = node("Div", [node("Sub", ["images", "mean"], "centered"), "deviation"], "normalized")
    x = convolution("stem", x, 2)
    features = []
    for number in range(FEATURE_BLOCKS[-1] + 1):
        block, stride, before = f"blocks.{number}", 2 if number in HALVING_BLOCKS else 1, x
        if number > 0:
            x = convolution(f"{block}.expand", x)
        x = convolution(f"{block}.depthwise", x, stride)
        x = convolution(f"{block}.project", x, is_bounded=False)
        if number > 0 and stride == 1:
            inputs, outputs = weights[f"{block}.expand.weight"].shape[0], weights[f"{block}.project.bias"].shape[0]
            x = node("Add", [x, before], f"{block}.sum") if inputs == outputs else x
        if number in FEATURE_BLOCKS:
            features.append(helper.make_tensor_value_info(x, TensorProto.FLOAT, None))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, size, size])
    built = helper.make_graph(nodes, "backbone", [images], features, tensors)
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return model.SerializeToString()


def main():
    path, *numbers = sys.argv[1:]
    size, batch, threads, repeats, number = map(int, numbers)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    model = graph(load(pathlib.Path(path).read_bytes()), size)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    images = numpy.random.default_rng(0).random((batch, 3, size, size), dtype=numpy.float32)
    times = []
    for repeat in range(WARM_UP + repeats):
        started = time.perf_counter()
        session.run(None, {"images": images})
        if repeat >= WARM_UP:
            times.append((time.perf_counter() - started) * 1e3 / batch)
    times.sort()
    line = {"name": "onnxruntime", "round": number, "least_ms": times[0], "median_ms": times[len(times) // 2]}
    print(json.dumps(line))


main()
