//! Points as bytes: what is not needed is not read.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A page of points, in an answer's envelope.
#[derive(Deserialize)]
pub(super) struct PageAnswer<'a> {
    #[serde(borrow)]
    pub result: Page<'a>,
}

#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub points: Vec<Point<'a>>,
    /// The id of the first point behind it. None: it is the last one.
    #[serde(borrow, default)]
    pub next_page_offset: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Point<'a> {
    #[serde(borrow)]
    pub id: &'a RawValue,
    #[serde(borrow, default)]
    pub payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub vector: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub shard_key: Option<&'a RawValue>,
}

/// In the order in which a server gives points: numbers before UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PointId {
    Number(u64),
    Uuid(u128),
}

impl PointId {
    /// From JSON. `None` for what is no point's id: a fraction, a number of more than 64 bits, another text.
    pub fn parse(json: &RawValue) -> Option<Self> {
        let text = json.get();
        match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().map(Self::Number)
            }
            None => None,
            Some(uuid) => {
                let digits: String = uuid.chars().filter(|letter| *letter != '-').collect();
                let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let is_uuid = digits.len() == 32 && is_hex;
                is_uuid.then(|| u128::from_str_radix(&digits, 16).ok().map(Self::Uuid)).flatten()
            }
        }
    }
}

impl Point<'_> {
    /// As a line of the export.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.write(out, self.shard_key);
        // Valid JSON has line breaks between its tokens only.
        for byte in out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        out.push(b'\n');
    }

    /// As a server takes it.
    pub fn write_for_upsert(&self, out: &mut Vec<u8>) {
        self.write(out, None);
    }

    fn write(&self, out: &mut Vec<u8>, shard_key: Option<&RawValue>) {
        let mut member = |name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value.as_bytes());
        };
        member("{\"id\":", self.id.get());
        member(",\"payload\":", self.payload.map_or("{}", RawValue::get));
        member(",\"vector\":", self.vector.map_or("{}", RawValue::get));
        if let Some(key) = shard_key {
            member(",\"shard_key\":", key.get());
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(json: &str) -> Option<PointId> {
        PointId::parse(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn ids_are_64_bits_or_a_uuid() {
        assert_eq!(id("18446744073709551615"), Some(PointId::Number(u64::MAX)));
        assert_eq!(id("9007199254740993"), Some(PointId::Number(9_007_199_254_740_993)));
        let uuid = id("\"550e8400-e29b-41d4-a716-446655440000\"");
        assert_eq!(uuid, Some(PointId::Uuid(0x550e_8400_e29b_41d4_a716_4466_5544_0000)));
        assert_eq!(id("\"550e8400e29b41d4a716446655440000\""), uuid);
        assert!(id("18446744073709551615") < uuid);
        for bad in ["18446744073709551616", "1.0", "-1", "1e3", "\"x\"", "null", "{}", "\"\""] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let text = "{\"vector\":[1.10000000000000000001,\n -0.0,1E-7],\"id\": 3,\"payload\":{\"n\":1e400,\"s\":\"a\\nb\"},\"x\":1}";
        let point: Point = serde_json::from_str(text).unwrap();
        let mut lines = b"before\n".to_vec();
        point.write_line(&mut lines);
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "before\n{\"id\":3,\"payload\":{\"n\":1e400,\"s\":\"a\\nb\"},\"vector\":[1.10000000000000000001,  -0.0,1E-7]}\n"
        );
    }
}
