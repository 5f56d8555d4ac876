//! Structured logs on standard error, one line per event. They contain routes, status codes and durations, never file
//! names, image contents or keys.

use std::io;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Installs the global log subscriber.
pub fn log(format: LogFormat) {
    let subscriber = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false);
    // Only the first call in a process has an effect.
    let _ = match format {
        LogFormat::Text => subscriber.compact().try_init(),
        LogFormat::Json => {
            subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
    };
}
