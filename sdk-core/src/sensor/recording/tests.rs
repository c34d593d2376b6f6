use super::*;
use protocol::consent::Modality;

fn fails(path: &Path, with: &str) {
    let error = open(path).unwrap_err().to_string();
    assert!(error.contains(with), "{error}");
}

#[test]
fn kinds_are_told_by_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fails(folder.path(), "holds neither EDA.csv nor IBI.csv");
    fails(&folder.path().join("absent.xyz"), "is no recording: expected");
    fails(&folder.path().join("absent.attune"), "cannot read");
    fs::write(folder.path().join("EDA.csv"), "1000.0\n4.0\n0.5\n0.6\n").unwrap();
    fs::write(folder.path().join("tags.csv"), "1000.25\nx\n7.0\n").unwrap();
    let e4 = open(folder.path()).unwrap();
    assert_eq!((e4.format(), e4.samples().len()), (Format::EmpaticaE4, 2));
    assert_eq!(e4.markers(), [Marker { label: "tag".into(), at: Nanos::from_millis(250) }]);
    let own = folder.path().join(attune::FILE_NAME);
    fs::write(&own, b"no").unwrap();
    fails(folder.path(), "recording.attune, offset 0: the first 16 bytes");
    fs::write(&own, attune::Recorder::default().header(0)).unwrap();
    assert_eq!(open(folder.path()).unwrap().format(), Format::Attune);
    assert_eq!(open(&own).unwrap().format(), Format::Attune);
}

#[test]
fn a_real_e4_folder_is_the_same_either_way() {
    let data = std::env::var_os("ATTUNE_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let folder = data.join("stress_predict/Raw_data/S02");
    let Ok(recording) = Recording::open(&folder) else {
        println!("skipped: no data");
        return;
    };
    let opened = open(&folder).unwrap();
    assert_eq!(opened.samples(), recording.samples());
    assert!((opened.duration_s() - recording.duration_s()).abs() < 1.0);
    let (ours, theirs) = (opened.slice(600.0, 60.0), recording.slice(600.0, 60.0));
    let eda = |samples: &[Sample]| samples.iter().filter(|s| s.modality == Modality::Eda).count();
    assert_eq!(eda(ours.samples()), eda(&theirs.samples()));
    assert_eq!(ours.start_unix_s(), theirs.start_unix_s);
}

#[cfg(feature = "offline")]
#[test]
fn files_of_other_makers_are_told_by_their_ending() {
    let folder = tempfile::tempdir().unwrap();
    let (avro, xdf) = (folder.path().join("1-1_2.avro"), folder.path().join("a.xdf"));
    fs::write(&xdf, b"XDF").unwrap();
    fails(&xdf, "a.xdf, offset 0: does not begin with \"XDF:\"");
    fs::write(&avro, b"Obj").unwrap();
    fails(&avro, "1-1_2.avro: record 0:");
    fails(folder.path(), "1-1_2.avro: record 0:");
}
