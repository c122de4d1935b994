//! What survives: processes killed, disks that fail, power that goes.

// Backups: under load, damaged, cut short, restored.
mod backup;
// Mixed commands, and what each must have left behind.
mod work;
// What a database holds, read without the store.
mod state;
// The power goes: images of the disk at random points.
pub(crate) mod power;
// Files that are damaged, foreign, empty or missing.
mod corrupt;
// Disks that are full, and limits on the size of files.
mod full;
// The program started through other programs; no tests.
mod launch;
// The program is killed under load, again and again, on one directory.
mod kill;
// The reply is lost: a retry with the same Idempotency-Key executes nothing twice.
mod retry;
