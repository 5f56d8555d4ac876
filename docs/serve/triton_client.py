"""Scores an image with a running `aberra serve`, by the clients that Triton has, over HTTP or gRPC.

    pip install "tritonclient[grpc,http]" numpy
    aberra serve first.aberra
    python triton_client.py image.png --model first [--grpc] [--key KEY]

The server answers HTTP and gRPC on one port. `image` takes files as they are, of any format that the server reads; `pixels`
takes arrays, [height, width, channels] of UINT8 or of FP32 from 0 to 1.
"""

import argparse

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http

arguments = argparse.ArgumentParser()
arguments.add_argument("image")
arguments.add_argument("--address", default="127.0.0.1:8765")
arguments.add_argument("--model", required=True, help="the detector's name, as the server prints it")
arguments.add_argument("--grpc", action="store_true")
arguments.add_argument("--key", help="the API key, where the server wants one")
given = arguments.parse_args()

triton = over_grpc if given.grpc else over_http
client = triton.InferenceServerClient(given.address)
# Names of gRPC's headers are written small.
headers = {"authorization": f"Bearer {given.key}"} if given.key else {}

with open(given.image, "rb") as file:
    encoded = np.array([file.read()], dtype=np.object_)
image = triton.InferInput("image", [1], "BYTES")
image.set_data_from_numpy(encoded)

wanted = [triton.InferRequestedOutput(name) for name in ("score", "p_value", "threshold", "anomalous", "error_map")]
result = client.infer(given.model, [image], outputs=wanted, headers=headers)

score, threshold = result.as_numpy("score")[0], result.as_numpy("threshold")[0]
verdict = "anomalous" if result.as_numpy("anomalous")[0] else "normal"
print(f"score {score:.4g}, threshold {threshold:.4g}, p-value {result.as_numpy('p_value')[0]:.3g}: {verdict}")
print("error map", result.as_numpy("error_map")[0].shape)
