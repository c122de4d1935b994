//! What a write costs the writer in the graph: savepoint, change, publish, and the ring of published revisions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nexus_lite::model::time::monotonic;
use nexus_lite::model::{Change, Delta, EntityId, EntityRow, Rev};
use nexus_lite::rebac::Graph;
use nexus_lite::store::Projection as _;

use crate::Bench;
use crate::claims::Took;
use crate::org::{self, Dice};

/// Published revisions that the store keeps.
const KEPT: usize = 64;
/// Operations in a batch.
const BATCH: u32 = 64;

/// The writer's side of the store: a working copy, and the published ones that readers may hold.
struct Writer {
    working: Graph,
    rev: Rev,
    ring: VecDeque<Arc<Graph>>,
}

impl Writer {
    fn new(graph: &Graph) -> Self {
        let ring = std::iter::repeat_with(|| Arc::new(graph.clone())).take(KEPT).collect();
        Self { working: graph.clone(), rev: 1, ring }
    }

    /// One operation with the savepoint that the store takes before it.
    fn apply(&mut self, changes: &[Change]) {
        let savepoint = self.working.clone();
        self.rev += 1;
        changes.iter().for_each(|change| self.working.apply(change, self.rev));
        drop(savepoint);
    }

    fn publish(&mut self) {
        self.working.publish(self.rev);
        self.ring.push_back(Arc::new(self.working.clone()));
        self.ring.pop_front();
    }

    /// Times each of `operations` with its publish: wall each, CPU together.
    fn time(&mut self, operations: &[Vec<Change>]) -> (Vec<Duration>, Took) {
        let (mut wall, mut cpu) = (Vec::with_capacity(operations.len()), Took::default());
        cpu.add(operations.len() as u64, || {
            for changes in operations {
                let started = monotonic();
                self.apply(changes);
                self.publish();
                wall.push(monotonic() - started);
            }
        });
        (wall, cpu)
    }
}

fn put(object: EntityId, relation: &str, subject: EntityId, set: Option<&str>) -> Change {
    Change::Tuple(Delta::insert(org::tuple(object, relation, subject, set)))
}

/// P9b.
pub(crate) fn publishes(bench: &Bench<'_>) {
    let (org, effort, mut dice) = (bench.org, bench.effort, Dice::new(21));
    let mut writer = Writer::new(bench.graph);
    let mut any = || dice.below(u32::MAX);
    let mut next_id = EntityId::try_from(org.entities.len() + 1).expect("ids fit");
    let times = |n: u32| 0..n;

    let grants: Vec<_> =
        times(effort.writes).map(|_| vec![put(org.folder(any()), "shared-viewer", org.user(any()), None)]).collect();
    let (mut wall, cpu) = writer.time(&grants);
    bench.report.median("one write, existing cell", &mut wall, &cpu, 20.0);

    let mut new_path = |folder: EntityId, user: EntityId| {
        let name = format!("{}/new-{next_id}", org.name_of(folder));
        let row = EntityRow { id: next_id, tenant: org::TENANT.into(), kind: "file".into(), name };
        next_id += 1;
        vec![Change::Entity(Delta::insert(row)), put(next_id - 1, "direct_owner", user, None)]
    };
    let paths: Vec<_> = times(effort.writes).map(|_| new_path(org.folder(any()), org.user(any()))).collect();
    let (mut wall, cpu) = writer.time(&paths);
    bench.report.median("one write, new path", &mut wall, &cpu, 20.0);

    let members: Vec<_> =
        times(effort.writes).map(|_| vec![put(org.group(any()), "member", org.user(any()), None)]).collect();
    let (mut wall, cpu) = writer.time(&members);
    bench.report.median("one write, membership", &mut wall, &cpu, 20.0);

    let mut batches = Took::default();
    for round in times((effort.writes / BATCH).max(1)) {
        let batch: Vec<_> = times(BATCH)
            .map(|n| match (round + n) % 3 {
                0 => vec![put(org.folder(any()), "shared-editor", org.user(any()), None)],
                1 => new_path(org.folder(any()), org.user(any())),
                _ => vec![put(org.group(any()), "member", org.user(any()), None)],
            })
            .collect();
        batches.add(u64::from(BATCH), || {
            batch.iter().for_each(|changes| writer.apply(changes));
            writer.publish();
        });
    }
    bench.report.each("batch of 64, per operation with its savepoint", &batches, 10.0);

    let nested = org.tuples.iter().filter(|row| row.subject_relation.is_some() && row.relation == "member");
    let deletes: Vec<_> = nested
        .step_by(7)
        .take(effort.writes as usize)
        .map(|row| vec![Change::Tuple(Delta::delete(row.clone()))])
        .collect();
    let (mut wall, cpu) = writer.time(&deletes);
    bench.report.median(&format!("group edge delete, {} groups", org.size().groups), &mut wall, &cpu, 5_000.0);
}
