//! A detector as a model of the protocol: inputs and outputs, configuration and statistics.

use std::collections::BTreeMap;
use std::sync::Arc;

use aberra::Detector;
use aberra::models::Shape;
use aberra::models::measure::reference::Reference;
use serde::Serializer;

use super::generated::model_input::Format;
use super::generated::model_metadata_response::TensorMetadata;
use super::generated::repository_index_response::ModelIndex;
use super::generated::{
    DataType, InferBatchStatistics, InferStatistics, ModelConfig, ModelInput, ModelMetadataResponse,
    ModelOutput, ModelParameter, ModelStatistics, RepositoryIndexResponse, ServerMetadataResponse,
    StatisticDuration,
};
use super::tensors::Datatype;
use crate::detectors::ServedDetector;
use crate::problem::Problem;
use crate::state::ServerState;
use crate::statistics::DurationCount;

/// The only version that every detector has.
pub(super) const VERSION: &str = "1";
/// The platform and the backend of every model.
const PLATFORM: &str = "aberra";
/// The input of encoded images.
pub(super) const IMAGE: &str = "image";
/// The input of decoded images.
pub(super) const PIXELS: &str = "pixels";

/// An output of a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Anomaly score.
    Score,
    /// Conformal p-value.
    PValue,
    /// The threshold that was used.
    Threshold,
    /// Whether the score is above the threshold.
    Anomalous,
    /// Share of the image's pixels above the pixel threshold.
    AnomalousShare,
    /// Error map at the size of the preprocessed image.
    ErrorMap,
    /// A member's reconstruction.
    Reconstruction,
    /// Position in the embedding space that is shown.
    Embedding,
}

impl Output {
    pub(super) const ALL: [Self; 8] = [
        Self::Score,
        Self::PValue,
        Self::Threshold,
        Self::Anomalous,
        Self::AnomalousShare,
        Self::ErrorMap,
        Self::Reconstruction,
        Self::Embedding,
    ];

    /// The outputs that a detector has.
    pub(super) fn of(detector: &Detector) -> Vec<Self> {
        let gives = detector.gives();
        let has = |output: &Self| match output {
            Self::Score | Self::Threshold | Self::Anomalous => true,
            Self::PValue => !detector.calibration().scores.is_empty(),
            Self::AnomalousShare | Self::ErrorMap => gives.map,
            Self::Reconstruction => gives.reconstruction,
            Self::Embedding => detector.reference().is_some(),
        };
        Self::ALL.into_iter().filter(has).collect()
    }

    /// Whether it is one of the outputs of a request that names none: the numbers for each image.
    pub(super) fn is_default(self) -> bool {
        !matches!(self, Self::ErrorMap | Self::Reconstruction | Self::Embedding)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::PValue => "p_value",
            Self::Threshold => "threshold",
            Self::Anomalous => "anomalous",
            Self::AnomalousShare => "anomalous_share",
            Self::ErrorMap => "error_map",
            Self::Reconstruction => "reconstruction",
            Self::Embedding => "embedding",
        }
    }

    pub(super) fn datatype(self) -> Datatype {
        match self {
            Self::Score | Self::PValue | Self::Threshold | Self::AnomalousShare => Datatype::Fp64,
            Self::Anomalous => Datatype::Bool,
            Self::ErrorMap | Self::Reconstruction | Self::Embedding => Datatype::Fp32,
        }
    }

    /// Lengths of the axes after the batch axis.
    pub(super) fn axes(self, detector: &Detector) -> Vec<usize> {
        let Shape { height, width, channels } = detector.canvas_shape();
        match self {
            Self::ErrorMap => vec![height, width],
            Self::Reconstruction => vec![height, width, channels],
            Self::Embedding => detector.reference().map(Reference::dimensions).into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// Finds the detector that a request names.
///
/// # Errors
/// No detector has this name, or it does not have this version.
pub(super) fn find(shared: &ServerState, name: &str, version: &str) -> Result<Arc<ServedDetector>, Problem> {
    let served = shared.detectors.find(name).ok_or_else(|| {
        let names: Vec<&str> = shared.detectors.iter().map(|served| served.name.as_str()).collect();
        Problem::not_found(format!("expected one of the models {}", names.join(", ")))
    })?;
    match version {
        "" | VERSION => Ok(served.clone()),
        _ => Err(Problem::not_found(format!("expected version {VERSION} of the model, or none"))),
    }
}

/// Server metadata: name, version and supported extensions.
pub(super) fn server() -> ServerMetadataResponse {
    let extensions = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"];
    ServerMetadataResponse {
        name: PLATFORM.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: extensions.map(str::to_owned).into(),
    }
}

/// Model metadata: inputs and outputs.
pub(super) fn metadata(served: &ServedDetector) -> ModelMetadataResponse {
    let tensor = |(name, datatype, shape): (&str, Datatype, Vec<i64>)| TensorMetadata {
        name: name.to_owned(),
        datatype: datatype.name().to_owned(),
        shape,
    };
    ModelMetadataResponse {
        name: served.name.clone(),
        versions: vec![VERSION.to_owned()],
        platform: PLATFORM.to_owned(),
        inputs: inputs().map(tensor).into(),
        outputs: outputs(served).map(tensor).collect(),
    }
}

/// The alternative inputs; a request has one of them. A length of -1 is variable.
fn inputs() -> [(&'static str, Datatype, Vec<i64>); 2] {
    [(IMAGE, Datatype::Bytes, vec![-1]), (PIXELS, Datatype::Fp32, vec![-1; 4])]
}

fn outputs(served: &ServedDetector) -> impl Iterator<Item = (&'static str, Datatype, Vec<i64>)> {
    Output::of(&served.detector).into_iter().map(|output| {
        let axes = output.axes(&served.detector).into_iter().map(|axis| i64::try_from(axis).unwrap_or(-1));
        (output.name(), output.datatype(), std::iter::once(-1).chain(axes).collect())
    })
}

/// Model configuration.
pub(super) fn config(served: &ServedDetector) -> ModelConfig {
    let input = |(name, datatype, dims): (&str, Datatype, Vec<i64>)| ModelInput {
        name: name.to_owned(),
        data_type: data_type(datatype).into(),
        format: Format::None.into(),
        dims,
        optional: true,
    };
    let output = |(name, datatype, dims): (&str, Datatype, Vec<i64>)| ModelOutput {
        name: name.to_owned(),
        data_type: data_type(datatype).into(),
        dims,
    };
    let parameters = [
        ("hash", served.hash().to_owned()),
        ("scorer", served.detector.config().scorer.clone()),
        ("threshold", served.detector.calibration().threshold.to_string()),
    ];
    let parameters =
        parameters.map(|(name, value)| (name.to_owned(), ModelParameter { string_value: value }));
    ModelConfig {
        name: served.name.clone(),
        platform: PLATFORM.to_owned(),
        backend: PLATFORM.to_owned(),
        max_batch_size: 0,
        input: inputs().map(input).into(),
        output: outputs(served).map(output).collect(),
        parameters: BTreeMap::from(parameters),
    }
}

fn data_type(datatype: Datatype) -> DataType {
    match datatype {
        Datatype::Bool => DataType::TypeBool,
        Datatype::Uint8 => DataType::TypeUint8,
        Datatype::Fp32 => DataType::TypeFp32,
        Datatype::Fp64 => DataType::TypeFp64,
        Datatype::Bytes => DataType::TypeString,
    }
}

/// Model statistics since the server started.
pub(super) fn statistics(served: &ServedDetector) -> ModelStatistics {
    let counted = &served.statistics;
    let batches = counted.batches();
    let batch_stats = batches.iter().map(|&(size, count, ns)| InferBatchStatistics {
        batch_size: size as u64,
        compute_input: Some(StatisticDuration::default()),
        compute_infer: Some(StatisticDuration { count, ns }),
        compute_output: Some(StatisticDuration::default()),
    });
    ModelStatistics {
        name: served.name.clone(),
        version: VERSION.to_owned(),
        last_inference: counted.last_inference(),
        inference_count: batches.iter().map(|&(size, count, _)| size as u64 * count).sum(),
        execution_count: batches.iter().map(|&(_, count, _)| count).sum(),
        inference_stats: Some(InferStatistics {
            success: duration(&counted.success),
            fail: duration(&counted.fail),
            queue: duration(&counted.queue),
            compute_input: duration(&counted.compute_input),
            compute_infer: duration(&counted.compute_infer),
            compute_output: duration(&counted.compute_output),
            cache_hit: Some(StatisticDuration::default()),
            cache_miss: Some(StatisticDuration::default()),
        }),
        batch_stats: batch_stats.collect(),
    }
}

fn duration(counted: &DurationCount) -> Option<StatisticDuration> {
    let (count, ns) = counted.read();
    Some(StatisticDuration { count, ns })
}

/// The repository index. During graceful shutdown no model is ready.
pub(super) fn index(shared: &ServerState, ready_alone: bool) -> RepositoryIndexResponse {
    let (state, reason) =
        if shared.is_ready() { ("READY", "") } else { ("UNAVAILABLE", "the server is shutting down") };
    let all = shared.detectors.iter().filter(|_| shared.is_ready() || !ready_alone);
    let models = all.map(|served| ModelIndex {
        name: served.name.clone(),
        version: VERSION.to_owned(),
        state: state.to_owned(),
        reason: reason.to_owned(),
    });
    RepositoryIndexResponse { models: models.collect() }
}

// The generated code calls these through the type, and so does not depend on this module.

impl DataType {
    /// Serialises a data type as its name, as the protocol's JSON requires.
    pub(super) fn write_name<S: Serializer>(value: &i32, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(Self::try_from(*value).unwrap_or_default().as_str_name())
    }
}

impl Format {
    /// Serialises a format as its name, as the protocol's JSON requires.
    pub(super) fn write_name<S: Serializer>(value: &i32, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(Self::try_from(*value).unwrap_or_default().as_str_name())
    }
}
