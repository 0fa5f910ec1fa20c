//! Lists whose length is checked while they are decoded: a few bytes on the wire can claim items that take
//! many more in memory, and what is refused only afterwards was already allocated.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Items reserved on the word of a length alone.
const RESERVED_MAX: usize = 1024;

/// A list of `MIN` to `MAX` items.
pub(super) fn bounded<'de, D, T, const MIN: usize, const MAX: usize>(
    from: D,
) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MIN: usize, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Visitor<'de>
        for List<T, MIN, MAX>
    {
        type Value = Vec<T>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(out, "{MIN} to {MAX} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let claimed = items.size_hint().unwrap_or(0);
            if claimed > MAX {
                return Err(A::Error::invalid_length(claimed, &self));
            }
            let mut list = Vec::with_capacity(claimed.min(RESERVED_MAX));
            while let Some(item) = items.next_element()? {
                if list.len() == MAX {
                    return Err(A::Error::invalid_length(MAX + 1, &self));
                }
                list.push(item);
            }
            match list.len() < MIN {
                true => Err(A::Error::invalid_length(list.len(), &self)),
                false => Ok(list),
            }
        }
    }

    from.deserialize_seq(List::<T, MIN, MAX>(PhantomData))
}
