//! The table of targets: one for every parser that reads foreign bytes.

mod detector;
mod evaluation;
mod image;
mod manifest;
mod pytorch;
mod served;
mod settings;
mod split;

use crate::run::Target;

/// Memory beside what an input needs: copies of it, messages, the test's own work.
const MB: usize = 1 << 20;

/// All of them, in the order in which they run.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "image",
        seeds: image::seeds,
        mutate: image::mutate,
        run: image::run,
        memory_bytes: 160 * MB,
        executions_in_test: 2_000,
    },
    Target {
        name: "manifest-csv",
        seeds: manifest::csv_seeds,
        mutate: manifest::mutate_csv,
        run: manifest::run_csv,
        memory_bytes: 32 * MB,
        executions_in_test: 1_500,
    },
    Target {
        name: "manifest-jsonl",
        seeds: manifest::jsonl_seeds,
        mutate: manifest::mutate_jsonl,
        run: manifest::run_jsonl,
        // Inputs have up to 1 MB, and JSON in memory takes some forty times its text.
        memory_bytes: 96 * MB,
        executions_in_test: 1_500,
    },
    Target {
        name: "list",
        seeds: manifest::list_seeds,
        mutate: manifest::mutate_list,
        run: manifest::run_list,
        memory_bytes: 16 * MB,
        executions_in_test: 3_000,
    },
    Target {
        name: "split",
        seeds: split::seeds,
        mutate: split::mutate,
        run: split::run,
        memory_bytes: 32 * MB,
        executions_in_test: 500,
    },
    Target {
        name: "settings",
        seeds: settings::seeds,
        mutate: settings::mutate,
        run: settings::run,
        memory_bytes: 32 * MB,
        executions_in_test: 1_000,
    },
    Target {
        name: "detector",
        seeds: detector::seeds,
        mutate: detector::mutate,
        run: detector::run,
        memory_bytes: 256 * MB,
        executions_in_test: 300,
    },
    Target {
        name: "pytorch",
        seeds: pytorch::seeds,
        mutate: pytorch::mutate,
        run: pytorch::run,
        memory_bytes: 32 * MB,
        executions_in_test: 2_000,
    },
    Target {
        name: "evaluation",
        seeds: evaluation::seeds,
        mutate: evaluation::mutate,
        run: evaluation::run,
        memory_bytes: 128 * MB,
        executions_in_test: 300,
    },
    Target {
        name: "oip-json",
        seeds: served::json_seeds,
        mutate: served::mutate_json,
        run: served::run_json,
        memory_bytes: 128 * MB,
        executions_in_test: 1_000,
    },
    Target {
        name: "oip-binary",
        seeds: served::binary_seeds,
        mutate: served::mutate_binary,
        run: served::run_binary,
        memory_bytes: 128 * MB,
        executions_in_test: 1_000,
    },
    Target {
        name: "form",
        seeds: served::form_seeds,
        mutate: served::mutate_form,
        run: served::run_form,
        memory_bytes: 128 * MB,
        executions_in_test: 1_000,
    },
];
