//! Logs on standard error: one line an event, for people or for programs. They hold routes, statuses and times, never
//! names of files, contents or keys.

use std::io;

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Starts to write what happens; once for a process.
pub fn log(format: LogFormat) {
    let subscriber = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false);
    // A second call changes nothing: the first one's lines go on.
    let _ = match format {
        LogFormat::Text => subscriber.compact().try_init(),
        LogFormat::Json => {
            subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
    };
}
