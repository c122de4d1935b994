//! Strongly connected components, without recursion: the depth of a graph is a client's choice.

/// The component of each node. Components are numbered so that all a component depends on have lower numbers.
pub(super) fn components(edges: &[Vec<u32>]) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    let mut order = vec![UNSEEN; edges.len()];
    let mut low = vec![0_u32; edges.len()];
    let mut component = vec![UNSEEN; edges.len()];
    let (mut seen, mut closed) = (0, 0);
    let mut open: Vec<u32> = Vec::new();
    // A node and how many of its edges are done.
    let mut way: Vec<(u32, usize)> = Vec::new();
    for root in 0..u32::try_from(edges.len()).expect("fewer than 2^32 nodes") {
        if order[root as usize] != UNSEEN {
            continue;
        }
        way.push((root, 0));
        while let Some((node, done)) = way.last_mut() {
            let at = *node as usize;
            if *done == 0 {
                order[at] = seen;
                low[at] = seen;
                seen += 1;
                open.push(*node);
            }
            if let Some(next) = edges[at].get(*done) {
                *done += 1;
                let next = *next as usize;
                if order[next] == UNSEEN {
                    way.push((u32::try_from(next).expect("an index of edges"), 0));
                } else if component[next] == UNSEEN {
                    low[at] = low[at].min(order[next]);
                }
                continue;
            }
            if low[at] == order[at] {
                while let Some(member) = open.pop() {
                    component[member as usize] = closed;
                    if member as usize == at {
                        break;
                    }
                }
                closed += 1;
            }
            let lowest = low[at];
            way.pop();
            if let Some((parent, _)) = way.last() {
                low[*parent as usize] = low[*parent as usize].min(lowest);
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_depended_on_comes_first() {
        // 0 -> 1 <-> 2 -> 3, 4 -> 4, 5
        let component = components(&[vec![1], vec![2], vec![1, 3], vec![], vec![4], vec![]]);
        assert_eq!(component[1], component[2]);
        assert!(component[3] < component[1] && component[1] < component[0]);
        let distinct: std::collections::BTreeSet<_> = component.iter().collect();
        assert_eq!(distinct.len(), 5);
    }

    #[test]
    fn depth_takes_no_stack() {
        let edges: Vec<Vec<u32>> = (0..200_000).map(|i| vec![(i + 1) % 200_000]).collect();
        assert!(components(&edges).iter().all(|c| *c == 0));
    }
}
