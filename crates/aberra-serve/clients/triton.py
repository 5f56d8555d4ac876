"""Exercises a running server with Triton's own clients, over HTTP and gRPC, and checks the responses.

    pip install -r requirements.txt
    aberra serve detector.aberra --address 127.0.0.1:8765
    python triton.py 127.0.0.1:8765 image.png --score "$(aberra score ... the same image)"

The image is an 8-bit PNG, greyscale or RGB. Prints one line per check and finally `N passed, M failed`; the exit code is 1
if a check failed.
"""

import argparse
import asyncio
import base64
import queue
import ssl
import sys
import threading

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.grpc.aio as over_grpc_aio
import tritonclient.http as over_http
import tritonclient.http.aio as over_http_aio
from PIL import Image
from tritonclient.utils import InferenceServerException

NUMBERS = ["score", "p_value", "threshold", "anomalous", "anomalous_share"]
ALL = NUMBERS + ["error_map", "reconstruction", "embedding"]
# Relative tolerance of scores under batching: the server's BATCH_TOLERANCE.
TOLERANCE = 1e-4

CHECKS = []


def check(function):
    """Registers `function` as a check."""
    CHECKS.append(function)
    return function


class Context:
    """Shared by all checks: the image, its score, and clients."""

    def __init__(self, arguments):
        self.address = arguments.address
        self.key = arguments.api_key
        # gRPC header names are lower case.
        self.metadata = {name.lower(): value for name, value in self.headers.items()}
        self.needs_key = bool(arguments.api_key)
        with open(arguments.image, "rb") as file:
            self.encoded = file.read()
        pixels = np.asarray(Image.open(arguments.image))
        assert pixels.dtype == np.uint8, "expected an 8-bit image"
        self.pixels = pixels.reshape(pixels.shape[0], pixels.shape[1], -1)
        self.score = arguments.score
        self.secure = {}
        if arguments.certificate:
            self.secure = {"ssl": True}
            self.certificate = arguments.certificate
        self.http, self.grpc = self.client("http"), self.client("grpc")
        self.model = arguments.model or self.http.get_model_repository_index(headers=self.headers)[0]["name"]

    @property
    def headers(self):
        """A new dictionary each time, because the client adds its own headers to the one it is given."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def client(self, door, aio=False):
        options = dict(self.secure)
        if door == "grpc":
            if options:
                options["root_certificates"] = self.certificate
            module = over_grpc_aio if aio else over_grpc
        else:
            if options and aio:
                options["ssl_context"] = ssl.create_default_context(cafile=self.certificate)
            elif options:
                options["ssl_options"] = {"ca_certs": self.certificate}
            module = over_http_aio if aio else over_http
        if module is over_http:
            options["concurrency"] = 4
        return module.InferenceServerClient(self.address, **options)

    def head(self, door):
        return self.headers if door == "http" else self.metadata

    def ask(self, door, kind="image", outputs=None, client=None, binary=True, **options):
        module = over_http if door == "http" else over_grpc
        inputs = self.inputs(module, kind, binary)
        requested = self.requested(module, outputs, binary) if outputs else None
        client = client or getattr(self, door)
        options.setdefault("headers", self.head(door))
        return client.infer(self.model, inputs, outputs=requested, **options)

    def inputs(self, module, kind="image", binary=True):
        name, kind, values = {
            "image": ("image", "BYTES", np.array([self.encoded], dtype=np.object_)),
            "images": ("image", "BYTES", np.array([self.encoded] * 3, dtype=np.object_)),
            "base64": ("image", "BYTES", np.array([base64.b64encode(self.encoded)], dtype=np.object_)),
            "uint8": ("pixels", "UINT8", self.pixels),
            "uint8 batch": ("pixels", "UINT8", np.stack([self.pixels] * 2)),
            "fp32": ("pixels", "FP32", self.pixels.astype(np.float32) / np.float32(255)),
            "fp32 batch": ("pixels", "FP32", np.stack([self.pixels.astype(np.float32) / np.float32(255)] * 2)),
        }[kind]
        tensor = module.InferInput(name, list(values.shape), kind)
        if module is over_http:
            tensor.set_data_from_numpy(values, binary_data=binary)
        else:
            tensor.set_data_from_numpy(values)
        return [tensor]

    def requested(self, module, names, binary=True):
        if module is over_http:
            return [module.InferRequestedOutput(name, binary_data=binary) for name in names]
        return [module.InferRequestedOutput(name) for name in names]

    def expect(self, result, count=1, names=NUMBERS):
        """Checks a response against the known score: exactly for one image, within the tolerance for several."""
        scores = result.as_numpy("score")
        assert scores.dtype == np.float64 and scores.shape == (count,), (scores.dtype, scores.shape)
        assert np.array_equal(scores, [self.score]) or (
            count > 1 and np.allclose(scores, self.score, rtol=TOLERANCE, atol=TOLERANCE)
        ), f"expected {self.score!r}, found {scores.tolist()}"
        for name in names:
            values = result.as_numpy(name)
            assert values is not None and values.shape[0] == count, name
        if "threshold" in names:
            judged = result.as_numpy("anomalous")
            assert judged.dtype == np.bool_
            assert np.array_equal(judged, scores > result.as_numpy("threshold"))


def refused(call, *words):
    """Checks that a call is rejected with a message that contains these words."""
    try:
        call()
    except InferenceServerException as error:
        text = f"{error.status()} {error.message()}"
        missing = [word for word in words if word.lower() not in text.lower()]
        assert not missing, f"expected {missing} in: {text}"
        assert "exception occurred in the client" not in text, text
        return
    raise AssertionError("expected a refusal, found an answer")


def both(function):
    """Registers a check for each transport."""
    for door in ["http", "grpc"]:
        def one(context, door=door):
            function(context, door)

        one.__name__ = f"{function.__name__} over {door}"
        CHECKS.append(one)
    return function


@both
def health(context, door):
    client, head = getattr(context, door), context.head(door)
    assert client.is_server_live(headers=dict(head))
    assert client.is_server_ready(headers=dict(head))
    assert client.is_model_ready(context.model, headers=dict(head))
    assert client.is_model_ready(context.model, "1", headers=dict(head))
    if door == "http":
        assert not client.is_model_ready("nothing", headers=dict(head))
        assert not client.is_model_ready(context.model, "2", headers=dict(head))
    else:
        refused(lambda: client.is_model_ready("nothing", headers=dict(head)), "NOT_FOUND")


@both
def metadata(context, door):
    client, head = getattr(context, door), context.head(door)
    as_json = {"as_json": True} if door == "grpc" else {}
    server = client.get_server_metadata(headers=head, **as_json)
    assert server["name"] == "aberra" and "binary_tensor_data" in server["extensions"], server
    for version in ["", "1"]:
        model = client.get_model_metadata(context.model, version, headers=head, **as_json)
        assert model["name"] == context.model and model["platform"] == "aberra" and model["versions"] == ["1"]
        assert [tensor["name"] for tensor in model["inputs"]] == ["image", "pixels"]
        assert [tensor["name"] for tensor in model["outputs"]] == ALL
        assert model["inputs"][0]["datatype"] == "BYTES" and [int(axis) for axis in model["inputs"][0]["shape"]] == [-1]
    refused(lambda: client.get_model_metadata("nothing", headers=dict(head)), "expected one of the models")
    refused(lambda: client.get_model_metadata(context.model, "2", headers=dict(head)), "version 1")


@both
def config(context, door):
    client, head = getattr(context, door), context.head(door)
    answer = client.get_model_config(context.model, headers=head, **({"as_json": True} if door == "grpc" else {}))
    answer = answer["config"] if door == "grpc" else answer
    assert answer["name"] == context.model and answer["backend"] == "aberra"
    assert answer["input"][0]["data_type"] == "TYPE_STRING" and answer["output"][0]["data_type"] == "TYPE_FP64"
    assert answer["parameters"]["hash"]["string_value"]


@check
def metadata_agree(context):
    def plain(value):
        if isinstance(value, dict):
            # The JSON form of a message omits empty fields, and has 64-bit integers as strings.
            pairs = {name: plain(inner) for name, inner in value.items()}
            return {name: inner for name, inner in pairs.items() if inner not in ("", [], {}, None, "0", "FORMAT_NONE")}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        return value if isinstance(value, (str, bool)) else str(value)

    http, grpc, model = context.http, context.grpc, context.model
    left = http.get_model_metadata(model, headers=context.headers)
    right = grpc.get_model_metadata(model, headers=context.metadata, as_json=True)
    assert plain(left) == plain(right), (left, right)
    left = http.get_model_config(model, headers=context.headers)
    right = grpc.get_model_config(model, headers=context.metadata, as_json=True)["config"]
    assert plain(left) == plain(right), (left, right)


@both
def repository_index(context, door):
    client, head = getattr(context, door), context.head(door)
    if door == "http":
        models = client.get_model_repository_index(headers=dict(head))
    else:
        models = client.get_model_repository_index(headers=head, as_json=True)["models"]
    listed = {model["name"]: model for model in models}
    assert listed[context.model]["state"] == "READY" and listed[context.model]["version"] == "1"


@both
def statistics_count(context, door):
    client, head = getattr(context, door), context.head(door)

    def read(name=context.model):
        stats = client.get_inference_statistics(name, headers=head, **({"as_json": True} if door == "grpc" else {}))
        models = {model["name"]: model for model in stats["model_stats"]}
        return models[context.model]

    def number(counted, *path):
        for name in path:
            counted = counted.get(name, {}) if isinstance(counted, dict) else counted
        return int(counted or 0)

    before = read()
    context.ask(door, "images")
    after = read()
    assert number(after, "inference_count") == number(before, "inference_count") + 3
    assert number(after, "execution_count") > number(before, "execution_count")
    success = ("inference_stats", "success", "count")
    assert number(after, *success) == number(before, *success) + 1
    assert number(after, "last_inference") > 1_700_000_000_000
    for duration in ["compute_input", "compute_infer", "queue"]:
        assert number(after, "inference_stats", duration, "count") == number(
            before, "inference_stats", duration, "count"
        ) + 3, duration
    assert number(after, "inference_stats", "compute_infer", "ns") > 0
    assert sum(int(batch["batch_size"]) * number(batch, "compute_infer", "count") for batch in after["batch_stats"]) == number(
        after, "inference_count"
    )
    read("")


@both
def one_image(context, door):
    result = context.ask(door, request_id="seven")
    context.expect(result)
    response = result.get_response()
    identifier = response["id"] if door == "http" else response.id
    assert identifier == "seven"
    assert result.as_numpy("error_map") is None
    name = response["model_name"] if door == "http" else response.model_name
    assert name == context.model


@both
def several_images(context, door):
    context.expect(context.ask(door, "images"), 3)


@both
def pixels(context, door):
    for kind, count in [("uint8", 1), ("fp32", 1), ("uint8 batch", 2), ("fp32 batch", 2)]:
        context.expect(context.ask(door, kind), count)


@check
def json_tensors(context):
    for kind in ["base64", "uint8", "fp32"]:
        context.expect(context.ask("http", kind, ALL, binary=False), 1, ALL)
        context.expect(context.ask("http", kind, binary=False))
    binary, text = context.ask("http", outputs=ALL), context.ask("http", "base64", ALL, binary=False)
    for name in ALL:
        assert np.array_equal(binary.as_numpy(name), text.as_numpy(name)), name


@check
def doors_agree(context):
    left, right = context.ask("http", outputs=ALL), context.ask("grpc", outputs=ALL)
    for name in ALL:
        assert left.as_numpy(name).dtype == right.as_numpy(name).dtype, name
        assert np.array_equal(left.as_numpy(name), right.as_numpy(name)), name
    assert left.as_numpy("error_map").shape[0] == 1 and left.as_numpy("reconstruction").ndim == 4


@both
def outputs_come_as_asked(context, door):
    result = context.ask(door, outputs=["embedding", "score"])
    assert result.as_numpy("embedding").ndim == 2 and result.as_numpy("p_value") is None
    response = result.get_response()
    names = [tensor["name"] for tensor in response["outputs"]] if door == "http" else [tensor.name for tensor in response.outputs]
    assert names == ["embedding", "score"]


@both
def threshold(context, door):
    low, high = context.score - abs(context.score) - 1.0, context.score + abs(context.score) + 1.0
    for value, judged in [(low, True), (high, False), (context.score, False)]:
        result = context.ask(door, parameters={"threshold": value})
        assert result.as_numpy("threshold")[0] == value and bool(result.as_numpy("anomalous")[0]) is judged
    refused(lambda: context.ask(door, parameters={"threshold": "high"}), "threshold")


@both
def compression(context, door):
    for algorithm in ["gzip", "deflate"]:
        for kind in ["image", "fp32"]:
            if door == "grpc":
                context.expect(context.ask(door, kind, ALL, compression_algorithm=algorithm), 1, ALL)
                continue
            for binary in [True, False]:
                if kind == "image" and not binary:
                    continue
                for options in [
                    {"request_compression_algorithm": algorithm},
                    {"response_compression_algorithm": algorithm},
                    {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm},
                ]:
                    context.expect(context.ask(door, kind, ALL, binary=binary, **options), 1, ALL)


@check
def async_infer_over_http(context):
    waiting = [
        context.http.async_infer(context.model, context.inputs(over_http), headers=context.headers) for _ in range(6)
    ]
    for one in waiting:
        scores = one.get_result().as_numpy("score")
        assert np.allclose(scores, context.score, rtol=TOLERANCE, atol=TOLERANCE), scores


@check
def async_infer_over_grpc(context):
    answers = queue.Queue()
    for _ in range(6):
        context.grpc.async_infer(
            context.model,
            context.inputs(over_grpc),
            callback=lambda result, error: answers.put((result, error)),
            headers=context.metadata,
        )
    for _ in range(6):
        result, error = answers.get(timeout=30)
        assert error is None, error
        assert np.allclose(result.as_numpy("score"), context.score, rtol=TOLERANCE, atol=TOLERANCE)


def stream(context, **options):
    """Five requests on one stream, of which the third is invalid."""
    answers = queue.Queue()
    client = context.client("grpc")
    client.start_stream(lambda result, error: answers.put((result, error)), headers=context.metadata, **options)
    for number in range(5):
        client.async_stream_infer(
            "nothing" if number == 2 else context.model,
            context.inputs(over_grpc, "image" if number % 2 == 0 else "fp32"),
            request_id=str(number),
            enable_empty_final_response=number == 4,
        )
    for number in range(5):
        result, error = answers.get(timeout=30)
        if number == 2:
            assert "expected one of the models" in error.message(), error
            continue
        assert error is None, error
        context.expect(result)
        response = result.get_response()
        assert response.id == str(number), "answers come in order"
        assert response.parameters["triton_final_response"].bool_param
    client.stop_stream()
    client.close()


@check
def streaming(context):
    stream(context)


@check
def compressed_streaming(context):
    for algorithm in ["gzip", "deflate"]:
        stream(context, compression_algorithm=algorithm)


@check
def asyncio_clients(context):
    async def run():
        for door, module in [("http", over_http), ("grpc", over_grpc)]:
            client = context.client(door, aio=True)
            assert await client.is_server_live(headers=context.head(door))
            result = await client.infer(context.model, context.inputs(module), headers=context.head(door))
            context.expect(result)
            await client.close()

    asyncio.run(run())


@check
def many_threads(context):
    failures = []

    def work():
        try:
            with context.client("grpc") as client:
                for _ in range(5):
                    scores = context.ask("grpc", client=client).as_numpy("score")
                    assert np.allclose(scores, context.score, rtol=TOLERANCE, atol=TOLERANCE)
        except Exception as error:  # The check reports the thread's error.
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


@both
def wrong_requests(context, door):
    module = over_http if door == "http" else over_grpc
    client, head = getattr(context, door), context.head(door)

    def ask(name, values, kind, outputs=None, model=context.model, version=""):
        tensor = module.InferInput(name, list(values.shape), kind)
        tensor.set_data_from_numpy(values)
        requested = [module.InferRequestedOutput(output) for output in outputs or []] or None
        return lambda: client.infer(model, [tensor], version, outputs=requested, headers=dict(head))

    image = np.array([context.encoded], dtype=np.object_)
    invalid = "400" if door == "http" else "INVALID_ARGUMENT"
    missing = "404" if door == "http" else "NOT_FOUND"
    refused(ask("image", image, "BYTES", model="nothing"), missing, "expected one of the models")
    refused(ask("image", image, "BYTES", version="2"), missing, "version")
    refused(ask("image", image, "BYTES", outputs=["logits"]), invalid, "expected an output of")
    refused(ask("input_0", image, "BYTES"), invalid, "image or pixels")
    refused(ask("image", np.array([b"no image"], dtype=np.object_), "BYTES"), invalid, "image 0")
    refused(ask("image", np.array([context.encoded, b""], dtype=np.object_), "BYTES"), invalid, "image 1")
    refused(ask("image", np.array([], dtype=np.object_), "BYTES"), invalid, "at least one image")
    refused(ask("image", np.zeros(3, np.float32), "FP32"), invalid, "BYTES")
    refused(ask("pixels", np.zeros((4, 4), np.float32), "FP32"), invalid, "shape")
    refused(ask("pixels", np.zeros((8, 8, 2), np.float32), "FP32"), invalid, "1 or 3 channels")
    refused(ask("pixels", np.zeros((8, 8, 1), np.float64), "FP64"), invalid, "FP32 or UINT8")
    refused(ask("pixels", np.zeros((8, 8, 1), np.int64), "INT64"), invalid, "datatype")
    refused(ask("pixels", np.full((32, 32, 1), np.nan, np.float32), "FP32"), invalid, "0 to 1")
    refused(ask("pixels", np.full((32, 32, 1), 255, np.float32), "FP32"), invalid, "UINT8")
    refused(ask("image", np.array([context.encoded] * 3000, dtype=np.object_)[:200], "BYTES"), "at most")
    both_inputs = context.inputs(module) + context.inputs(module, "uint8")
    refused(lambda: client.infer(context.model, both_inputs, headers=dict(head)), invalid, "found 2")
    classes = [module.InferRequestedOutput("score", class_count=2)]
    refused(
        lambda: client.infer(context.model, context.inputs(module), outputs=classes, headers=dict(head)), invalid, "classification"
    )
    shared = module.InferInput("image", [1], "BYTES")
    shared.set_shared_memory("region", 16)
    refused(lambda: client.infer(context.model, [shared], headers=dict(head)), invalid, "shared memory")


@both
def what_is_not_supported_says_so(context, door):
    client, head = getattr(context, door), context.head(door)
    words = ["not supported"] + (["UNIMPLEMENTED"] if door == "grpc" else ["400"])
    name = context.model
    for call in [
        lambda: client.load_model(name, headers=dict(head)),
        lambda: client.unload_model(name, headers=dict(head)),
        lambda: client.get_trace_settings(headers=dict(head)),
        lambda: client.get_trace_settings(name, headers=dict(head)),
        lambda: client.update_trace_settings(name, {"trace_level": ["OFF"]}, headers=dict(head)),
        lambda: client.get_log_settings(headers=dict(head)),
        lambda: client.update_log_settings({"log_verbose_level": 1}, headers=dict(head)),
        lambda: client.get_system_shared_memory_status(headers=dict(head)),
        lambda: client.register_system_shared_memory("region", "/region", 16, headers=dict(head)),
        lambda: client.unregister_system_shared_memory(headers=dict(head)),
        lambda: client.unregister_system_shared_memory("region", headers=dict(head)),
        lambda: client.get_cuda_shared_memory_status(headers=dict(head)),
        lambda: client.register_cuda_shared_memory("region", base64.b64encode(b"handle"), 0, 16, headers=dict(head)),
        lambda: client.unregister_cuda_shared_memory("region", headers=dict(head)),
    ]:
        refused(call, *words)


@both
def api_key(context, door):
    client = getattr(context, door)
    if not context.needs_key:
        # No key is required: sending one does no harm.
        context.ask(door, headers={"authorization": "Bearer something"})
        return
    words = "401" if door == "http" else "UNAUTHENTICATED"
    for head in [{}, {"authorization": "Bearer wrong-wrong-wrong-wrong"}]:
        refused(lambda: context.ask(door, headers=dict(head)), words, "API key")
        refused(lambda: client.get_model_metadata(context.model, headers=dict(head)), words, "API key")
    key = context.headers["Authorization"].removeprefix("Bearer ")
    context.expect(context.ask(door, headers={"x-api-key": key}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="host and port")
    parser.add_argument("image", help="an 8-bit PNG")
    parser.add_argument("--score", type=float, required=True, help="the image's score as `aberra score` prints it")
    parser.add_argument("--model", help="the detector's name; the first that is listed, where not given")
    parser.add_argument("--api-key", help="what the server asks for")
    parser.add_argument("--certificate", help="speak TLS, with a server whose certificate this file vouches for")
    context = Context(parser.parse_args())
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function(context)
            print(f"ok      {name}")
        except Exception as error:  # From the check itself, or from the client.
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
