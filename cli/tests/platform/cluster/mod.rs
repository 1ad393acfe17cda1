//! Storage nodes that are lost for longer, or for good: what a cluster says of itself then, and that
//! it becomes whole again.

mod five;
mod lost_disk;
mod records;
mod status;
