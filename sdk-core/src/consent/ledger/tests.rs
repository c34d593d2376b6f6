use super::*;
use crate::consent::{Collect, ConsentError, Infer, Refused};
use protocol::consent::{
    Controller, Modality, NoticeError, Purpose, Recipients, Retention, Setting, export,
};
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) const EDA: [(Modality, Purpose); 2] =
    [(Modality::Eda, Purpose::Collect), (Modality::Eda, Purpose::Infer)];

/// A disk that outlives the process on it, and fails when told.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    frames: Vec<Vec<u8>>,
    /// Operations until the process is killed; `None` = it lives on.
    lives_for: Option<usize>,
    full: bool,
    /// A failed append leaves its frames all the same.
    leaves_remains: bool,
    /// The next append is cut off in its last frame after so many bytes, and the process killed.
    tears_at: Option<usize>,
    forgotten: usize,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn stored(&self) -> Vec<Vec<u8>> {
        self.state().frames.clone()
    }

    pub fn fill(&self, full: bool) {
        self.state().full = full;
    }

    pub fn leave_remains(&self) {
        self.state().leaves_remains = true;
    }

    pub fn kill_after(&self, operations: usize) {
        self.state().lives_for = Some(operations);
    }

    pub fn forgotten(&self) -> usize {
        self.state().forgotten
    }

    /// Cuts the last frame to its first bytes, as a crash does.
    pub fn tear(&self, bytes: usize) {
        if let Some(last) = self.state().frames.last_mut() {
            last.truncate(bytes);
        }
    }

    pub fn kill_while_writing(&self, bytes: usize) {
        self.state().tears_at = Some(bytes);
    }

    fn operation(&self) -> Result<MutexGuard<'_, State>, FramesError> {
        let mut state = self.state();
        match &mut state.lives_for {
            Some(0) => return Err(FramesError::new("the process was killed")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(state)
    }

    pub fn open_with(&self, signer: &Arc<SigningKey>) -> Result<Opened, LedgerError> {
        {
            let mut state = self.state();
            (state.lives_for, state.tears_at, state.leaves_remains) = (None, None, false);
        }
        Ledger::open(Arc::clone(signer), &self.stored(), Box::new(self.clone()), self.forget())
    }

    pub fn open(&self) -> Result<Opened, LedgerError> {
        self.open_with(&key(1))
    }

    pub fn forget(&self) -> Forget {
        let disk = self.clone();
        Box::new(move || {
            disk.operation()?.forgotten += 1;
            Ok(())
        })
    }
}

impl Frames for Disk {
    fn append(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        let mut state = self.operation()?;
        if let Some(bytes) = state.tears_at.take() {
            state.lives_for = Some(0);
            let torn = frames.last().map(|last| last[..bytes.min(last.len() - 1)].to_vec());
            state.frames.extend(torn);
            return Err(FramesError::new("the process was killed"));
        }
        if !state.full || state.leaves_remains {
            state.frames.extend(frames.iter().map(|frame| frame.to_vec()));
        }
        if state.full { Err(FramesError::new("the disk is full")) } else { Ok(()) }
    }

    fn replace(&mut self, frames: &[&[u8]]) -> Result<(), FramesError> {
        let mut state = self.operation()?;
        if state.full || state.tears_at.take().is_some() {
            return Err(FramesError::new("the disk is full"));
        }
        state.frames = frames.iter().map(|frame| frame.to_vec()).collect();
        Ok(())
    }
}

pub(super) fn key(seed: u8) -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed(&[seed; 32]).unwrap())
}

pub(super) fn notice(version: &str) -> Notice {
    Notice {
        version: version.into(),
        language: "en".into(),
        text: "We measure your skin conductance.".into(),
        setting: Setting::Retail,
        controllers: vec![Controller {
            name: "Shop".into(),
            address: "Main Street 1".into(),
            contact: "privacy@shop.example".into(),
        }],
        recipients: Recipients { operator: "Shop".into(), third_parties: vec![] },
        storage_locations: vec!["the person's device".into()],
        retention: vec![Retention { purpose: Purpose::Share, days: 30 }],
        jurisdiction: "DE".into(),
        withdrawal_method: "Press Stop.".into(),
        privacy_rights: vec!["access".into()],
        authority: "The data protection authority of Hesse".into(),
    }
}

/// A ledger with its gate.
fn running(disk: &Disk) -> (Arc<Ledger>, Gate) {
    let ledger = disk.open().unwrap().ledger;
    let gate = ledger.gate(&notice("1")).unwrap();
    (ledger, gate)
}

fn collects(gate: &Gate) -> Result<(), Refused> {
    gate.permit::<Collect>(Modality::Eda).map(drop)
}

#[test]
fn c5_pause_grants_and_acknowledgement_survive_a_restart() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    let person = ledger.person();
    gate.grant(&EDA, None, 1).unwrap();
    gate.acknowledge(2).unwrap();
    gate.pause(3).unwrap();
    let (ledger, gate) = running(&disk);
    assert_eq!(ledger.person(), person);
    assert_eq!(collects(&gate), Err(Refused::Paused));
    gate.unpause(4).unwrap();
    assert_eq!(collects(&gate), Ok(()));
    assert!(gate.permit::<Infer>(Modality::Eda).is_ok());
    let epochs: Vec<u64> = ledger.receipts().iter().map(|r| r.record.epoch).collect();
    assert_eq!(epochs, [1, 2, 3, 4]);
}

#[test]
fn c6_a_restart_with_the_clock_set_back_extends_nothing() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    gate.grant(&EDA, Some(10_000), 0).unwrap();
    // Half a minute is not written down, but for the end of a grant.
    for now in [9_000, 10_000] {
        gate.tick(now);
        ledger.seen(now).unwrap();
    }
    let (_, gate) = running(&disk);
    gate.tick(5);
    assert_eq!(collects(&gate), Err(Refused::Expired));
}

#[test]
fn c6_the_latest_time_is_written_at_most_once_a_minute() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    gate.grant(&EDA, None, 0).unwrap();
    let before = disk.stored().len();
    (1..=180).for_each(|second| ledger.seen(second * 1_000).unwrap());
    assert_eq!(disk.stored().len() - before, 3);
    ledger.seen(i64::MIN).unwrap();
    ledger.seen(i64::MAX).unwrap();
    assert_eq!(disk.stored().len() - before, 4);
}

#[test]
fn years_of_minutes_do_not_fill_the_disk() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    gate.grant(&EDA, None, 0).unwrap();
    (1..=10_000).for_each(|minute| ledger.seen(minute * SEEN_EVERY_MS).unwrap());
    assert!(disk.stored().len() < MOST_SUPERSEDED + 10);
    let (ledger, gate) = running(&disk);
    assert_eq!((ledger.receipts().len(), collects(&gate)), (1, Ok(())));
}

#[test]
fn c11_a_prohibited_notice_has_no_gate() {
    let ledger = Disk::default().open().unwrap().ledger;
    for setting in [Setting::Workplace, Setting::Education] {
        let prohibited = Notice { setting, ..notice("1") };
        let error = ledger.gate(&prohibited).unwrap_err();
        assert!(matches!(error, LedgerError::Notice(NoticeError::Prohibited(_))), "{error}");
    }
}

#[test]
fn c11_a_new_notice_must_be_acknowledged_after_a_restart() {
    let disk = Disk::default();
    let (_, gate) = running(&disk);
    gate.grant(&EDA, None, 1).unwrap();
    gate.acknowledge(2).unwrap();
    let gate = disk.open().unwrap().ledger.gate(&notice("2")).unwrap();
    let refused = gate.permit::<Infer>(Modality::Eda).unwrap_err();
    assert_eq!(refused, Refused::NotAcknowledged);
}

#[test]
fn there_is_one_gate() {
    let (ledger, _gate) = running(&Disk::default());
    assert!(matches!(ledger.gate(&notice("1")), Err(LedgerError::GateTaken)));
}

/// Kills the process after each of its operations on disk in turn: the receipt, the destruction.
#[test]
fn c4_a_withdrawal_is_finished_at_the_next_start() {
    for operations in 0..=2 {
        let disk = Disk::default();
        let (_, gate) = running(&disk);
        gate.grant(&EDA, None, 1).unwrap();
        disk.kill_after(operations);
        let withdrawn = gate.withdraw(2);
        assert_eq!(withdrawn.is_ok(), operations == 2);
        assert!(collects(&gate).is_err(), "whatever the disk does, it has stopped");

        let opened = disk.open().unwrap();
        assert!(opened.not_forgotten.is_none());
        let gate = opened.ledger.gate(&notice("1")).unwrap();
        // Killed before anything was written, the call never happened; after that it holds.
        assert_eq!(collects(&gate).is_err(), operations >= 1);
        assert_eq!(disk.forgotten() >= 1, operations >= 1);
    }
}

#[test]
fn c4_nothing_is_granted_over_what_is_not_destroyed() {
    let disk = Disk::default();
    let (_, gate) = running(&disk);
    gate.grant(&EDA, None, 1).unwrap();
    disk.kill_after(1);
    assert!(matches!(gate.withdraw(2), Err(ConsentError::NotForgotten(_))));
    let stored = disk.stored();
    let stubborn: Forget = Box::new(|| Err(FramesError::new("the key store does not answer")));
    let opened =
        Ledger::open(key(1), &stored, Box::<crate::frames::MemoryFrames>::default(), stubborn);
    let opened = opened.unwrap();
    assert!(opened.not_forgotten.is_some());
    let gate = opened.ledger.gate(&notice("1")).unwrap();
    let refused = gate.grant(&EDA, None, 3).unwrap_err().to_string();
    assert!(refused.contains("the key store does not answer"), "{refused}");
    assert!(collects(&gate).is_err());
}

#[test]
fn c4_what_could_not_be_destroyed_is_destroyed_before_the_next_grant() {
    let answers = Arc::new(AtomicBool::new(false));
    let (asked, disk) = (Arc::clone(&answers), Disk::default());
    let key_store: Forget = Box::new(move || match asked.load(Ordering::SeqCst) {
        true => Ok(()),
        false => Err(FramesError::new("the key store does not answer")),
    });
    let opened = Ledger::open(key(1), &[], Box::new(disk), key_store).unwrap();
    let gate = opened.ledger.gate(&notice("1")).unwrap();
    gate.grant(&EDA, None, 1).unwrap();
    assert!(matches!(gate.withdraw(2), Err(ConsentError::NotForgotten(_))));
    assert!(matches!(gate.grant(&EDA, None, 3), Err(ConsentError::NotGranted(_))));
    answers.store(true, Ordering::SeqCst);
    gate.grant(&EDA, None, 4).unwrap();
    assert_eq!(collects(&gate), Ok(()));
}

#[test]
fn c4_a_withdrawal_that_was_finished_is_not_done_again() {
    let disk = Disk::default();
    let (_, gate) = running(&disk);
    gate.grant(&EDA, None, 1).unwrap();
    gate.withdraw(2).unwrap();
    assert_eq!(disk.forgotten(), 1);
    drop(disk.open().unwrap());
    assert_eq!(disk.forgotten(), 1, "what was kept since then stays");
}

#[test]
fn c8_a_full_disk_leaves_a_chain_that_holds() {
    for leaves_remains in [false, true] {
        let disk = Disk::default();
        let (ledger, gate) = running(&disk);
        gate.grant(&EDA, None, 1).unwrap();
        disk.fill(true);
        if leaves_remains {
            disk.leave_remains();
        }
        assert!(gate.grant(&EDA, None, 2).is_err());
        assert!(gate.pause(3).is_err());
        assert!(gate.unpause(4).is_err());
        assert!(gate.withdraw(5).is_err());
        assert_eq!(ledger.receipts().len(), 1);
        disk.fill(false);
        gate.withdraw(6).unwrap();
        // Stopped twice, stopped a third time: all three are in the chain, the failed grants not.
        let states: Vec<ConsentState> = ledger.receipts().iter().map(|r| r.record.state).collect();
        use ConsentState::{Given, Paused, Withdrawn};
        assert_eq!(states, [Given, Paused, Withdrawn, Withdrawn]);
        let (again, _) = running(&disk);
        assert_eq!(again.receipts(), ledger.receipts());
    }
}

#[test]
fn c8_a_first_write_that_was_torn_is_written_once() {
    let disk = Disk::default();
    drop(disk.open().unwrap());
    disk.tear(5);
    let (ledger, gate) = running(&disk);
    gate.grant(&EDA, None, 1).unwrap();
    let opened = disk.open().unwrap();
    assert!(!opened.torn);
    assert_eq!(opened.ledger.person(), ledger.person());
    assert_eq!(opened.ledger.receipts(), ledger.receipts());
}

#[test]
fn c8_a_torn_end_is_left_out_and_damage_before_it_is_not() {
    let disk = Disk::default();
    let (_, gate) = running(&disk);
    gate.grant(&EDA, None, 1).unwrap();
    gate.pause(2).unwrap();
    disk.tear(100);
    let opened = disk.open().unwrap();
    assert!(opened.torn);
    assert_eq!(opened.ledger.receipts().len(), 1);
    // The torn frame is gone from the disk: what is written after it can be read.
    let gate = opened.ledger.gate(&notice("1")).unwrap();
    gate.withdraw(3).unwrap();
    assert_eq!(disk.open().unwrap().ledger.receipts().len(), 2);

    disk.state().frames[2].truncate(9);
    let error = disk.open().unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { entry: 3, of: 6 }), "{error}");
}

#[test]
fn c8_a_changed_ledger_permits_nothing_until_begun_anew() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    let person = ledger.person();
    gate.pause(1).unwrap();
    gate.grant(&EDA, None, 2).unwrap();
    let changed = String::from_utf8(disk.stored()[3].clone()).unwrap();
    let changed = changed.replace("collect", "share");
    disk.state().frames[3] = changed.into_bytes();
    let error = disk.open().unwrap_err();
    assert!(matches!(error, LedgerError::Broken(ChainError::Signature { epoch: 2 })), "{error}");
    assert!(error.to_string().contains("begin anew"), "{error}");

    let broken = disk.stored();
    let anew = Ledger::begin_anew(key(1), &broken, Box::new(disk.clone()), disk.forget()).unwrap();
    assert_eq!(disk.forgotten(), 1, "what was kept under consent nobody knows is destroyed");
    assert_ne!(anew.ledger.person(), person);
    let gate = anew.ledger.gate(&notice("1")).unwrap();
    assert!(collects(&gate).is_err());
    gate.grant(&EDA, None, 3).unwrap();
    let again = disk.open().unwrap().ledger;
    assert_eq!(again.receipts().len(), 1);
    // The evidence is still there, byte by byte, also after everything was written anew.
    again.lock().tidy().unwrap();
    let kept: Vec<Vec<u8>> = disk.stored().iter().map(|frame| frame[1..].to_vec()).collect();
    assert_eq!(kept[..broken.len()], broken);
}

#[test]
fn c8_two_writers_are_found() {
    let disk = Disk::default();
    running(&disk);
    let ((_, first), (_, second)) = (running(&disk), running(&disk));
    first.grant(&EDA, None, 1).unwrap();
    second.grant(&EDA, None, 1).unwrap();
    let error = disk.open().unwrap_err().to_string();
    assert!(error.contains("two programs wrote it at once"), "{error}");
}

#[test]
fn c8_a_ledger_of_another_device_is_refused() {
    let disk = Disk::default();
    let (_, gate) = running(&disk);
    gate.grant(&EDA, None, 1).unwrap();
    assert!(matches!(disk.open_with(&key(2)), Err(LedgerError::OtherDevice { .. })));
}

#[test]
fn c8_the_servers_signature_is_checked_pinned_and_kept() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    gate.grant(&EDA, None, 1).unwrap();
    gate.pause(2).unwrap();
    let receipts = ledger.receipts();
    let head = |index: usize, server: u8| Head::sign(&receipts[index], 9, &key(server)).unwrap();

    let forged = Head { epoch: 2, ..head(0, 9) };
    assert!(matches!(ledger.countersigned(forged), Err(LedgerError::Head(ChainError::Head))));
    let mut other = receipts[1].clone();
    other.record.at_unix_ms += 1;
    let forked = Head::sign(&other, 9, &key(9)).unwrap();
    let error = ledger.countersigned(forked).unwrap_err();
    assert!(matches!(error, LedgerError::Head(ChainError::Forked { epoch: 2 })), "{error}");
    other.record.epoch = 3;
    let ahead = Head::sign(&other, 9, &key(9)).unwrap();
    let error = ledger.countersigned(ahead).unwrap_err();
    let missing = ChainError::Truncated { seen: 3, found: 2 };
    assert!(matches!(&error, LedgerError::Head(e) if *e == missing), "{error}");
    other.record.epoch = 0;
    let before = Head::sign(&other, 9, &key(9)).unwrap();
    assert!(matches!(ledger.countersigned(before), Err(LedgerError::Head(ChainError::Head))));
    other.record.person = Uuid::nil();
    let foreign = Head::sign(&other, 9, &key(9)).unwrap();
    assert!(matches!(ledger.countersigned(foreign), Err(LedgerError::Head(ChainError::Head))));
    assert_eq!(ledger.head(), None);

    ledger.countersigned(head(1, 9)).unwrap();
    ledger.countersigned(head(0, 9)).unwrap();
    let (ledger, _) = running(&disk);
    assert_eq!(ledger.head(), Some(head(1, 9)), "the newest, also after a restart");
    let error = ledger.countersigned(head(1, 8)).unwrap_err();
    assert!(matches!(error, LedgerError::OtherServer { .. }), "{error}");
}

#[test]
fn c8_an_end_cut_off_is_found_against_the_kept_signature() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    gate.grant(&EDA, None, 1).unwrap();
    gate.withdraw(2).unwrap();
    ledger.countersigned(Head::sign(&ledger.receipts()[1], 9, &key(9)).unwrap()).unwrap();
    disk.state().frames.remove(3);
    let error = disk.open().unwrap_err();
    let missing = ChainError::Truncated { seen: 2, found: 1 };
    assert!(matches!(&error, LedgerError::Broken(e) if *e == missing), "{error}");
}

#[test]
fn c7_the_export_of_a_ledger_holds() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    assert_eq!(ledger.export().unwrap_err(), ExportError::Empty);
    gate.grant(&EDA, Some(3_600_000), 1).unwrap();
    ledger.countersigned(Head::sign(&ledger.receipts()[0], 9, &key(9)).unwrap()).unwrap();
    let gate = disk.open().unwrap().ledger;
    let (ledger, gate) = (Arc::clone(&gate), gate.gate(&notice("2")).unwrap());
    gate.acknowledge(2).unwrap();
    let file = serde_json::to_vec(&ledger.export().unwrap()).unwrap();
    let report = export::verify_export(&file).unwrap();
    assert_eq!((report.receipts, report.person), (2, ledger.person()));
    let confirmed = report.confirmed.unwrap();
    assert_eq!((confirmed.receipts, confirmed.to_the_end), (1, false));
}

#[test]
fn c12_a_ledger_prints_nothing_of_the_person() {
    let (ledger, gate) = running(&Disk::default());
    let printed = format!("{ledger:?} {:?}", Arc::clone(&ledger) as Arc<dyn Witness>);
    assert!(!printed.contains(&gate.record().person.to_string()));
    assert!(!printed.contains("skin"));
}

#[test]
fn what_the_server_lacks_comes_in_batches() {
    let disk = Disk::default();
    let (ledger, gate) = running(&disk);
    (0..MAX_BATCH_RECEIPTS + 2).for_each(|_| drop(gate.pause(1).unwrap()));
    let first = ledger.receipts_after(0);
    assert_eq!(first.len(), MAX_BATCH_RECEIPTS);
    assert_eq!(ledger.receipts_after(MAX_BATCH_RECEIPTS as u64).len(), 2);
    assert!(ledger.receipts_after(u64::MAX).is_empty());
}
