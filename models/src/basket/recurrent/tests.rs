//! The file. That it computes what its trainer did is tested beside the trainer.

use super::*;
use proptest::prelude::*;

fn knots() -> Vec<f32> {
    (0..FEATURES.len()).flat_map(|_| (0..KNOTS).map(|knot| knot as f32)).collect()
}

fn networks(items: usize) -> Networks {
    let quantiles = Quantiles::new(knots()).unwrap();
    let table = (0..items * EMBEDDING).map(|value| value as f32).collect();
    Networks::new(quantiles, table, b"step".to_vec(), b"pairs".to_vec()).unwrap()
}

#[test]
fn the_file_is_read_as_it_was_written() {
    let bytes = networks(3).to_bytes();
    let again = Networks::from_bytes(&bytes).unwrap();
    assert_eq!(again, networks(3));
    assert_eq!(again.to_bytes(), bytes);
    let text = serde_json::to_string(&again).unwrap();
    assert_eq!(serde_json::from_str::<Networks>(&text).unwrap(), again);
    for wrong in ["\"6\"", "\"6x\"", "\"é\""] {
        assert!(serde_json::from_str::<Networks>(wrong).is_err(), "{wrong}");
    }
    assert_eq!((again.item(2)[0], again.item(3)[0], again.item(u32::MAX)[0]), (64.0, 0.0, 0.0));
}

#[test]
fn what_is_wrong_is_named() {
    let good = networks(2).to_bytes();
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let error = Networks::from_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|bytes| bytes.clear(), "no recurrent model");
    check(&|bytes| bytes[8] = 2, "no recurrent model");
    check(&|bytes| bytes[16] = 1, "no recurrent model");
    check(&|bytes| bytes[12] = 3, "length");
    check(&|bytes| bytes[12..16].fill(0xFF), "no recurrent model");
    check(&|bytes| bytes[24..28].fill(0xFF), "length");
    check(&|bytes| bytes.push(0), "length");
    check(&|bytes| bytes[28..32].copy_from_slice(&f32::NAN.to_le_bytes()), "border");
    let table = good.len() - "step".len() - "pairs".len() - 4;
    let infinite = f32::INFINITY.to_le_bytes();
    check(&|bytes| bytes[table..table + 4].copy_from_slice(&infinite), "table");
}

#[test]
fn what_is_no_network_is_told() {
    let error = Recurrent::new(networks(1)).unwrap_err();
    let is_expected = match error {
        RecurrentError::Network(_) => cfg!(feature = "intent"),
        error => error == RecurrentError::Absent,
    };
    assert!(is_expected);
}

proptest! {
    #[test]
    fn any_bytes_are_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Networks::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_damage_is_no_harm(
        items in 0_usize..4,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = networks(items).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // Damage that leaves a model whole leaves its bytes as they were read.
        if let Ok(read) = Networks::from_bytes(&bytes) {
            prop_assert_eq!(&read.to_bytes(), &bytes);
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(Networks::from_bytes(&bytes).is_err());
    }
}
