//! The data directory: who uses it, and whose data it holds.
//!
//! ```text
//! lock       held by the one process that uses the directory
//! founding   node and disk, from the first start until there is a cluster
//! identity   node, disk and cluster, from then on
//! boot       a number for the last start of the process
//! log/       the write-ahead log
//! state/     the storage engine
//! ```

use crate::error::Error;
use crate::log;
use catena_protocol::placement::Member;
use catena_protocol::{ClusterId, DiskId, NodeId};
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

const IDENTITY: &str = "catena-storage 2";
const FOUNDING: &str = "catena-founding 1";

/// A data directory that this process alone uses.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Whose data a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The cluster, and the disk that this directory is.
    pub(crate) ids: log::Identity,
    pub(crate) node: NodeId,
    pub(crate) partitions: u16,
    pub(crate) replicas: u8,
    /// Who founded the cluster. This node is among them, but on another disk if the one that it
    /// was founded with is gone.
    pub(crate) members: Vec<Member>,
    /// Whether the log was begun: from then on a directory without one has lost it.
    pub(crate) begun: bool,
}

impl DataDirectory {
    /// Takes the directory, making it if it is not there.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(failed("create", path))?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed("lock", &lock_path)(source)),
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    fn identity(&self) -> PathBuf {
        self.path.join("identity")
    }

    fn founding(&self) -> PathBuf {
        self.path.join("founding")
    }

    /// Whose data it holds; none: nobody's yet.
    pub(crate) fn owner(&self) -> Result<Option<Owner>, Error> {
        match self.read(self.identity(), parse_owner)? {
            Some(owner) => Ok(Some(owner)),
            None => self.must_be_empty(),
        }
    }

    /// As whom it announced itself while it is nobody's; none: it never did.
    pub(crate) fn candidate(&self) -> Result<Option<Member>, Error> {
        self.read(self.founding(), parse_candidate)
    }

    fn read<T>(
        &self,
        path: PathBuf,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, Error> {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let parsed = unseal(&text).and_then(parse);
                parsed.map(Some).map_err(|why| Error::Identity { path, why: why.to_owned() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// A directory with data but without a name is not a new one.
    fn must_be_empty(&self) -> Result<Option<Owner>, Error> {
        if self.log().exists() || self.state().exists() {
            let why = "it is missing, but there is data beside it".to_owned();
            return Err(Error::Identity { path: self.identity(), why });
        }
        Ok(None)
    }

    /// A number for this start of the process, larger than that of every start before, durably.
    /// It goes with the wall clock, but not back with it.
    pub(crate) fn next_boot(&self, wall_us: u64) -> Result<u64, Error> {
        let path = self.path.join("boot");
        let before: u64 = match std::fs::read_to_string(&path) {
            Ok(text) => unseal(&text).ok().and_then(|body| body.trim().parse().ok()).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let boot = wall_us.max(before + 1);
        self.write(&path, &format!("{boot}\n"))?;
        Ok(boot)
    }

    /// Says, durably, whose data it holds.
    pub(crate) fn set_owner(&self, owner: &Owner) -> Result<(), Error> {
        self.write(&self.identity(), &render_owner(owner))?;
        // Where there is an identity nobody looks at this any more.
        let _ = std::fs::remove_file(self.founding());
        Ok(())
    }

    /// Says, durably, as whom it announces itself.
    pub(crate) fn set_candidate(&self, candidate: &Member) -> Result<(), Error> {
        self.write(&self.founding(), &render_candidate(candidate))
    }

    fn write(&self, path: &Path, body: &str) -> Result<(), Error> {
        let new = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(seal(body).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(failed("write", path))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Data { doing, path, source }
}

fn seal(body: &str) -> String {
    format!("{body}crc32 {:08x}\n", crc32fast::hash(body.as_bytes()))
}

fn unseal(text: &str) -> Result<&str, &'static str> {
    let (body, sum) = text.rfind("crc32 ").map(|at| text.split_at(at)).ok_or("it is cut short")?;
    let sum = sum.strip_prefix("crc32 ").map(str::trim_end).unwrap_or_default();
    if u32::from_str_radix(sum, 16) == Ok(crc32fast::hash(body.as_bytes())) {
        Ok(body)
    } else {
        Err("it does not match its checksum")
    }
}

fn render_owner(owner: &Owner) -> String {
    let member = |member: &Member| format!("member {} {}\n", member.node, member.disk);
    format!(
        "{IDENTITY}\nnode {}\ndisk {}\ncluster {}\npartitions {}\nreplicas {}\nbegun {}\n{}",
        owner.node,
        hex(&owner.ids.disk),
        hex(&owner.ids.cluster),
        owner.partitions,
        owner.replicas,
        owner.begun,
        owner.members.iter().map(member).collect::<String>()
    )
}

fn parse_owner(body: &str) -> Result<Owner, &'static str> {
    let mut fields = Fields::of(IDENTITY, body)?;
    let node = fields.take("node ").ok_or("it names no node")?;
    let disk: DiskId = fields.take("disk ").ok_or("it names no disk")?;
    let cluster: ClusterId = fields.take("cluster ").ok_or("it names no cluster")?;
    let partitions = fields.take("partitions ").filter(|partitions| *partitions > 0);
    let partitions = partitions.ok_or("it names no number of partitions")?;
    let replicas = fields.take("replicas ").filter(|replicas| *replicas > 0);
    let replicas = replicas.ok_or("it names no number of replicas")?;
    let begun = fields.take("begun ").ok_or("it does not say whether the log was begun")?;
    let members: Option<Vec<Member>> = fields.0.map(parse_member).collect();
    let members = members.filter(|members| members.iter().any(|member| member.node == node));
    let members = members.ok_or("it does not name the members")?;
    let ids = log::Identity { cluster: cluster.0, disk: disk.0 };
    Ok(Owner { ids, node, partitions, replicas, members, begun })
}

fn parse_member(line: &str) -> Option<Member> {
    let (node, disk) = line.strip_prefix("member ")?.split_once(' ')?;
    Some(Member { node: node.parse().ok()?, disk: disk.parse().ok()? })
}

fn render_candidate(candidate: &Member) -> String {
    format!("{FOUNDING}\nnode {}\ndisk {}\n", candidate.node, candidate.disk)
}

fn parse_candidate(body: &str) -> Result<Member, &'static str> {
    let mut fields = Fields::of(FOUNDING, body)?;
    let node = fields.take("node ").ok_or("it names no node")?;
    let disk = fields.take("disk ").ok_or("it names no disk")?;
    Ok(Member { node, disk })
}

/// Lines of name and value, in a fixed order.
struct Fields<'a>(std::str::Lines<'a>);

impl<'a> Fields<'a> {
    fn of(format: &str, body: &'a str) -> Result<Self, &'static str> {
        let mut lines = body.lines();
        if lines.next() == Some(format) {
            Ok(Self(lines))
        } else {
            Err("it has another format than this program knows")
        }
    }

    fn take<T: FromStr>(&mut self, name: &str) -> Option<T> {
        self.0.next()?.strip_prefix(name)?.parse().ok()
    }
}

/// An id as text.
pub(crate) fn hex(id: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: &str, disk: u8) -> Member {
        Member { node: NodeId::new(node).unwrap(), disk: DiskId([disk; 16]) }
    }

    fn owner() -> Owner {
        let node = NodeId::new("storage-2").unwrap();
        let ids = log::Identity { cluster: [7; 16], disk: [0xfe; 16] };
        let members = vec![member("storage-1", 1), member("storage-2", 2), member("storage-3", 3)];
        Owner { ids, node, partitions: 64, replicas: 3, members, begun: false }
    }

    /// Whole files, checksums among them, as `storage/FORMAT.md` shows them.
    #[test]
    fn the_bytes_of_the_files_are_pinned() {
        let disk: DiskId = "fedcba9876543210fedcba9876543210".parse().unwrap();
        let other = |node, disk: &str| Member { disk: disk.parse().unwrap(), ..member(node, 0) };
        let me = Member { disk, ..member("storage-1", 0) };
        let cluster: ClusterId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let owner = Owner {
            ids: log::Identity { cluster: cluster.0, disk: disk.0 },
            node: me.node.clone(),
            members: vec![
                me.clone(),
                other("storage-2", "112233445566778899aabbccddeeff00"),
                other("storage-3", "00ffeeddccbbaa998877665544332211"),
            ],
            begun: true,
            ..owner()
        };
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::take(folder.path()).unwrap();
        let format = include_str!("../FORMAT.md");
        let is_as_shown = |file: &str| {
            let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
            let shown = format!("```text\n{text}```\n");
            assert!(format.contains(&shown), "`{file}` is not in FORMAT.md:\n{text}");
        };
        directory.set_candidate(&me).unwrap();
        is_as_shown("founding");
        directory.set_owner(&owner).unwrap();
        is_as_shown("identity");
        assert_eq!(directory.next_boot(1_790_000_000_000_123).unwrap(), 1_790_000_000_000_123);
        is_as_shown("boot");
    }

    #[test]
    fn an_owner_is_kept_and_damage_is_seen() {
        let text = seal(&render_owner(&owner()));
        let parse = |text: &str| unseal(text).and_then(parse_owner);
        assert_eq!(parse(&text), Ok(owner()));
        for at in 0..text.len() - 1 {
            assert!(parse(&text[..at]).is_err(), "cut at {at}");
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let damaged = String::from_utf8(bytes).unwrap();
            assert!(parse(&damaged).is_err(), "damaged at {at}");
        }
    }

    #[test]
    fn each_start_has_a_larger_number_also_when_the_wall_clock_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::take(folder.path()).unwrap();
        assert_eq!(directory.next_boot(1_000).unwrap(), 1_000);
        assert_eq!(directory.next_boot(10).unwrap(), 1_001);
        assert_eq!(directory.next_boot(5_000).unwrap(), 5_000);
    }

    #[test]
    fn one_process_at_a_time_and_no_second_owner_by_accident() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::take(folder.path()).unwrap();
        assert!(matches!(DataDirectory::take(folder.path()), Err(Error::InUse { .. })));
        assert_eq!(directory.owner().unwrap(), None);
        assert_eq!(directory.candidate().unwrap(), None);
        directory.set_candidate(&member("a", 5)).unwrap();
        assert_eq!(directory.candidate().unwrap(), Some(member("a", 5)));
        assert_eq!(directory.owner().unwrap(), None, "a candidate owns nothing");
        directory.set_owner(&owner()).unwrap();
        assert_eq!(directory.owner().unwrap(), Some(owner()));
        assert_eq!(directory.candidate().unwrap(), None, "an owner is no candidate");

        std::fs::create_dir(directory.log()).unwrap();
        std::fs::remove_file(directory.identity()).unwrap();
        assert!(matches!(directory.owner(), Err(Error::Identity { .. })));
    }
}
