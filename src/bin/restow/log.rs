//! The log: standard error, text or JSON.

use tracing_subscriber::EnvFilter;

use super::args::{LogFormat, Options};

pub fn start(options: &Options) {
    let filter = EnvFilter::new(format!("restow={}", options.log_level.as_str()));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // It would be told on standard error, which is what failed.
        .log_internal_errors(false);
    // A second subscriber in one process cannot be; there is none.
    let _ = match options.log_format {
        LogFormat::Text => builder.without_time().try_init(),
        LogFormat::Json => builder.json().with_target(true).flatten_event(true).try_init(),
    };
}
