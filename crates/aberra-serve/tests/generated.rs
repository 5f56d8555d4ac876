//! Checks that `src/oip/generated.rs` is up to date with `proto/inference.proto`; with `ABERRA_UPDATE=1` it is regenerated.
//! `protoc` is not needed.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::fs;
use std::path::Path;

const HEAD: &str = "//! Generated from proto/inference.proto: `ABERRA_UPDATE=1 cargo test --workspace --test generated`. Do not edit.\n\n";

#[test]
fn the_generated_code_is_that_of_the_protocol() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = HEAD.to_owned() + &generate(&here.join("proto"));
    let kept = here.join("src/oip/generated.rs");
    if std::env::var_os("ABERRA_UPDATE").is_some() {
        fs::write(&kept, &made).unwrap();
    }
    let found = fs::read_to_string(&kept).unwrap_or_default();
    assert!(
        found == made,
        "src/oip/generated.rs is out of date with proto/inference.proto; run with ABERRA_UPDATE=1"
    );
}

/// For responses that are also sent as JSON over HTTP.
const JSON: &str = "#[derive(serde::Serialize)]";

/// Serialises an enumeration's value as its name.
fn by_name(enumeration: &str) -> String {
    format!("#[serde(serialize_with = \"{enumeration}::write_name\")]")
}

fn generate(folder: &Path) -> String {
    let out = tempfile::tempdir().unwrap();
    let described = protox::compile([folder.join("inference.proto")], [folder]).unwrap();
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .btree_map(".")
        .bytes(".")
        .type_attribute(".inference.ServerMetadataResponse", JSON)
        .type_attribute(".inference.RepositoryIndexResponse", JSON)
        .type_attribute(".inference.ModelMetadataResponse", JSON)
        .type_attribute(".inference.ModelConfig", JSON)
        .type_attribute(".inference.ModelInput", JSON)
        .type_attribute(".inference.ModelOutput", JSON)
        .type_attribute(".inference.ModelParameter", JSON)
        .type_attribute(".inference.ModelStatistics", JSON)
        .type_attribute(".inference.ModelStatisticsResponse", JSON)
        .type_attribute(".inference.InferStatistics", JSON)
        .type_attribute(".inference.InferBatchStatistics", JSON)
        .type_attribute(".inference.StatisticDuration", JSON)
        .field_attribute("data_type", by_name("DataType"))
        .field_attribute("format", by_name("model_input::Format"))
        .codec_path("crate::oip::codec::BoundedCodec")
        .out_dir(out.path())
        .compile_fds(described)
        .unwrap();
    fs::read_to_string(out.path().join("inference.rs")).unwrap()
}
