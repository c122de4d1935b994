//! Links that could be made: to a set that the subject is in, or to a group that does not exist yet.
//!
//! Only where nothing simpler helps: rules that are reached through a tupleset alone, and subjects whose own tuple
//! could not count.

use super::super::ObjectRef;
use super::super::edge::{PLAIN, RelId, SetId, set_of};
use super::super::schema::Direction;
use super::trace::{At, Ends, Spot, Trace, entity};

/// Sets of the subject that are proposed for one link.
const SETS_PROPOSED: usize = 3;
/// The type of a set that is proposed.
const GROUP: &str = "group";

/// Whether it is somebody rather than a set: nobody is a member of it.
pub(super) fn is_person(kind: &str) -> bool {
    matches!(kind, "user" | "agent")
}

impl Trace<'_> {
    /// Tuples that would lead along the tupleset to where the subject has `computed`, or could get it.
    pub(super) fn invent_links(
        &mut self,
        object: Spot,
        tupleset: RelId,
        direction: Direction,
        computed: RelId,
        operands: &mut Vec<At>,
    ) {
        if self.is_invented(object) {
            return;
        }
        let mut targets = self.own_sets(computed);
        let kind = match self.graph.relations.name(tupleset.into()) {
            "parent" => self.name(object).kind.to_owned(),
            "tenant" => "tenant".to_owned(),
            _ => GROUP.to_owned(),
        };
        targets.push(self.invented(object, &kind));
        for target in targets {
            let name = self.reference(target, computed);
            if direction.reverse() {
                self.invent_link(
                    Ends { subject: target, set: PLAIN, relation: tupleset, object },
                    target,
                    name,
                    operands,
                );
            }
            if direction.forward() {
                let ends = Ends { subject: object, set: PLAIN, relation: tupleset, object: target };
                self.invent_link(ends, target, name, operands);
            }
        }
    }

    /// A userset on the object for a subject whose own tuple would not count.
    pub(super) fn invent_sets(&mut self, object: Spot, relation: RelId, operands: &mut Vec<At>) {
        let own = Ends { subject: self.asker, set: PLAIN, relation, object };
        if self.is_invented(object) || self.may_add(own) {
            return;
        }
        let same_tenant = self.name(self.asker).tenant == self.name(object).tenant;
        let member = if same_tenant { "member" } else { "shared-viewer" };
        let Some(member) = self.graph.relations.find(member).and_then(|id| RelId::try_from(id).ok()) else { return };
        let group = self.invented(object, GROUP);
        let name = self.reference(group, member);
        let set: SetId = set_of(member);
        self.invent_link(Ends { subject: group, set, relation, object }, group, name, operands);
    }

    fn invent_link(&mut self, ends: Ends, target: Spot, name: super::super::schema::Name, operands: &mut Vec<At>) {
        if self.may_add(ends) {
            let leaf = self.missing(ends);
            operands.push(self.link(leaf, target, name));
        }
    }

    /// Entities on which the subject has `relation` by tuples.
    fn own_sets(&self, relation: RelId) -> Vec<Spot> {
        let sets = self.closure.iter().flat_map(|closure| closure.sets.iter());
        let mut own: Vec<_> = sets.filter(|(_, set)| *set == set_of(relation)).map(|(id, _)| id).collect();
        own.sort_unstable();
        own.into_iter().filter(|id| entity(Spot::from(*id)).is_some()).take(SETS_PROPOSED).map(Spot::from).collect()
    }

    /// A name of this type in the object's tenant that nobody has yet.
    fn invented(&mut self, object: Spot, kind: &str) -> Spot {
        let tenant = self.name(object).tenant.to_owned();
        let id = (1..)
            .map(|n| if n == 1 { format!("new-{kind}") } else { format!("new-{kind}-{n}") })
            .find(|id| self.graph.entity(ObjectRef { tenant: &tenant, kind, id }).is_none())
            .expect("names do not run out");
        self.local(ObjectRef { tenant: &tenant, kind, id: &id }, true)
    }
}
