//! One file of the log: its name and its first bytes.

/// Whose log it is. A file of another disk or cluster is never replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Random, made when the cluster was.
    pub cluster: [u8; 16],
    /// Random, made when the data directory was.
    pub disk: [u8; 16],
}

/// Length of the header in bytes.
pub(super) const HEADER: usize = 64;
const MAGIC: &[u8; 8] = b"CATENALG";
const VERSION: u32 = 2;
const SUFFIX: &str = ".log";

/// The name of file `number`.
pub(super) fn name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The number in a name; none if it is not one of ours.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// The first bytes of file `number`.
pub(super) fn header(identity: Identity, number: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&number.to_le_bytes());
    bytes[20..36].copy_from_slice(&identity.cluster);
    bytes[36..52].copy_from_slice(&identity.disk);
    let crc = crc32fast::hash(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What is wrong with the first bytes of a file.
#[derive(Debug)]
pub(super) enum BadHeader {
    /// Cut short or damaged.
    Damaged(&'static str),
    /// Whole, but of somebody else.
    Foreign(String),
}

/// Whether `bytes` begin with the header of file `number`.
pub(super) fn check(bytes: &[u8], identity: Identity, number: u64) -> Result<(), BadHeader> {
    let Some(found) = bytes.get(..HEADER) else {
        return Err(BadHeader::Damaged("its header is cut short"));
    };
    let expected = header(identity, number);
    if found == expected {
        return Ok(());
    }
    let crc = crc32fast::hash(&found[..HEADER - 4]).to_le_bytes();
    if found[..8] != MAGIC[..] || found[HEADER - 4..] != crc {
        return Err(BadHeader::Damaged("its header does not match its checksum"));
    }
    Err(BadHeader::Foreign(difference(found, &expected)))
}

fn difference(found: &[u8], expected: &[u8]) -> String {
    let fields = [
        (8..12, "its format version is not 2, the one that this program writes"),
        (12..20, "it has the number of another file"),
        (20..36, "it was written by another cluster"),
        (36..52, "it was written in another data directory"),
    ];
    let differing = fields.into_iter().find(|(at, _)| found[at.clone()] != expected[at.clone()]);
    differing.map_or("it has unknown fields", |(_, why)| why).to_owned()
}
