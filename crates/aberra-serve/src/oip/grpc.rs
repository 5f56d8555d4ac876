//! The protocol over gRPC, on the same port as HTTP.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::any;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::Semaphore;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::generated::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use super::generated::infer_parameter::ParameterChoice;
use super::generated::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::generated::model_infer_response::InferOutputTensor;
use super::generated::*;
use super::infer::{
    InferAnswer, InferRequest, Parameter, Parameters, REMARKS, check_is_sent, default_outputs, infer,
    offload_input, offload_output, output, threshold,
};
use super::model::{self, Output, VERSION};
use super::tensors::{Datatype, Tensor, Values, shape};
use crate::detectors::ServedDetector;
use crate::guard::UnansweredBytes;
use crate::problem::Problem;
use crate::problem::oip::{status, text, unsupported};
use crate::state::ServerState;

/// The service's name in request paths.
const SERVICE: &str = "inference.GRPCInferenceService";

/// The end of the path of streaming calls.
const STREAM: &str = "/ModelStreamInfer";

/// Calls of Triton's clients that this server does not support, and what they are for.
const UNSUPPORTED: [(&str, &str); 10] = [
    ("RepositoryModelLoad", "loading models"),
    ("RepositoryModelUnload", "unloading models"),
    ("SystemSharedMemoryStatus", "shared memory"),
    ("SystemSharedMemoryRegister", "shared memory"),
    ("SystemSharedMemoryUnregister", "shared memory"),
    ("CudaSharedMemoryStatus", "shared memory"),
    ("CudaSharedMemoryRegister", "shared memory"),
    ("CudaSharedMemoryUnregister", "shared memory"),
    ("TraceSetting", "trace settings"),
    ("LogSettings", "log settings"),
];

/// The service, to be merged with the HTTP routes. Messages have the same size limit as bodies, also after
/// decompression.
pub(crate) fn router(shared: ServerState) -> Router {
    let limit = shared.limits.body_bytes;
    let permits = (shared.limits.held_bytes / limit.max(1)).clamp(1, Semaphore::MAX_PERMITS);
    let service = GrpcInferenceServiceServer::new(Service(shared))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(usize::MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Deflate);
    let mut router = Router::new().route_service(&format!("/{SERVICE}/{{method}}"), service);
    for (method, what) in UNSUPPORTED {
        let refusal = move || async move {
            Status::unimplemented(unsupported(what).detail).into_http::<axum::body::Body>()
        };
        router = router.route(&format!("/{SERVICE}/{method}"), any(refusal));
    }
    router.layer(from_fn_with_state(Arc::new(Semaphore::new(permits)), limit_decompression))
}

/// Middleware that limits how many calls have their messages decompressed at a time: each message may grow to the
/// maximum body size, and together they must stay within the memory limit of all bodies. Unary calls wait; streams,
/// which last longer, are rejected.
async fn limit_decompression(
    State(permits): State<Arc<Semaphore>>,
    mut request: axum::extract::Request,
    next: Next,
) -> axum::response::Response {
    if is_compressed(request.headers()) {
        let is_stream = request.uri().path().ends_with(STREAM);
        let permit =
            if is_stream { permits.try_acquire_owned().ok() } else { permits.acquire_owned().await.ok() };
        let Some(permit) = permit else {
            return Status::unavailable("the server is busy: too many compressed streams").into_http();
        };
        request.extensions_mut().insert(Arc::new(permit));
    }
    next.run(request).await
}

fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get("grpc-encoding").is_some_and(|encoding| encoding != "identity")
}

struct Service(ServerState);

/// The result of a call.
type Reply<T> = Result<Response<T>, Status>;

impl Service {
    fn find(&self, name: &str, version: &str) -> Result<Arc<ServedDetector>, Status> {
        model::find(&self.0, name, version).map_err(|problem| status(&problem))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(&self, call: Request<ServerLiveRequest>) -> Reply<ServerLiveResponse> {
        reply(call.metadata(), ServerLiveResponse { live: true })
    }

    async fn server_ready(&self, call: Request<ServerReadyRequest>) -> Reply<ServerReadyResponse> {
        reply(call.metadata(), ServerReadyResponse { ready: self.0.is_ready() })
    }

    async fn model_ready(&self, call: Request<ModelReadyRequest>) -> Reply<ModelReadyResponse> {
        self.find(&call.get_ref().name, &call.get_ref().version)?;
        reply(call.metadata(), ModelReadyResponse { ready: self.0.is_ready() })
    }

    async fn server_metadata(&self, call: Request<ServerMetadataRequest>) -> Reply<ServerMetadataResponse> {
        reply(call.metadata(), model::server())
    }

    async fn model_metadata(&self, call: Request<ModelMetadataRequest>) -> Reply<ModelMetadataResponse> {
        let served = self.find(&call.get_ref().name, &call.get_ref().version)?;
        reply(call.metadata(), model::metadata(&served))
    }

    async fn model_config(&self, call: Request<ModelConfigRequest>) -> Reply<ModelConfigResponse> {
        let served = self.find(&call.get_ref().name, &call.get_ref().version)?;
        reply(call.metadata(), ModelConfigResponse { config: Some(model::config(&served)) })
    }

    async fn model_statistics(
        &self,
        call: Request<ModelStatisticsRequest>,
    ) -> Reply<ModelStatisticsResponse> {
        let ModelStatisticsRequest { name, version } = call.get_ref();
        let model_stats = if name.is_empty() {
            self.0.detectors.iter().map(|served| model::statistics(served)).collect()
        } else {
            vec![model::statistics(&*self.find(name, version)?)]
        };
        reply(call.metadata(), ModelStatisticsResponse { model_stats })
    }

    async fn repository_index(
        &self,
        call: Request<RepositoryIndexRequest>,
    ) -> Reply<RepositoryIndexResponse> {
        reply(call.metadata(), model::index(&self.0, call.get_ref().ready))
    }

    async fn model_infer(&self, call: Request<ModelInferRequest>) -> Reply<ModelInferResponse> {
        // The extensions hold the decompression permit until the response is ready.
        let (metadata, _held, request) = call.into_parts();
        let answer = answer(&self.0, request).await.map_err(|problem| status(&problem))?;
        reply(&metadata, answer)
    }

    type ModelStreamInferStream =
        Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send + 'static>>;

    async fn model_stream_infer(
        &self,
        call: Request<Streaming<ModelInferRequest>>,
    ) -> Reply<Self::ModelStreamInferStream> {
        let (metadata, held, requests) = call.into_parts();
        let answers = unfold(Some((self.0.clone(), held, requests)), async |state| {
            let (shared, held, mut requests) = state?;
            match requests.message().await {
                Ok(Some(request)) => {
                    let answer = stream_response(&shared, request).await;
                    if let Some(unanswered) = held.get::<UnansweredBytes>() {
                        unanswered.release();
                    }
                    Some((Ok(answer), Some((shared, held, requests))))
                }
                Ok(None) => None,
                Err(status) => Some((Err(status), None)),
            }
        });
        reply(&metadata, Box::pin(answers) as Self::ModelStreamInferStream)
    }
}

/// A response, compressed if the request was.
fn reply<T>(request: &MetadataMap, answer: T) -> Reply<T> {
    let mut response = Response::new(answer);
    if !is_compressed(request.as_ref()) {
        response.disable_compression();
    }
    Ok(response)
}

/// One response of a stream. An error concerns its request only; the stream continues.
async fn stream_response(shared: &ServerState, request: ModelInferRequest) -> ModelStreamInferResponse {
    let (id, name) = (request.id.clone(), request.model_name.clone());
    let (error_message, mut response) = match answer(shared, request).await {
        Ok(answer) => (String::new(), answer),
        Err(problem) => {
            (text(&problem), ModelInferResponse { id, model_name: name, ..ModelInferResponse::default() })
        }
    };
    let last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    response.parameters.insert("triton_final_response".to_owned(), last);
    ModelStreamInferResponse { error_message, infer_response: Some(response) }
}

async fn answer(shared: &ServerState, request: ModelInferRequest) -> Result<ModelInferResponse, Problem> {
    let served = model::find(shared, &request.model_name, &request.model_version)?;
    let id = request.id.clone();
    let numbers = request.inputs.iter().filter_map(|input| input.contents.as_ref());
    let bytes =
        numbers.map(|contents| contents.fp32_contents.len().max(contents.uint_contents.len()) * 4).sum();
    let raw: usize = request.raw_input_contents.iter().map(Bytes::len).sum();
    let is_pixels = request.inputs.iter().any(|input| input.datatype != Datatype::Bytes.name());
    let bytes = if is_pixels { raw + bytes } else { bytes };
    let outputs = Output::of(&served.detector);
    let request = offload_input(shared, bytes, move || read(request, &outputs)).await?;
    let answer = infer(shared, &served, request).await?;
    let elements = answer.tensors.iter().map(|tensor| tensor.values.len()).sum();
    offload_output(shared, elements, move || Ok(response(&served.name, id, answer))).await
}

fn read(request: ModelInferRequest, of: &[Output]) -> Result<InferRequest, Problem> {
    let ModelInferRequest { parameters, inputs, outputs, raw_input_contents, .. } = request;
    let (count, raw_count) = (inputs.len(), raw_input_contents.len());
    if raw_count != 0 && raw_count != count {
        return Err(Problem::bad_request(format!(
            "raw_input_contents: expected none or one for each of {count} inputs, found {raw_count}"
        )));
    }
    let mut raw = raw_input_contents.into_iter();
    let inputs = inputs.into_iter().map(|input| tensor(input, raw.next())).collect::<Result<_, _>>()?;
    let outputs = outputs
        .into_iter()
        .map(|InferRequestedOutputTensor { name, parameters }| output(&name, &parameters_of(parameters), of));
    let mut outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    if outputs.is_empty() {
        outputs = default_outputs(of);
    }
    Ok(InferRequest { inputs, outputs, threshold: threshold(&parameters_of(parameters))? })
}

fn parameters_of(parameters: std::collections::BTreeMap<String, InferParameter>) -> Parameters {
    let value = |parameter: InferParameter| {
        Some(match parameter.parameter_choice? {
            ParameterChoice::BoolParam(value) => Parameter::Bool(value),
            ParameterChoice::Int64Param(value) => Parameter::Integer(value),
            ParameterChoice::StringParam(value) => Parameter::Text(value),
            ParameterChoice::DoubleParam(value) => Parameter::Number(value),
            ParameterChoice::Uint64Param(value) => Parameter::Number(value as f64),
        })
    };
    parameters.into_iter().filter_map(|(name, parameter)| Some((name, value(parameter)?))).collect()
}

fn tensor(input: InferInputTensor, raw: Option<Bytes>) -> Result<Tensor, Problem> {
    let InferInputTensor { name, datatype, shape: axes, parameters, contents } = input;
    check_is_sent(&parameters_of(parameters))?;
    let datatype = Datatype::of(&datatype)
        .ok_or_else(|| Problem::bad_request("expected the datatype BYTES, FP32 or UINT8, found another"))?;
    let (shape, count) = shape(&axes)?;
    let values = match (raw, contents) {
        (Some(_), Some(contents)) if contents != InferTensorContents::default() => {
            return Err(Problem::bad_request(
                "expected contents or raw_input_contents of an input, found both",
            ));
        }
        (Some(raw), _) => Values::from_raw(datatype, count, raw)?,
        (None, contents) => from_contents(datatype, count, contents.unwrap_or_default())?,
    };
    Ok(Tensor { name, shape, values })
}

fn from_contents(datatype: Datatype, count: usize, contents: InferTensorContents) -> Result<Values, Problem> {
    let values = match datatype {
        Datatype::Bytes => Values::Bytes(contents.bytes_contents),
        Datatype::Fp32 => Values::Fp32(contents.fp32_contents),
        Datatype::Uint8 => {
            let bytes = contents.uint_contents.into_iter().map(u8::try_from).collect::<Result<Vec<u8>, _>>();
            let problem =
                |_| Problem::bad_request("expected whole numbers from 0 to 255 as UINT8, found others");
            Values::Uint8(bytes.map_err(problem)?.into())
        }
        Datatype::Bool => Values::Bool(contents.bool_contents),
        Datatype::Fp64 => Values::Fp64(contents.fp64_contents),
    };
    if values.len() != count {
        let found = values.len();
        return Err(Problem::bad_request(format!(
            "expected {count} elements, as the shape says, found {found}"
        )));
    }
    Ok(values)
}

fn response(model: &str, id: String, answer: InferAnswer) -> ModelInferResponse {
    let InferAnswer { tensors, remarks } = answer;
    let remarks = remarks.map(|remarks| {
        let text = InferParameter { parameter_choice: Some(ParameterChoice::StringParam(remarks)) };
        (REMARKS.to_owned(), text)
    });
    let described = tensors.iter().map(|tensor| InferOutputTensor {
        name: tensor.name.clone(),
        datatype: tensor.values.datatype().name().to_owned(),
        shape: tensor.shape.iter().map(|&axis| i64::try_from(axis).unwrap_or(i64::MAX)).collect(),
        ..InferOutputTensor::default()
    });
    ModelInferResponse {
        model_name: model.to_owned(),
        model_version: VERSION.to_owned(),
        id,
        parameters: remarks.into_iter().collect(),
        outputs: described.collect(),
        raw_output_contents: tensors.iter().map(|tensor| tensor.values.to_raw()).collect(),
    }
}
