//! Tests of the engine as a whole: truth tables, traps, and the comparison with the oracle.
