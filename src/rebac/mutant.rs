//! Defects on purpose, to prove that the tests see them.
//!
//! Compiled into the unit tests only: `mutant!(Name)` is a constant `false` in every other build. One test switches
//! each of them on in turn and demands that the random suites notice; `tests/property/README.md` lists them.

/// Whether a defect is switched on in this thread.
#[cfg(not(test))]
macro_rules! mutant {
    ($name:ident) => {
        false
    };
}

/// Whether a defect is switched on in this thread.
#[cfg(test)]
macro_rules! mutant {
    ($name:ident) => {
        $crate::rebac::mutant::is($crate::rebac::mutant::Mutant::$name)
    };
}

/// Where another thread may come between, in tests that play all orders. No lock may be held here.
#[cfg(not(test))]
macro_rules! pause {
    () => {};
}

/// Where another thread may come between, in tests that play all orders. No lock may be held here.
#[cfg(test)]
macro_rules! pause {
    () => {
        $crate::rebac::mutant::pause()
    };
}

#[cfg(test)]
macro_rules! mutants {
    ($($name:ident,)*) => {
        /// A defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Mutant {
            $($name,)*
        }

        impl Mutant {
            pub(super) const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

#[cfg(test)]
mutants! {
    StampsDieWithTheirName,
    JoinedNamesCollide,
    OldNameStillLeads,
    RegrantIgnored,
    RevokeIgnored,
    UsersetRelationIgnored,
    StoredParentOfFileRead,
    NewTermsNotStamped,
    NestingNotStamped,
    FirstUseAsSetNotStamped,
    OtherNamespacesNotStamped,
    DefaultDoesNotComeBack,
    BudgetCountedAsNo,
    PartialClosureDenies,
    PublicMembershipNotLookedAt,
    StaleAfterGrantOrRevoke,
    StaleAfterNesting,
    ReaderOlderThanEntry,
    ClockMayGoBack,
    ClosureOutlivesExpiry,
    WildcardMatchesUsersets,
    ComputedMembershipFlattened,
    LiveAtItsExpiry,
    ConditionOfMembershipIgnored,
    ConditionalMembershipForgotten,
    MissingContextIsNo,
    CorruptConditionAllows,
    LimitUnderNotGrants,
    IntersectionIsUnion,
    ExclusionGrantsTheBanned,
    FailedConditionHidesGroups,
    OwnerOfEverything,
    OwnerOfAnotherTenant,
    NothingIsInherited,
    InProgressMeansNo,
    OneRoundThroughRings,
    PrefixByText,
    PublicOfEveryTenant,
    ConditionsIgnored,
    ExpiredKept,
    PublicIgnored,
    SharesDoNotCross,
    AllRelationsCross,
    TuplesetReadBackwards,
    ParentReadBothWays,
    RelationOperatorsIgnored,
    QuestionMeansRelationFirst,
    ReferenceMeansRelationOnly,
    HomogeneousTooWide,
    GrantedPathsStale,
    ContextNotInKey,
    ShareOpensEveryTenant,
    WriterFillsCaches,
}

#[cfg(test)]
thread_local! {
    static ON: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
thread_local! {
    static PAUSES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether this thread plays orders.
#[cfg(test)]
pub(super) fn play_orders(on: bool) {
    PAUSES.set(on);
}

#[cfg(test)]
pub(super) fn pause() {
    if PAUSES.get() {
        shuttle::thread::yield_now();
    }
}

#[cfg(test)]
pub(super) fn is(mutant: Mutant) -> bool {
    ON.get() == Some(mutant)
}

/// Whether any defect is on.
#[cfg(test)]
pub(super) fn any() -> bool {
    ON.get().is_some()
}

/// Runs `work` with the defect.
#[cfg(test)]
pub(super) fn with<T>(mutant: Mutant, work: impl FnOnce() -> T) -> T {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            ON.set(None);
        }
    }
    let _off = Off;
    ON.set(Some(mutant));
    work()
}
