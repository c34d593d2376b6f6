//! Byte strings of a fixed length that read as lower-case hexadecimal.

use thiserror::Error;

/// Why a text is not such a byte string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected {0} hexadecimal digits")]
pub struct NotHex(pub usize);

/// Reads lower- or upper-case digits.
pub(crate) fn decode<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let wrong = NotHex(2 * N);
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(wrong);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        let (high, low) = (value(pair[0]).ok_or(wrong)?, value(pair[1]).ok_or(wrong)?);
        *byte = (high * 16 + low) as u8;
    }
    Ok(bytes)
}

/// Defines a newtype over bytes with `Display`, `Debug`, `FromStr` and serde as hexadecimal.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize,
            serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $length]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::hex::NotHex;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::hex::decode(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::hex::NotHex;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(bytes: $name) -> Self {
                bytes.to_string()
            }
        }
    };
}

pub(crate) use hex_bytes;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_texts_are_refused() {
        for bad in ["", "0", "012", "01234g", "é123"] {
            assert_eq!(decode::<2>(bad), Err(NotHex(4)), "{bad}");
        }
        assert_eq!(decode::<2>("aBcD"), Ok([0xab, 0xcd]));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,12}") {
            let _ = decode::<4>(&text);
        }
    }
}
