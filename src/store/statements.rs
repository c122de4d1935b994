//! The register of every SQL statement constant, so that a test can prepare each one on the current schema.
//!
//! Each `store/<noun>.rs` declares its texts through [`statements!`] and has a line in [`LISTS`].

/// Declares statement constants: `statements! { /// What it does. NODE_BY_ID = "SELECT …"; }`.
///
/// Makes a `pub(crate) const` of each, and `ALL`, the list of them that the register reads.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)*
        /// Every statement of this file, by name.
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use statements;

/// One line per file that declares statements.
const LISTS: &[(&str, &[(&str, &str)])] = &[
    ("agents", super::agents::ALL),
    ("changelog", super::changelog::ALL),
    ("check", super::check::ALL),
    ("contents", super::contents::ALL),
    ("decisions", super::decisions::ALL),
    ("entities", super::entities::ALL),
    ("keys", super::keys::ALL),
    ("meta", super::meta::ALL),
    ("migrate", super::migrate::ALL),
    ("mounts", super::mounts::ALL),
    ("namespaces", super::namespaces::ALL),
    ("nodes", super::nodes::ALL),
    ("sandboxes", super::sandboxes::ALL),
    ("skills", super::skills::ALL),
    ("tuples", super::tuples::ALL),
    ("versions", super::versions::ALL),
    ("workspaces", super::workspaces::ALL),
];

/// Every statement constant of the store: file, name, text.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    LISTS.iter().flat_map(|(file, list)| list.iter().map(move |(name, sql)| (*file, *name, *sql)))
}
