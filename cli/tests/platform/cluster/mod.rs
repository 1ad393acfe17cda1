//! Storage nodes that are lost for longer, or for good: what a cluster says of itself then, and that
//! it becomes whole again.

mod records;
mod status;
