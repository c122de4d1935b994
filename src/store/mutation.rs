//! Each guarantee taken out on purpose, so that a test can show that the test of it notices.
//!
//! Behind the cargo feature `faults`; without it there is no such thing, and `mutated!` is `false`.

/// A guarantee that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// The callers of a batch are answered before its COMMIT.
    ReplyBeforeCommit,
    /// They are answered before its revision is published.
    PublishAfterReply,
    /// `synchronous=NORMAL` where FULL was asked for.
    NormalInsteadOfFull,
    /// Directories are not made durable.
    NoDirectorySync,
    /// An operation is not checked again inside the writer.
    NoSecondCheck,
    /// Only the newest published state is kept.
    RingOfOne,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ReplyBeforeCommit,
        Self::PublishAfterReply,
        Self::NormalInsteadOfFull,
        Self::NoDirectorySync,
        Self::NoSecondCheck,
        Self::RingOfOne,
    ];
}
