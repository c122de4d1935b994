//! What becomes of one file of a mount: a decision between the host, the tree, and what both were last time.
//!
//! The whole rule of a sync in one function without input or output. Invariant: what has changed on both sides, or on the
//! side that must not change, is a conflict and stays as it is on both.

/// What to do about one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Both sides are alike, and that is known already.
    Nothing,
    /// Both sides are alike (or both have none): that is to be remembered.
    Agree,
    /// The tree gets what the host has.
    Import,
    /// The tree loses it.
    RemoveHere,
    /// The host gets what the tree has.
    WriteBack,
    /// The host loses it.
    RemoveThere,
    /// Nobody may decide; why.
    Conflict(&'static str),
}

/// Decides by the etags on the host, in the tree and at the last sync; `None` = there is none.
pub(super) fn decide(host: Option<&str>, tree: Option<&str>, agreed: Option<&str>, readonly: bool) -> Decision {
    if host == tree {
        return if agreed == host { Decision::Nothing } else { Decision::Agree };
    }
    if tree == agreed {
        return if host.is_some() { Decision::Import } else { Decision::RemoveHere };
    }
    if host == agreed {
        return match tree {
            // It was taken out of the tree while it was no mount.
            None if readonly => Decision::Import,
            Some(_) if readonly => {
                Decision::Conflict("conflict: it was written in the tree, and the mount is read-only")
            }
            Some(_) => Decision::WriteBack,
            None => Decision::RemoveThere,
        };
    }
    Decision::Conflict("conflict: it has changed in the tree and on the host since the last sync")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination of three states and none, against what the words of the rule say.
    #[test]
    fn nothing_that_changed_on_both_sides_is_decided() {
        let states = [None, Some("1"), Some("2"), Some("3")];
        for host in states {
            for tree in states {
                for agreed in states {
                    for readonly in [false, true] {
                        let decision = decide(host, tree, agreed, readonly);
                        let (host_moved, tree_moved) = (host != agreed, tree != agreed);
                        match decision {
                            Decision::Nothing => assert!(!host_moved && !tree_moved),
                            Decision::Agree => assert!(host == tree && host_moved),
                            Decision::Import if tree_moved => assert!(readonly && tree.is_none() && !host_moved),
                            Decision::Import => assert!(host.is_some() && host_moved),
                            Decision::RemoveHere => assert!(host.is_none() && host_moved && !tree_moved),
                            Decision::WriteBack => assert!(!readonly && tree.is_some() && tree_moved && !host_moved),
                            Decision::RemoveThere => assert!(!readonly && tree.is_none() && tree_moved && !host_moved),
                            Decision::Conflict(_) => assert!(host != tree && tree_moved && (host_moved || readonly)),
                        }
                    }
                }
            }
        }
    }
}
