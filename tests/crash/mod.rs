//! What survives: processes killed, disks that fail, power that goes.

// Backups: under load, damaged, cut short, restored.
mod backup;
// The program is killed under load, again and again, on one directory.
mod kill;
// The reply is lost: a retry with the same Idempotency-Key executes nothing twice.
mod retry;
