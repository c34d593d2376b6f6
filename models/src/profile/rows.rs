//! Lists of rows of whole numbers as one flat array of JSON, quick to read: first how many columns
//! there are (those at the end that are 0 in every row are left out), then row after row. The first
//! column says by how much it differs from the row before.

use serde::{
    Deserializer, Serializer,
    de::{Error, SeqAccess, Visitor},
    ser::SerializeSeq,
};
use std::{fmt, marker::PhantomData};

/// A row of `N` numbers; the first is its time.
pub(super) trait Row<const N: usize>: Copy {
    fn numbers(&self) -> [i64; N];
    fn of(numbers: [i64; N]) -> Self;
}

pub(super) fn serialize<R: Row<N>, S: Serializer, const N: usize>(
    rows: &[R],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let used = |row: &R| row.numbers().iter().rposition(|n| *n != 0).map_or(1, |last| last + 1);
    let width = rows.iter().map(used).max().unwrap_or(1);
    let mut array = serializer.serialize_seq(Some(1 + rows.len() * width))?;
    array.serialize_element(&width)?;
    let mut before = 0;
    for row in rows {
        let mut numbers = row.numbers();
        let time = numbers[0];
        numbers[0] = time.wrapping_sub(before);
        before = time;
        for number in &numbers[..width] {
            array.serialize_element(number)?;
        }
    }
    array.end()
}

pub(super) fn deserialize<'de, R: Row<N>, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<Vec<R>, D::Error> {
    deserializer.deserialize_seq(Rows::<R, N>(PhantomData))
}

struct Rows<R, const N: usize>(PhantomData<R>);

impl<'de, R: Row<N>, const N: usize> Visitor<'de> for Rows<R, N> {
    type Value = Vec<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of columns, 1 to {N}, and rows of so many whole numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<R>, A::Error> {
        let width: usize = array.next_element()?.unwrap_or(1);
        if !(1..=N).contains(&width) {
            return Err(A::Error::custom(format_args!(
                "{width} columns, and at most {N} are known"
            )));
        }
        let mut rows = Vec::new();
        let mut before = 0_i64;
        while let Some(step) = array.next_element::<i64>()? {
            let mut numbers = [0; N];
            before = before.wrapping_add(step);
            numbers[0] = before;
            for number in &mut numbers[1..width] {
                let short = || A::Error::custom("the last row is too short");
                *number = array.next_element()?.ok_or_else(short)?;
            }
            rows.push(R::of(numbers));
        }
        Ok(rows)
    }
}
