//! What the person is asked for: lines with their prices, under an id that names exactly them.

use protocol::offer::{Currency, Money};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::MAX_TEXT_BYTES;

/// Most lines of a quote.
pub const MAX_LINES: usize = 100;
/// Most pieces in a line.
pub const MAX_QUANTITY: u32 = 10_000;
/// Dearest piece, in minor units. Within these three bounds a total stays under 2^63.
pub const MAX_UNIT_MINOR: i64 = 1_000_000_000_000;

/// Some pieces of one article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The shop's own number for the article.
    pub sku: String,
    /// What the person reads.
    pub title: String,
    /// Pieces, at least 1.
    pub quantity: u32,
    /// The price of one, in minor units of the quote's currency.
    pub unit_minor: i64,
}

/// Why a quote cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuoteFault {
    /// Too few lines or too many.
    #[error("the quote has {count} lines: give it 1 to {MAX_LINES}")]
    Lines {
        /// How many there are.
        count: usize,
    },
    /// A text that cannot be.
    #[error(
        "line {line} of the quote needs a sku and a title of at most {MAX_TEXT_BYTES} bytes each"
    )]
    Text {
        /// Counted from 1.
        line: usize,
    },
    /// A number of pieces that cannot be.
    #[error("line {line} of the quote has {quantity} pieces: allowed are 1 to {MAX_QUANTITY}")]
    Quantity {
        /// Counted from 1.
        line: usize,
        /// Its pieces.
        quantity: u32,
    },
    /// A price that cannot be.
    #[error("the quote has a price of {minor} minor units: allowed are 0 to {MAX_UNIT_MINOR}")]
    Price {
        /// The price.
        minor: i64,
    },
    /// An article in two lines.
    #[error("line {line} of the quote names an article a second time: put them in one line")]
    Twice {
        /// Counted from 1.
        line: usize,
    },
    /// Discounts that exceed the goods, or a total that is not the sum.
    #[error("the quote's total is {total_minor} minor units: its lines and extras say otherwise")]
    Total {
        /// The total.
        total_minor: i64,
    },
}

/// An offer by the shop. Its id names exactly these lines at this total: any change is a new quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Quote {
    id: Uuid,
    currency: Currency,
    lines: Vec<Line>,
    extra_minor: i64,
    total_minor: i64,
}

/// A quote as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    id: Uuid,
    currency: Currency,
    lines: Vec<Line>,
    extra_minor: i64,
    total_minor: i64,
}

/// The goods of a quote beside those of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goods {
    /// The same articles, as many of each.
    Same,
    /// Nothing that is not in the other, and of these articles less or none.
    Fewer(Vec<String>),
    /// This article is not in the other, or not that often.
    Other(String),
}

impl Quote {
    /// A quote over `lines`, each article in one of them. `extra_minor` is what comes on top for
    /// delivery and fees, less any discount; it may be negative as long as the total is not.
    ///
    /// # Errors
    /// [`QuoteFault`] names the first thing that cannot be.
    ///
    /// # Examples
    /// ```
    /// use protocol::offer::Currency;
    /// use server::orders::life::{Line, Quote};
    /// use uuid::Uuid;
    /// let coffee =
    ///     Line { sku: "c-1".into(), title: "Coffee, 1 kg".into(), quantity: 2, unit_minor: 1_290 };
    /// let quote = Quote::new(Uuid::from_u128(1), Currency::EUR, vec![coffee], 390).unwrap();
    /// assert_eq!(quote.total().to_string(), "29.70 EUR");
    /// ```
    pub fn new(
        id: Uuid,
        currency: Currency,
        lines: Vec<Line>,
        extra_minor: i64,
    ) -> Result<Self, QuoteFault> {
        let count = lines.len();
        if !(1..=MAX_LINES).contains(&count) {
            return Err(QuoteFault::Lines { count });
        }
        if !(-MAX_UNIT_MINOR..=MAX_UNIT_MINOR).contains(&extra_minor) {
            return Err(QuoteFault::Price { minor: extra_minor });
        }
        let mut total_minor = extra_minor;
        for (index, one) in lines.iter().enumerate() {
            let line = index + 1;
            if !is_text(&one.sku) || !is_text(&one.title) {
                return Err(QuoteFault::Text { line });
            }
            if !(1..=MAX_QUANTITY).contains(&one.quantity) {
                return Err(QuoteFault::Quantity { line, quantity: one.quantity });
            }
            if !(0..=MAX_UNIT_MINOR).contains(&one.unit_minor) {
                return Err(QuoteFault::Price { minor: one.unit_minor });
            }
            if lines.iter().take(index).any(|before| before.sku == one.sku) {
                return Err(QuoteFault::Twice { line });
            }
            total_minor += i64::from(one.quantity) * one.unit_minor;
        }
        if total_minor < 0 {
            return Err(QuoteFault::Total { total_minor });
        }
        Ok(Self { id, currency, lines, extra_minor, total_minor })
    }

    /// The name of this quote.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// The currency of all its prices.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// What is offered, an article a line.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Delivery and fees less discounts, in minor units.
    #[must_use]
    pub const fn extra_minor(&self) -> i64 {
        self.extra_minor
    }

    /// Everything together, in minor units; never negative.
    #[must_use]
    pub const fn total_minor(&self) -> i64 {
        self.total_minor
    }

    /// Everything together.
    #[must_use]
    pub const fn total(&self) -> Money {
        Money { minor: self.total_minor, currency: self.currency }
    }

    /// Whether the goods are those of `shown`. Prices do not matter.
    #[must_use]
    pub fn goods_beside(&self, shown: &Self) -> Goods {
        let pairs: Vec<_> = shown.lines.iter().map(|line| (&*line.sku, line.quantity)).collect();
        self.goods_of(&pairs)
    }

    /// Whether the goods are these pieces of these articles.
    #[must_use]
    pub fn goods_of(&self, shown: &[(&str, u32)]) -> Goods {
        let pieces = |sku: &str| shown.iter().find(|(name, _)| *name == sku).map(|pair| pair.1);
        if let Some(other) =
            self.lines.iter().find(|line| pieces(&line.sku).is_none_or(|most| line.quantity > most))
        {
            return Goods::Other(other.sku.clone());
        }
        let full = |&&(sku, quantity): &&(&str, u32)| {
            self.lines.iter().any(|line| line.sku == sku && line.quantity == quantity)
        };
        let fewer: Vec<String> =
            shown.iter().filter(|pair| !full(pair)).map(|(sku, _)| (*sku).to_owned()).collect();
        if fewer.is_empty() { Goods::Same } else { Goods::Fewer(fewer) }
    }
}

/// Whether a text is there and short enough to keep.
pub(super) fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_TEXT_BYTES
}

impl TryFrom<Parts> for Quote {
    type Error = QuoteFault;

    fn try_from(parts: Parts) -> Result<Self, QuoteFault> {
        let quote = Self::new(parts.id, parts.currency, parts.lines, parts.extra_minor)?;
        if quote.total_minor == parts.total_minor {
            Ok(quote)
        } else {
            Err(QuoteFault::Total { total_minor: parts.total_minor })
        }
    }
}

impl From<Quote> for Parts {
    fn from(quote: Quote) -> Self {
        let Quote { id, currency, lines, extra_minor, total_minor } = quote;
        Self { id, currency, lines, extra_minor, total_minor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quote(lines: &[(&str, u32, i64)], extra_minor: i64) -> Result<Quote, QuoteFault> {
        let lines = lines.iter().map(|&(sku, quantity, unit_minor)| Line {
            sku: sku.to_owned(),
            title: "Coffee".to_owned(),
            quantity,
            unit_minor,
        });
        Quote::new(Uuid::from_u128(7), Currency::EUR, lines.collect(), extra_minor)
    }

    #[test]
    fn totals_are_sums_and_bounds_are_kept() {
        assert_eq!(quote(&[("a", 2, 100), ("b", 1, 50)], -30).unwrap().total_minor(), 220);
        for (lines, extra, expected) in [
            (&[][..], 0, QuoteFault::Lines { count: 0 }),
            (&[(" ", 1, 1)], 0, QuoteFault::Text { line: 1 }),
            (&[("a", 0, 1)], 0, QuoteFault::Quantity { line: 1, quantity: 0 }),
            (&[("a", 1, -1)], 0, QuoteFault::Price { minor: -1 }),
            (&[("a", 1, 1), ("a", 1, 1)], 0, QuoteFault::Twice { line: 2 }),
            (&[("a", 1, 1)], -2, QuoteFault::Total { total_minor: -1 }),
            (&[("a", 1, 1)], i64::MIN, QuoteFault::Price { minor: i64::MIN }),
        ] {
            assert_eq!(quote(lines, extra), Err(expected));
        }
        let names: Vec<String> = (0..MAX_LINES).map(|line| line.to_string()).collect();
        let most: Vec<_> = names.iter().map(|sku| (&**sku, MAX_QUANTITY, MAX_UNIT_MINOR)).collect();
        assert!(quote(&most, MAX_UNIT_MINOR).unwrap().total_minor() > 0);
    }

    #[test]
    fn goods_are_compared_by_article_and_pieces() {
        let shown = quote(&[("a", 2, 100), ("b", 1, 50)], 0).unwrap();
        let check = |lines: &[(&str, u32, i64)], expected| {
            assert_eq!(quote(lines, 0).unwrap().goods_beside(&shown), expected);
        };
        check(&[("b", 1, 60), ("a", 2, 1)], Goods::Same);
        check(&[("a", 1, 100), ("b", 1, 50)], Goods::Fewer(vec!["a".into()]));
        check(&[("a", 2, 100)], Goods::Fewer(vec!["b".into()]));
        check(&[("a", 3, 100)], Goods::Other("a".into()));
        check(&[("a", 2, 100), ("c", 1, 1)], Goods::Other("c".into()));
    }

    proptest! {
        #[test]
        fn any_json_is_a_quote_or_is_not(
            quantity in any::<u32>(), unit in any::<i64>(), extra in any::<i64>(),
            total in any::<i64>(), sku in any::<String>(),
        ) {
            let id = Uuid::from_u128(7);
            let json = serde_json::json!({"id": id, "currency": "EUR", "extra_minor": extra,
                "total_minor": total, "lines": [{"sku": sku, "title": sku, "quantity": quantity,
                "unit_minor": unit}]});
            if let Ok(quote) = serde_json::from_value::<Quote>(json) {
                prop_assert_eq!(quote.total_minor(), total);
            }
        }
    }
}
