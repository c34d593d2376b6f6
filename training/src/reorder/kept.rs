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
    use crate::reorder::Snapshot;
    use models::{
        profile::{Fact, Source},
        reorder::{ORDER, left_alone},
    };

    fn fact(day: i64, category: &str, units: f64, name: &str) -> Fact {
        Fact {
            source: Source::Conversion,
            name: name.into(),
            at_unix_ms: day * 86_400_000,
            known_unix_ms: 0,
            count: 1,
            value: None,
            number: Some(units),
            item: None,
            category: Some(category.into()),
        }
    }

    #[test]
    fn who_gets_orders_teaches_only_by_what_they_were_left_alone_with() {
        let drawn = |name: &String| left_alone("served", name, 20);
        let name = |n: u32| format!("tea-{n}");
        let alone = (0..).map(name).find(drawn).unwrap();
        let asked = (0..).map(name).find(|name| !drawn(name)).unwrap();
        let (mut own, mut served) = (Consumption::default(), Consumption::default());
        for day in [0, 10, 20, 30] {
            for category in [&alone, &asked] {
                own.apply(&fact(day, category, 1.0, "store_purchase"), 0);
                served.apply(&fact(day, category, 1.0, "store_purchase"), 0);
            }
        }
        served.apply(&fact(25, &asked, 1.0, ORDER), 0);
        let ledger =
            Ledger::of_people([("own".to_owned(), &own), ("served".to_owned(), &served)]).unwrap();
        let rows = |day| {
            let cut = Snapshot::at(&ledger, day, 7);
            let mut rows = Vec::new();
            cut.each(&cut.pairs(2), |pair, subject| {
                let category = ledger.customers[pair.customer].categories[pair.slot].0;
                let days: Vec<i32> = subject.bought.iter().map(|one| one.day).collect();
                rows.push((pair.customer, ledger.categories[category] == alone, days));
            });
            rows
        };
        assert_eq!(rows(17).len(), 4, "nobody had an order within the week");
        let expected = [(0, vec![0, 10, 20]), (0, vec![0, 10, 20]), (1, vec![0, 10, 20])];
        let found = rows(22);
        assert_eq!(found.iter().map(|row| (row.0, row.2.clone())).collect::<Vec<_>>(), expected);
        assert!(found[2].1);
    }

    #[test]
    fn the_same_purchases_make_the_same_ledger_as_from_a_file() {
        let file = "customer,date,category,quantity\n\
                    a,1970-01-03,tea,2\na,1970-01-03,milk,1\na,1970-01-09,tea,1\nb,1970-01-05,milk,4\n";
        let bought = |day, category: &str, units| fact(day, category, units, "store_purchase");
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
