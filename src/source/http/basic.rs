//! `Authorization: Basic`, RFC 7617.

use reqwest::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::call::Credential;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Credential {
    /// `Authorization: Basic …`
    pub fn basic(user: &str, password: &str) -> Self {
        let pair = Zeroizing::new(format!("{user}:{password}"));
        let mut value = Zeroizing::new(String::from("Basic "));
        base64(pair.as_bytes(), &mut value);
        Self::new(AUTHORIZATION, value)
    }
}

fn base64(bytes: &[u8], text: &mut String) {
    for three in bytes.chunks(3) {
        let at = |place: usize| u32::from(three.get(place).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let digit = DIGITS.get(digit as usize).filter(|_| place <= three.len());
            text.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_rfc_has_it() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ] {
            let mut text = String::new();
            base64(plain.as_bytes(), &mut text);
            assert_eq!(text, coded);
        }
        let header = Credential::basic("test", "123£").header().unwrap();
        assert_eq!(header.1.to_str().unwrap(), "Basic dGVzdDoxMjPCow==");
        assert!(!format!("{:?}", Credential::basic("a", "s3cret")).contains("czNjcmV0"));
    }
}
