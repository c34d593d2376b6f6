//! What there is to buy.
//!
//! All numbers are invented: such as a household of western Europe might know. They are no
//! statistics of anybody.

/// One article.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sku {
    /// The shop's number for it.
    pub id: &'static str,
    /// What people read.
    pub name: &'static str,
    /// Units of use that a pack holds.
    pub pack: f64,
    /// Price of a pack, euro cents.
    pub price_cents: u32,
}

/// Why people buy a category.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Need {
    /// It is used up, and bought when it runs low.
    Stock {
        /// Units that one person uses a day, on average over those who use it.
        use_per_day: f64,
        /// Whether all of a household use it.
        shared: bool,
        /// How much the use differs from week to week: deviation of its logarithm.
        spread: f64,
    },
    /// It is bought when one feels like it, whatever is left: a Poisson process. Nobody can know when.
    Whim {
        /// Purchases a day.
        per_day: f64,
    },
}

/// One category of goods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Category {
    /// What purchases call it.
    pub id: &'static str,
    /// How much more than others it is among those that a person buys; a weight.
    pub popularity: f64,
    /// Why it is bought.
    pub need: Need,
    /// At least one.
    pub skus: &'static [Sku],
}

const fn sku(id: &'static str, name: &'static str, pack: f64, price_cents: u32) -> Sku {
    Sku { id, name, pack, price_cents }
}

const fn stock(use_per_day: f64, shared: bool, spread: f64) -> Need {
    Need::Stock { use_per_day, shared, spread }
}

/// All categories. Their use is counted in litres, slices, cups, washes, kilograms, pieces, rolls,
/// brushings and tablets.
pub const CATALOGUE: [Category; 14] = [
    Category {
        id: "milk",
        popularity: 3.0,
        need: stock(0.30, true, 0.20),
        skus: &[
            sku("milk-fresh-1l", "Fresh milk 1 l", 1.0, 129),
            sku("milk-organic-1l", "Organic milk 1 l", 1.0, 179),
            sku("milk-oat-1l", "Oat drink 1 l", 1.0, 199),
        ],
    },
    Category {
        id: "bread",
        popularity: 2.5,
        need: stock(2.5, true, 0.35),
        skus: &[
            sku("bread-rye-750g", "Rye bread 750 g", 18.0, 289),
            sku("bread-toast-500g", "Toast 500 g", 20.0, 149),
            sku("bread-seeds-500g", "Seeded bread 500 g", 12.0, 319),
        ],
    },
    Category {
        id: "coffee",
        popularity: 2.5,
        need: stock(2.2, true, 0.15),
        skus: &[
            sku("coffee-beans-500g", "Coffee beans 500 g", 62.0, 849),
            sku("coffee-beans-1kg", "Coffee beans 1 kg", 125.0, 1_549),
            sku("coffee-ground-500g", "Ground coffee 500 g", 62.0, 699),
        ],
    },
    Category {
        id: "detergent",
        popularity: 1.5,
        need: stock(0.30, true, 0.30),
        skus: &[
            sku("detergent-liquid-20", "Liquid detergent, 20 washes", 20.0, 549),
            sku("detergent-powder-45", "Washing powder, 45 washes", 45.0, 999),
        ],
    },
    Category {
        id: "dishwasher-tabs",
        popularity: 1.2,
        need: stock(0.40, true, 0.25),
        skus: &[
            sku("tabs-30", "Dishwasher tabs, 30", 30.0, 699),
            sku("tabs-60", "Dishwasher tabs, 60", 60.0, 1_249),
        ],
    },
    Category {
        id: "pet-food",
        popularity: 0.8,
        need: stock(0.25, false, 0.08),
        skus: &[
            sku("pet-dry-2kg", "Dry food 2 kg", 2.0, 1_099),
            sku("pet-dry-4kg", "Dry food 4 kg", 4.0, 1_899),
            sku("pet-grain-free-2kg", "Grain-free food 2 kg", 2.0, 1_499),
        ],
    },
    Category {
        id: "nappies",
        popularity: 0.4,
        need: stock(5.0, false, 0.10),
        skus: &[
            sku("nappies-44", "Nappies, 44", 44.0, 899),
            sku("nappies-88", "Nappies, 88", 88.0, 1_599),
        ],
    },
    Category {
        id: "vitamins",
        popularity: 0.7,
        need: stock(1.0, false, 0.05),
        skus: &[
            sku("vitamins-30", "Vitamin D, 30 tablets", 30.0, 799),
            sku("vitamins-60", "Vitamin D, 60 tablets", 60.0, 1_399),
        ],
    },
    Category {
        id: "toilet-paper",
        popularity: 2.0,
        need: stock(0.17, true, 0.20),
        skus: &[
            sku("paper-8", "Toilet paper, 8 rolls", 8.0, 395),
            sku("paper-16", "Toilet paper, 16 rolls", 16.0, 699),
        ],
    },
    Category {
        id: "toothpaste",
        popularity: 1.2,
        need: stock(2.0, true, 0.15),
        skus: &[
            sku("toothpaste-75ml", "Toothpaste 75 ml", 75.0, 149),
            sku("toothpaste-sensitive-75ml", "Toothpaste, sensitive, 75 ml", 75.0, 349),
        ],
    },
    Category {
        id: "shampoo",
        popularity: 1.2,
        need: stock(0.5, true, 0.40),
        skus: &[
            sku("shampoo-250ml", "Shampoo 250 ml", 28.0, 295),
            sku("shampoo-dry-hair-250ml", "Shampoo for dry hair 250 ml", 28.0, 445),
        ],
    },
    Category {
        id: "chocolate",
        popularity: 1.5,
        need: Need::Whim { per_day: 0.06 },
        skus: &[
            sku("chocolate-milk-100g", "Milk chocolate 100 g", 1.0, 149),
            sku("chocolate-dark-100g", "Dark chocolate 100 g", 1.0, 199),
        ],
    },
    Category {
        id: "wine",
        popularity: 0.8,
        need: Need::Whim { per_day: 0.04 },
        skus: &[
            sku("wine-red-75cl", "Red wine 0.75 l", 1.0, 699),
            sku("wine-white-75cl", "White wine 0.75 l", 1.0, 649),
        ],
    },
    Category {
        id: "batteries",
        popularity: 0.6,
        need: Need::Whim { per_day: 0.012 },
        skus: &[
            sku("batteries-aa-8", "Batteries AA, 8", 1.0, 599),
            sku("batteries-aaa-8", "Batteries AAA, 8", 1.0, 599),
        ],
    },
];

/// Where an article is in [`CATALOGUE`]: its category and its place in that, by the shop's number.
#[must_use]
pub fn find(sku: &str) -> Option<(usize, usize)> {
    let place = |(category, of): (usize, &Category)| {
        Some((category, of.skus.iter().position(|one| one.id == sku)?))
    };
    CATALOGUE.iter().enumerate().find_map(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_article_is_found_by_its_own_number() {
        for (category, of) in CATALOGUE.iter().enumerate() {
            assert!(!of.skus.is_empty(), "{}", of.id);
            for (place, sku) in of.skus.iter().enumerate() {
                assert_eq!(find(sku.id), Some((category, place)));
                assert!(sku.pack >= 1.0 && sku.price_cents > 0, "{sku:?}");
            }
        }
        assert_eq!(find("caviar"), None);
    }
}
