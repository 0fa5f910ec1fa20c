//! Servers as their URLs name them.

use reqwest::Url;

/// `HOST:PORT` in lower case from `HOST[:PORT]`. The error says what is wrong with it.
pub fn host_and_port(text: &str, default_port: u16) -> Result<String, String> {
    let mut host = text.to_ascii_lowercase();
    // The host of an IPv6 address has colons, too: `[::1]`.
    if !host.rsplit(']').next().is_some_and(|end| end.contains(':')) {
        host = format!("{host}:{default_port}");
    }
    // `Url` checks only. It would drop a port that HTTP has by default, and a manifest would name another source.
    match Url::parse(&format!("http://{host}")) {
        Ok(_) => Ok(host),
        Err(error) => Err(format!("is no URL: {error}")),
    }
}

/// A URL, valid or not, as messages show it: without user, password, query and fragment, any of which may be secret.
pub fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_named_stays() {
        let of = |text| host_and_port(text, 8529);
        assert_eq!(of("Host").unwrap(), "host:8529");
        assert_eq!(of("h:80").unwrap(), "h:80");
        assert_eq!(of("[::1]").unwrap(), "[::1]:8529");
        assert_eq!(of("[::1]:443").unwrap(), "[::1]:443");
        for wrong in ["", "h:x", "h:99999", "a b", "[::1"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(without_secrets("https://h:1/a?key=s3cret#s3cret"), "https://h:1/a");
        assert_eq!(without_secrets("http://root:s3/cret@h/a"), "http://h/a");
        assert_eq!(without_secrets("/elsewhere"), "/elsewhere");
    }
}
