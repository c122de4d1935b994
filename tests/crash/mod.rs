//! What survives: processes killed, disks that fail, power that goes.

// The program is killed under load, again and again, on one directory.
mod kill;
