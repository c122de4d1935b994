//! Who may call what: one table over every method of the registry.

// Every method as admin, owner, stranger, agent, another tenant's user and nobody.
mod matrix;
// The engine's traps and counterexamples, as cases in text.
mod cases;
// Rights that go while a message waits.
pub(crate) mod races;
// Nobody gives himself what he does not have.
mod escalation;
// How long it takes to refuse a key.
mod timing;
// Nobody learns or changes what another tenant has.
mod isolation;
