//! The log over a disk that tears, loses, damages and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where this fails")]

use catena_protocol::codec::{Raw, encode};
use catena_protocol::message::commit::{End, Outcome};
use catena_protocol::message::prepare::{Intent, TxnId, Unsettled};
use catena_protocol::message::replicate::{Decision, LogEntry, LogRecord, Vote};
use catena_protocol::message::write::{Change, Mutation, Written};
use catena_protocol::placement::Member;
use catena_protocol::{AttemptId, DiskId, Fault, JobId, Key, Name, NodeId, RequestId, Timestamp};
use catena_storage::disk::{Disk, Folder, MemoryDisk, Survival, Syncs};
use catena_storage::log::{Identity, Log, LogError, SEGMENT_BYTES};
use catena_storage::machine::Entry;
use std::collections::BTreeMap;

const IDS: Identity = Identity { cluster: [0xc1; 16], disk: [0xd1; 16] };
const HEADER: usize = 64;
const FIRST: &str = "00000000000000000001.log";
/// An index that no record has reached.
const ALL: u64 = u64::MAX;
/// So small that every other batch begins a new file.
const SMALL: u64 = 300;

fn record(index: u64) -> LogRecord {
    let key = Key::new(format!("key-{index}")).unwrap();
    let mutation = Mutation { key, change: Change::Put("value".into()) };
    let version = Timestamp(1_000 + index);
    let written = Written::Done { version, value: None };
    let decision =
        Decision::Write { request: RequestId([3; 16]), mutation: Some(mutation), written };
    LogRecord { partition: 1, epoch: 2, index, version, decision }
}

fn entry(record: &LogRecord) -> Entry {
    let bytes = Raw(encode(record).into());
    Entry::Record { partition: record.partition, index: record.index, bytes }
}

fn vote(partition: u16, epoch: u64) -> Vote {
    let candidate =
        Member { node: NodeId::new(format!("n{epoch}")).unwrap(), disk: DiskId([7; 16]) };
    Vote { partition, epoch, candidate }
}

fn append<D: Disk>(log: &mut Log<D>, records: &[LogRecord]) -> Result<(), LogError> {
    let entries: Vec<Entry> = records.iter().map(entry).collect();
    log.append(&entries)
}

/// The records of partition 1 up to this index are durable elsewhere.
fn applied(index: u64) -> BTreeMap<u16, u64> {
    BTreeMap::from([(1, index)])
}

fn open<D: Disk>(disk: D) -> Result<(Log<D>, Vec<LogRecord>), LogError> {
    open_with(disk, IDS, SEGMENT_BYTES)
}

fn open_with<D: Disk>(
    disk: D,
    ids: Identity,
    bytes: u64,
) -> Result<(Log<D>, Vec<LogRecord>), LogError> {
    let (log, entries) = open_all(disk, ids, bytes)?;
    let records = entries.into_iter().filter_map(|entry| match entry {
        LogEntry::Record(record) => Some(record),
        LogEntry::Vote(_) => None,
    });
    Ok((log, records.collect()))
}

fn open_all<D: Disk>(
    disk: D,
    ids: Identity,
    bytes: u64,
) -> Result<(Log<D>, Vec<LogEntry>), LogError> {
    let mut found = Vec::new();
    let log = Log::open(disk, ids, bytes, |entries| {
        found.extend(entries);
        Ok(())
    })?;
    Ok((log, found))
}

/// The last vote that a log has in each partition.
fn last_votes(entries: &[LogEntry]) -> BTreeMap<u16, Vote> {
    let votes = entries.iter().filter_map(|entry| match entry {
        LogEntry::Vote(vote) => Some((vote.partition, vote.clone())),
        LogEntry::Record(_) => None,
    });
    votes.collect()
}

/// A log of three batches, of two records each.
fn three_batches() -> (MemoryDisk, Vec<LogRecord>) {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(disk.clone()).unwrap();
    let records: Vec<LogRecord> = (1..=6).map(record).collect();
    for batch in records.chunks(2) {
        append(&mut log, batch).unwrap();
    }
    (disk, records)
}

/// Where the batches begin, and the end.
fn borders(bytes: &[u8]) -> Vec<usize> {
    let mut borders = vec![HEADER];
    while let Some(length) = bytes.get(borders[borders.len() - 1]..).filter(|b| !b.is_empty()) {
        let length = u32::from_le_bytes(length[..4].try_into().unwrap());
        borders.push(borders[borders.len() - 1] + 8 + length as usize);
    }
    borders
}

#[test]
fn what_was_appended_comes_back_and_goes_on() {
    let (disk, records) = three_batches();
    disk.crash(Survival::Synced);
    let (mut log, found) = open(disk.clone()).unwrap();
    assert_eq!(found, records);
    append(&mut log, &[record(7)]).unwrap();
    disk.crash(Survival::Synced);
    assert_eq!(open(disk).unwrap().1.len(), 7);
}

#[test]
fn each_append_is_one_sync() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(disk.clone()).unwrap();
    let before = disk.syncs();
    let many: Vec<LogRecord> = (1..1_000).map(record).collect();
    append(&mut log, &many).unwrap();
    assert_eq!((disk.syncs(), log.syncs()), (before + 1, 1));
}

#[test]
fn a_batch_torn_anywhere_is_gone_and_the_rest_stays() {
    let (whole, records) = three_batches();
    let bytes = whole.bytes(FIRST).unwrap();
    let borders = borders(&bytes);
    for end in borders[2]..borders[3] {
        let (disk, _) = three_batches();
        disk.damage(FIRST, bytes[..end].to_vec());
        let (mut log, found) = open(disk.clone()).unwrap();
        assert_eq!(found, records[..4], "cut at {end}");
        // The torn end is really gone: what follows it is found.
        append(&mut log, &records[4..]).unwrap();
        disk.crash(Survival::Synced);
        assert_eq!(open(disk).unwrap().1, records, "cut at {end}");
    }
}

#[test]
fn a_last_batch_whose_pages_came_in_any_order_is_gone() {
    let (whole, records) = three_batches();
    let bytes = whole.bytes(FIRST).unwrap();
    let start = borders(&bytes)[2];
    for at in start..bytes.len() {
        let mut torn = bytes.clone();
        torn[start..at].fill(0);
        let (disk, _) = three_batches();
        if torn == bytes {
            continue;
        }
        disk.damage(FIRST, torn);
        assert_eq!(open(disk).unwrap().1, records[..4], "zeros up to {at}");
    }
}

#[test]
fn a_changed_bit_before_the_last_batch_is_refused() {
    let (whole, _) = three_batches();
    let bytes = whole.bytes(FIRST).unwrap();
    let borders = borders(&bytes);
    for at in 0..borders[2] {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let (disk, _) = three_batches();
            disk.damage(FIRST, damaged.clone());
            let error = open(disk.clone()).expect_err("a changed bit");
            let expected = matches!(error, LogError::Damaged { .. } | LogError::Foreign { .. });
            assert!(expected, "bit {bit} of byte {at}: {error}");
            assert_eq!(disk.bytes(FIRST), Some(damaged), "nothing was changed");
        }
    }
}

#[test]
fn a_changed_bit_in_the_last_batch_is_never_believed() {
    let (whole, records) = three_batches();
    let bytes = whole.bytes(FIRST).unwrap();
    let borders = borders(&bytes);
    for at in borders[2]..borders[3] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let (disk, _) = three_batches();
        disk.damage(FIRST, damaged);
        assert_eq!(open(disk).unwrap().1, records[..4], "byte {at}");
    }
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    for ids in [Identity { cluster: [0; 16], ..IDS }, Identity { disk: [0; 16], ..IDS }] {
        let (disk, _) = three_batches();
        let error = open_with(disk, ids, SEGMENT_BYTES).expect_err("a foreign log");
        assert!(matches!(error, LogError::Foreign { .. }), "{error}");
    }
}

#[test]
fn full_files_follow_each_other_and_go_when_they_may() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open_with(disk.clone(), IDS, SMALL).unwrap();
    for index in 1..=20 {
        append(&mut log, &[record(index)]).unwrap();
    }
    // That of the first header came before it was open.
    assert_eq!(log.syncs() + 1, disk.syncs());
    let files = disk.list().unwrap().len();
    assert!(files > 3, "{files} files");
    disk.crash(Survival::Synced);
    let (mut log, found) = open_with(disk.clone(), IDS, SMALL).unwrap();
    assert_eq!(found.len(), 20);
    append(&mut log, &[record(21)]).unwrap();
    // Files from before the start are needed until anything newer is durable elsewhere.
    assert!(log.release(&applied(ALL)).unwrap() >= files - 1);
    disk.crash(Survival::Synced);
    let (_, found) = open_with(disk, IDS, SMALL).unwrap();
    assert_eq!(found.last(), Some(&record(21)));
}

#[test]
fn a_file_that_is_needed_is_not_released() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open_with(disk.clone(), IDS, SMALL).unwrap();
    for index in 1..=20 {
        append(&mut log, &[record(index)]).unwrap();
    }
    log.release(&applied(10)).unwrap();
    let (_, found) = open_with(disk, IDS, SMALL).unwrap();
    let expected: Vec<LogRecord> = (11..=20).map(record).collect();
    assert!(found.ends_with(&expected), "all after 10 are there");
    assert!(found.len() < 20, "something was removed");
}

#[test]
fn a_file_is_needed_as_long_as_one_partition_needs_it() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open_with(disk.clone(), IDS, SMALL).unwrap();
    let slow = LogRecord { partition: 2, ..record(1) };
    append(&mut log, std::slice::from_ref(&slow)).unwrap();
    for index in 1..=20 {
        append(&mut log, &[record(index)]).unwrap();
    }
    let all_but = |slow: Option<u64>| {
        let mut applied = applied(ALL);
        applied.extend(slow.map(|index| (2, index)));
        applied
    };
    for not_yet in [None, Some(0)] {
        assert_eq!(log.release(&all_but(not_yet)).unwrap(), 0, "{not_yet:?}");
        let (again, found) = open_with(disk.clone(), IDS, SMALL).unwrap();
        log = again;
        assert_eq!(found.len(), 21);
        assert_eq!(log.release(&all_but(not_yet)).unwrap(), 0, "{not_yet:?}, opened again");
    }
    assert!(log.release(&all_but(Some(1))).unwrap() > 0);
    assert!(!open_with(disk, IDS, SMALL).unwrap().1.contains(&slow));
}

#[test]
fn votes_come_back_between_the_records_where_they_were_given() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(disk.clone()).unwrap();
    let entries = [entry(&record(1)), Entry::Vote(vote(1, 5)), entry(&record(2))];
    log.append(&entries).unwrap();
    log.append(&[Entry::Vote(vote(1, 6)), Entry::Vote(vote(2, 5))]).unwrap();
    disk.crash(Survival::Synced);
    let (_, found) = open_all(disk, IDS, SEGMENT_BYTES).unwrap();
    let expected = [
        LogEntry::Record(record(1)),
        LogEntry::Vote(vote(1, 5)),
        LogEntry::Record(record(2)),
        LogEntry::Vote(vote(1, 6)),
        LogEntry::Vote(vote(2, 5)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_last_vote_of_each_partition_outlives_the_files_in_which_it_was_given() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open_with(disk.clone(), IDS, SMALL).unwrap();
    log.append(&[Entry::Vote(vote(3, 8)), Entry::Vote(vote(1, 4)), Entry::Vote(vote(1, 5))])
        .unwrap();
    let expected = BTreeMap::from([(1, vote(1, 5)), (3, vote(3, 8))]);
    let mut removed = 0;
    for index in 1..=20 {
        append(&mut log, &[record(index)]).unwrap();
        removed += log.release(&applied(ALL)).unwrap();
        disk.crash(Survival::Synced);
        let (again, found) = open_all(disk.clone(), IDS, SMALL).unwrap();
        log = again;
        assert_eq!(last_votes(&found), expected, "after record {index}");
    }
    assert!(removed > 3, "{removed} files were removed");
}

/// Whatever of a new file a crash leaves: nothing, its header, half of the votes.
#[test]
fn votes_survive_a_crash_while_a_new_file_is_begun() {
    let mut torn = 0;
    for room in 0..400 {
        for survival in [Survival::Synced, Survival::Torn(5), Survival::All] {
            let disk = MemoryDisk::default();
            let (mut log, _) = open_with(disk.clone(), IDS, 100).unwrap();
            log.append(&[Entry::Vote(vote(1, 5)), Entry::Vote(vote(2, 6))]).unwrap();
            disk.leave_room(room);
            torn += usize::from(append(&mut log, &[record(1)]).is_err());
            disk.leave_room(usize::MAX);
            disk.crash(survival);
            for index in 1..=4 {
                let (mut log, found) = open_all(disk.clone(), IDS, 100).unwrap();
                let votes = last_votes(&found);
                let expected = BTreeMap::from([(1, vote(1, 5)), (2, vote(2, 6))]);
                assert_eq!(votes, expected, "{room} bytes, {survival:?}, record {index}");
                log.release(&applied(ALL)).unwrap();
                append(&mut log, &[record(index)]).unwrap();
                log.release(&applied(ALL)).unwrap();
                // What was removed is gone, synced or not.
                disk.crash(Survival::Torn(0));
            }
        }
    }
    assert!((3 * HEADER..3 * 400).contains(&torn), "{torn}");
}

/// It may have been written by a later version of the program, and acknowledged.
#[test]
fn a_last_batch_that_is_whole_but_unreadable_is_not_cut_off() {
    let (disk, _) = three_batches();
    let name = disk.list().unwrap()[0].clone();
    let mut bytes = disk.bytes(&name).unwrap();
    let payload = [0x9f, 0x01, 0xff];
    let length = 3_u32.to_le_bytes();
    let checksum = crc32fast::hash(&[&length[..], &payload].concat()).to_le_bytes();
    bytes.extend_from_slice(&[&length[..], &checksum, &payload].concat());
    disk.damage(&name, bytes.clone());
    assert!(matches!(open(disk.clone()), Err(LogError::Damaged { .. })));
    assert_eq!(disk.bytes(&name), Some(bytes));
}

#[test]
fn a_missing_file_is_noticed() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open_with(disk.clone(), IDS, SMALL).unwrap();
    for index in 1..=20 {
        append(&mut log, &[record(index)]).unwrap();
    }
    let names = disk.list().unwrap();
    disk.remove(&names[2]).unwrap();
    assert!(matches!(open_with(disk, IDS, SMALL), Err(LogError::Damaged { .. })));
}

#[test]
fn a_new_file_torn_before_its_first_batch_is_begun_again() {
    for length in 0..HEADER {
        let disk = MemoryDisk::default();
        let (mut log, _) = open_with(disk.clone(), IDS, 100).unwrap();
        append(&mut log, &[record(1)]).unwrap();
        append(&mut log, &[record(2)]).unwrap();
        let second = disk.list().unwrap()[1].clone();
        let header = disk.bytes(&second).unwrap();
        disk.damage(&second, header[..length].to_vec());
        let (mut log, found) = open_with(disk.clone(), IDS, 100).unwrap();
        assert_eq!(found, [record(1)]);
        append(&mut log, &[record(2)]).unwrap();
        assert_eq!(open_with(disk, IDS, 100).unwrap().1.len(), 2, "header of {length} bytes");
    }
}

#[test]
fn a_full_disk_and_a_failed_sync_are_errors_and_lose_nothing() {
    let (disk, records) = three_batches();
    let (mut log, _) = open(disk.clone()).unwrap();
    disk.leave_room(20);
    assert!(matches!(append(&mut log, &[record(7)]), Err(LogError::Disk { .. })));
    disk.crash(Survival::All);
    disk.leave_room(usize::MAX);
    let (mut log, found) = open(disk.clone()).unwrap();
    assert_eq!(found, records);
    disk.syncs_will(Syncs::NeverCome);
    assert!(matches!(append(&mut log, &[record(7)]), Err(LogError::Disk { .. })));
    disk.syncs_will(Syncs::Work);
    let next = append(&mut log, &[record(8)]);
    assert!(
        matches!(next, Err(LogError::Spoiled)),
        "it would stand where record 7 may be: {next:?}"
    );
    disk.crash(Survival::Synced);
    assert_eq!(open(disk).unwrap().1, records);
}

#[test]
fn the_real_disk_does_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Folder::open(folder.path()).unwrap();
    let (mut log, _) = open_with(disk.clone(), IDS, SMALL).unwrap();
    for index in 1..=20 {
        append(&mut log, &[record(index)]).unwrap();
    }
    drop(log);
    let last = disk.list().unwrap().pop().unwrap();
    let path = folder.path().join(last);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let (mut log, found) = open_with(disk.clone(), IDS, SMALL).unwrap();
    assert_eq!(found.len(), 19);
    append(&mut log, &[record(20)]).unwrap();
    drop(log);
    let expected: Vec<LogRecord> = (1..=20).map(record).collect();
    let (mut log, found) = open_with(disk.clone(), IDS, SMALL).unwrap();
    assert_eq!(found, expected);
    assert!(log.release(&applied(ALL)).unwrap() > 0);
    drop(log);
    assert_eq!(open_with(disk, IDS, SMALL).unwrap().1.last(), expected.last());
}

const PINNED: Timestamp = Timestamp(1_790_000_000_000_123);

fn mutation(name: &str, change: Change) -> Mutation {
    Mutation { key: Key::new(name).unwrap(), change }
}

fn outcome(end: End) -> Outcome {
    Outcome {
        job: JobId([0x11; 16]),
        attempt: AttemptId([0x22; 16]),
        chain: Name::new("shop").unwrap(),
        version: PINNED,
        end,
        expires: PINNED.plus_ms(1),
    }
}

/// The bytes of a file as `storage/FORMAT.md` describes them, of these batches. A file of a
/// version that was ever released must be read by every later program: then it is never changed,
/// only others are added.
fn is_pinned(file: &str, batches: &[Vec<LogEntry>]) {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(disk.clone()).unwrap();
    for batch in batches {
        let entries = batch.iter().map(|one| match one {
            LogEntry::Record(record) => entry(record),
            LogEntry::Vote(vote) => Entry::Vote(vote.clone()),
        });
        log.append(&entries.collect::<Vec<_>>()).unwrap();
    }
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(&path, disk.bytes(FIRST).unwrap()).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    assert_eq!(disk.bytes(FIRST), Some(golden.clone()), "what is written");
    let old = MemoryDisk::default();
    old.create(FIRST).unwrap();
    old.damage(FIRST, golden);
    assert_eq!(open_all(old, IDS, SEGMENT_BYTES).unwrap().1, batches.concat(), "what is read");
}

/// Records of partition 63, one behind the other.
fn entries(decisions: Vec<Decision>) -> Vec<LogEntry> {
    let record = |(index, decision)| {
        let (partition, epoch, version) = (63, 7, PINNED);
        LogEntry::Record(LogRecord { partition, epoch, index, version, decision })
    };
    (1..).zip(decisions).map(record).collect()
}

#[test]
fn the_format_is_what_it_was() {
    let version = PINNED;
    let decisions = vec![
        Decision::Epoch,
        Decision::Ceiling(version.plus_ms(250)),
        Decision::Write {
            request: RequestId([0x33; 16]),
            mutation: Some(mutation("a", Change::Add(-5))),
            written: Written::Done { version, value: Some(-5) },
        },
        Decision::Write {
            request: RequestId([0x44; 16]),
            mutation: None,
            written: Written::Differs { version, value: None },
        },
        Decision::Outcome {
            outcome: outcome(End::Committed("result".into())),
            mutations: vec![
                mutation("{b}1", Change::Put("value".into())),
                mutation("{b}2", Change::Delete),
            ],
            unsettled: None,
        },
        Decision::Effects { mutations: vec![mutation("c", Change::Put(vec![0, 255].into()))] },
        Decision::Outcome {
            outcome: outcome(End::Failed(Fault::bad_request("why"))),
            mutations: vec![],
            unsettled: None,
        },
        Decision::Voters(vec![vote(63, 7).candidate, vote(63, 8).candidate]),
    ];
    let mut first = entries(decisions);
    first.insert(2, LogEntry::Vote(vote(63, 7)));
    let second = first.split_off(3);
    is_pinned("log-2.bin", &[first, second]);
}

#[test]
fn the_format_of_transactions_is_what_it_was() {
    let txn = |number| TxnId { job: JobId([0x11; 16]), epoch: 6, number };
    let mutations = || {
        vec![
            mutation("{b}1", Change::Put("value".into())),
            mutation("{b}2", Change::Delete),
            mutation("{b}3", Change::Add(-5)),
        ]
    };
    let unsettled = Unsettled { txn: txn(300), at: PINNED, partitions: vec![5, 63] };
    let decisions = vec![
        Decision::Intent(Intent { txn: txn(1), at: PINNED, mutations: mutations() }),
        Decision::Resolve { txn: txn(1), committed: true },
        Decision::Intent(Intent { txn: txn(2), at: PINNED.plus_ms(1), mutations: vec![] }),
        Decision::Resolve { txn: txn(2), committed: false },
        Decision::Outcome {
            outcome: outcome(End::Committed("result".into())),
            mutations: mutations(),
            unsettled: Some(unsettled),
        },
        Decision::Outcome {
            outcome: outcome(End::Dead(Fault::bad_request("why"))),
            mutations: vec![],
            unsettled: None,
        },
        Decision::Outcome { outcome: outcome(End::Cancelled), mutations: vec![], unsettled: None },
        Decision::Settled(vec![txn(300), txn(301)]),
    ];
    is_pinned("log-2-transactions.bin", &[entries(decisions)]);
}

#[test]
fn room_made_ahead_of_need_holds_nothing_and_is_used() {
    let disk = MemoryDisk::default();
    let (log, _) = open(disk.clone()).unwrap();
    let mut log = log.with_room_ahead(1_000);
    append(&mut log, &[record(1)]).unwrap();
    let length = disk.bytes(&disk.list().unwrap()[0]).unwrap().len();
    append(&mut log, &[record(2)]).unwrap();
    assert_eq!(disk.bytes(&disk.list().unwrap()[0]).unwrap().len(), length, "it did not grow");
    drop(log);

    let (log, found) = open(disk.clone()).unwrap();
    assert_eq!(found, [record(1), record(2)]);
    let mut log = log.with_room_ahead(1_000);
    append(&mut log, &[record(3)]).unwrap();
    assert_eq!(open(disk).unwrap().1, [record(1), record(2), record(3)]);
}

/// A process dies before its sync, or of a sync that failed. The next one finds what was written,
/// and says that it is there: then it is there for good.
#[test]
fn what_a_start_finds_is_durable_whatever_became_of_its_sync() {
    for how in [Syncs::NeverCome, Syncs::Fail] {
        let disk = MemoryDisk::default();
        let mut log = open(disk.clone()).unwrap().0.with_room_ahead(1_000);
        append(&mut log, &[record(1)]).unwrap();
        disk.syncs_will(how);
        assert!(append(&mut log, &[record(2)]).is_err());
        disk.crash(Survival::All);
        assert!(matches!(open(disk.clone()), Err(LogError::Disk { .. })), "it cannot be said yet");
        disk.syncs_will(Syncs::Work);
        assert_eq!(open(disk.clone()).unwrap().1, [record(1), record(2)]);
        disk.crash(Survival::Synced);
        assert_eq!(open(disk).unwrap().1, [record(1), record(2)], "{how:?}");
    }
}

#[test]
fn a_batch_torn_in_room_made_ahead_is_gone_and_the_rest_stays() {
    for torn in 0..200 {
        let disk = MemoryDisk::default();
        let mut log = open(disk.clone()).unwrap().0.with_room_ahead(1_000);
        append(&mut log, &[record(1)]).unwrap();
        disk.syncs_will(Syncs::NeverCome);
        assert!(append(&mut log, &[record(2)]).is_err());
        disk.syncs_will(Syncs::Work);
        disk.crash(Survival::Torn(torn));
        let (log, found) = open(disk.clone()).unwrap();
        assert!(found == [record(1)] || found == [record(1), record(2)], "torn after {torn}");
        let last = found.len() as u64;
        append(&mut log.with_room_ahead(1_000), &[record(last + 1)]).unwrap();
        assert_eq!(open(disk).unwrap().1.len(), found.len() + 1);
    }
}
