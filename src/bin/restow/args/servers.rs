//! How servers are talked to.

use std::num::NonZeroU64;
use std::path::PathBuf;

const SERVERS: &str = "With servers";

/// For sources and targets that are servers.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServerArgs {
    /// Variables that are not in the environment, one NAME=VALUE a line
    #[arg(long, help_heading = SERVERS, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Wait this long for a server that does not answer yet
    #[arg(long, help_heading = SERVERS, value_name = "SECONDS")]
    pub wait_ready: Option<u64>,
    /// Try so often again what a dropped connection or a busy server kept from working [default: 6]
    #[arg(long, help_heading = SERVERS, value_name = "COUNT")]
    pub retries: Option<u32>,
    /// How long a connection may take to come about [default: 10]
    #[arg(long, help_heading = SERVERS, value_name = "SECONDS")]
    pub connect_timeout: Option<u64>,
    /// How long a server may be silent [default: 60]
    #[arg(long, help_heading = SERVERS, value_name = "SECONDS")]
    pub read_timeout: Option<u64>,
    /// How long a server may take to make a snapshot of its own, or to take one in [default: 3600]
    #[arg(long, help_heading = SERVERS, value_name = "SECONDS")]
    pub snapshot_timeout: Option<u64>,
    /// Most bytes a second to download, as 500k, 20M, 1G
    #[arg(long, help_heading = SERVERS, value_name = "RATE", value_parser = rate)]
    pub limit_download: Option<NonZeroU64>,
    /// Most bytes a second to upload
    #[arg(long, help_heading = SERVERS, value_name = "RATE", value_parser = rate)]
    pub limit_upload: Option<NonZeroU64>,
}

/// Bytes: a number, with k, M or G for 1024, 1024² or 1024³.
pub fn rate(text: &str) -> Result<NonZeroU64, String> {
    let (number, unit) = match text.strip_suffix(['k', 'K', 'M', 'G']) {
        Some(number) => (number, text.chars().last().unwrap_or_default()),
        None => (text, ' '),
    };
    let factor = match unit {
        'k' | 'K' => 1 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        _ => 1,
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.and_then(NonZeroU64::new).ok_or_else(|| "say bytes a second, as 500k, 20M or 1G".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let of = |text: &str| rate(text).map(NonZeroU64::get);
        assert_eq!(of("1500"), Ok(1500));
        assert_eq!((of("2k"), of("3M"), of("1G")), (Ok(2048), Ok(3 << 20), Ok(1 << 30)));
        for bad in ["", "0", "-1", "1.5M", "M", "1T", "99999999999999999999", "99999999999G"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
