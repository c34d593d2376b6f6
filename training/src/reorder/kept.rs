//! Purchases as a server keeps them, person by person.

use super::{Ledger, LedgerError, ledger::Customer};
use models::reorder::Consumption;
use std::collections::BTreeSet;

impl Ledger {
    /// What people buy. Ids are any that tell them apart, given in their order.
    ///
    /// # Errors
    /// [`LedgerError::Empty`] where nobody buys anything.
    pub fn of_people<'a>(
        people: impl IntoIterator<Item = (String, &'a Consumption)> + Clone,
    ) -> Result<Self, LedgerError> {
        let names: BTreeSet<&str> = people
            .clone()
            .into_iter()
            .flat_map(|(_, consumption)| consumption.categories().map(|(name, _)| name))
            .collect();
        let categories: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let customer = |(id, consumption): (String, &Consumption)| {
            let place = |name: &str| categories.partition_point(|other| other.as_str() < name);
            let own = consumption.categories();
            Customer::with(id, own.map(|(name, own)| (place(name), own.bought().clone())).collect())
        };
        let customers = people.into_iter().map(customer).collect();
        Self::of(customers, categories)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::profile::{Fact, Source};

    #[test]
    fn the_same_purchases_make_the_same_ledger_as_from_a_file() {
        let file = "customer,date,category,quantity\n\
                    a,1970-01-03,tea,2\na,1970-01-03,milk,1\na,1970-01-09,tea,1\nb,1970-01-05,milk,4\n";
        let bought = |day: i64, category: &str, units: f64| Fact {
            source: Source::Conversion,
            name: "store_purchase".into(),
            at_unix_ms: day * 86_400_000,
            known_unix_ms: 0,
            count: 1,
            value: None,
            number: Some(units),
            item: None,
            category: Some(category.into()),
        };
        let (mut a, mut b) = (Consumption::default(), Consumption::default());
        for (day, category, units) in [(2, "tea", 2.0), (2, "milk", 1.0), (8, "tea", 1.0)] {
            a.apply(&bought(day, category, units), 0);
        }
        b.apply(&bought(4, "milk", 4.0), 0);
        let people = [("a".to_owned(), &a), ("b".to_owned(), &b)];
        let ledger = Ledger::of_people(people).unwrap();
        assert_eq!(ledger, Ledger::read(file.as_bytes()).unwrap());
        let nobody: [(String, &Consumption); 0] = [];
        assert!(matches!(Ledger::of_people(nobody), Err(LedgerError::Empty)));
    }
}
