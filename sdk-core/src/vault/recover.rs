//! What earlier openings of a log left on disk.

use super::{
    Lifetime, VaultError,
    files::{self, failed},
    log::{DamagedSegment, Opened},
    root::{Root, State},
    segment::{
        BadHeader, HEADER_BYTES, Header, Kind, OpenError, Opener, Step, read_up_to, zeros_to_end,
    },
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

/// Digits of the number in a file name.
const DIGITS: usize = 8;

/// Where a segment is: `seg`, or `new` while a rewrite is not complete.
pub(super) fn path(folder: &Path, name: &str, number: u32, extension: &str) -> PathBuf {
    folder.join(format!("{name}.{number:0DIGITS$}.{extension}"))
}

/// Everything a log holds: what was opened, the sizes of its segments and the highest number.
pub(super) type Found = (Opened, BTreeMap<u32, u64>, u32);

/// Reads what a log holds, and tidies up after whatever ended the earlier openings.
pub(super) fn read(
    root: &Root,
    state: &mut State,
    name: &str,
    lifetime: Lifetime,
) -> Result<Found, VaultError> {
    let (numbers, unfinished) = list(root.folder(), name)?;
    // Deleting is tidiness: what is left over is ignored just as well.
    unfinished.iter().for_each(|path| drop(files::remove(path)));
    let mut segments = Vec::new();
    for number in &numbers {
        segments.push(Stored::open(root.folder(), name, *number, lifetime)?);
    }
    let replaced = segments.iter().filter_map(|s| Some(s.header.as_ref()?.0.supersedes)).max();
    let replaced = replaced.unwrap_or(0);
    let superseded = numbers.iter().filter(|number| **number < replaced);
    let mut tidy = true;
    for number in superseded {
        tidy &= files::remove(&path(root.folder(), name, *number, "seg")).is_ok();
    }
    // The one that replaces may go only once it is certain that the replaced do not come back.
    tidy &= files::sync_folder(root.folder()).is_ok();

    let mut opened = Opened::default();
    let mut sizes = BTreeMap::new();
    for segment in segments.into_iter().filter(|segment| segment.number >= replaced) {
        let replaces = segment.header.as_ref().is_some_and(|(header, _)| header.supersedes > 0);
        let (number, path) = (segment.number, segment.path.clone());
        let contents = segment.read(root, state, name, &mut opened)?;
        let bytes = match contents {
            Contents::Nothing if !replaces || tidy => {
                if files::remove(&path).is_ok() {
                    continue;
                }
                HEADER_BYTES as u64
            }
            Contents::Nothing => HEADER_BYTES as u64,
            Contents::Whole(bytes) => bytes,
            Contents::Torn(bytes) => {
                // Tidiness too: a tail that cannot be cut is passed over each time.
                let file = File::options().write(true).open(&path);
                let _ = file.and_then(|file| file.set_len(bytes).and_then(|()| file.sync_data()));
                bytes
            }
        };
        sizes.insert(number, bytes);
    }
    Ok((opened, sizes, numbers.last().copied().unwrap_or(0)))
}

/// The numbers of a log's segments, ascending, and its unfinished rewrites.
fn list(folder: &Path, name: &str) -> Result<(Vec<u32>, Vec<PathBuf>), VaultError> {
    let (mut numbers, mut unfinished) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let entry = entry.map_err(failed("read", folder))?;
        let file_name = entry.file_name();
        let parts = file_name.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('.'));
        let Some((digits, extension)) = parts.and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        match (extension, digits.parse()) {
            ("seg", Ok(number)) => numbers.push(number),
            ("new", Ok(_)) => unfinished.push(entry.path()),
            _ => {}
        }
    }
    numbers.sort_unstable();
    Ok((numbers, unfinished))
}

/// A segment of an earlier opening.
struct Stored {
    path: PathBuf,
    number: u32,
    file: BufReader<File>,
    bytes: u64,
    /// With its bytes; `None` when they make no header of this segment.
    header: Option<(Header, [u8; HEADER_BYTES])>,
    /// Where the header should be there are only zeros.
    blank: bool,
}

enum Contents {
    /// No frame, and nothing that could have been one.
    Nothing,
    /// So many bytes on disk.
    Whole(u64),
    /// To be cut to so many bytes.
    Torn(u64),
}

impl Stored {
    fn open(
        folder: &Path,
        name: &str,
        number: u32,
        lifetime: Lifetime,
    ) -> Result<Self, VaultError> {
        let path = path(folder, name, number, "seg");
        let file = File::open(&path).map_err(failed("read", &path))?;
        let bytes = file.metadata().map_err(failed("read", &path))?.len();
        let mut file = BufReader::new(file);
        let mut raw = [0; HEADER_BYTES];
        let got = read_up_to(&mut file, &mut raw).map_err(failed("read", &path))?;
        let header = match Header::decode(&raw) {
            Err(BadHeader::Version(found)) => return Err(VaultError::Version { path, found }),
            Ok(header) if got == HEADER_BYTES => {
                let place = (header.kind, header.lifetime, header.number);
                let own = place == (Kind::Segment, lifetime, number) && header.supersedes <= number;
                own.then_some((header, raw))
            }
            _ => None,
        };
        let blank = raw == [0; HEADER_BYTES];
        Ok(Self { path, number, file, bytes, header, blank })
    }

    fn read(
        mut self,
        root: &Root,
        state: &mut State,
        name: &str,
        opened: &mut Opened,
    ) -> Result<Contents, VaultError> {
        let Some((header, raw)) = self.header else {
            // A file system may keep the length of what it lost, filled with zeros.
            let rest = zeros_to_end(&mut self.file).map_err(failed("read", &self.path))?;
            if self.bytes < HEADER_BYTES as u64 || (self.blank && rest.0) {
                opened.torn_bytes += self.bytes;
                return Ok(Contents::Nothing);
            }
            let path = self.path;
            opened.damaged_segments.push(DamagedSegment { path, offset: 0, bytes: self.bytes });
            return Ok(Contents::Whole(self.bytes));
        };
        let key = root.key_to_read(state, &header, name)?.ok_or_else(|| root.gone())?;
        let mut opener = Opener::new(self.file, raw);
        let frames_before = opened.frames.len();
        let mut damage: Option<DamagedSegment> = None;
        let mut torn = 0;
        loop {
            let offset = opener.offset();
            let step = opener.next(&key).map_err(|error| match error {
                OpenError::Disk(source) => failed("read", &self.path)(source).into(),
                OpenError::Vault(error) => error,
            })?;
            let (bytes, more) = match step {
                Step::Frame { plaintext, .. } => {
                    opened.frames.push(plaintext);
                    continue;
                }
                Step::End => break,
                Step::Torn { bytes } => {
                    torn = bytes;
                    break;
                }
                Step::Unreadable { bytes } => (bytes, true),
                Step::Lost { bytes } => (bytes, false),
            };
            let fresh = || DamagedSegment { path: self.path.clone(), offset, bytes: 0 };
            damage.get_or_insert_with(fresh).bytes += bytes;
            if !more {
                break;
            }
        }
        opened.torn_bytes += torn;
        let nothing = opened.frames.len() == frames_before && damage.is_none();
        opened.damaged_segments.extend(damage);
        Ok(match torn {
            _ if nothing => Contents::Nothing,
            0 => Contents::Whole(self.bytes),
            torn => Contents::Torn(self.bytes.saturating_sub(torn)),
        })
    }
}
