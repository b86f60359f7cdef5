//! Cells of the [grid](crate::grid) that the engine loses: to which policy, by how much, and why.

use crate::grid::{Cell, Cost, Shape};
use crate::policy::PolicyKind;
use serde::Serialize;

/// How much sooner `linux-x86` must end to win a cell, in hundredths.
const CLOSE: u64 = 2;

/// The count in which a cell is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Counted {
    /// A safe policy sends fewer IPIs.
    Ipis,
    /// `linux-x86` takes over 2 % fewer cycles.
    Cycles,
}

impl Counted {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipis => "IPIs",
            Self::Cycles => "cycles",
        }
    }

    /// Returns this count of `cost`.
    fn of(self, cost: &Cost) -> u64 {
        match self {
            Self::Ipis => cost.ipis,
            Self::Cycles => cost.cycles,
        }
    }
}

/// A cell that the engine loses to a rival.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// The count in which it is lost.
    pub counted: Counted,
    /// The workload.
    pub workload: &'static str,
    /// The machine.
    pub shape: Shape,
    /// The seed.
    pub seed: u64,
    /// The policy that wins.
    pub rival: &'static str,
    /// The engine's count.
    pub ours: u64,
    /// The rival's.
    pub theirs: u64,
    /// Why; nothing where that has not been found.
    pub reason: Option<&'static str>,
}

/// The losses of one workload to one rival in one count.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The count in which it is lost.
    pub counted: Counted,
    /// The workload.
    pub workload: &'static str,
    /// The policy that wins.
    pub rival: &'static str,
    /// Cells that are lost.
    pub lost: usize,
    /// Cells of the workload.
    pub cells: usize,
    /// The cell that is lost by the largest part.
    pub worst: Loss,
    /// Why; nothing where that has not been found.
    pub reason: Option<&'static str>,
    /// What was counted on these cells, and on all of the workload.
    pub evidence: String,
}

impl Group {
    /// Whether `loss` is one of these.
    pub fn holds(&self, loss: &Loss) -> bool {
        loss.is_like(&self.worst)
    }
}

impl Loss {
    /// Whether it is of the same workload, to the same rival and in the same count as `other`.
    fn is_like(&self, other: &Self) -> bool {
        (self.counted, self.workload, self.rival) == (other.counted, other.workload, other.rival)
    }
}

/// The losses of some cells, those of one workload to one rival in one count together.
pub fn losses(cells: &[Cell]) -> Vec<Loss> {
    let mut losses: Vec<Loss> = cells.iter().flat_map(losses_of).collect();
    let pairs: Vec<Pair<'_>> = losses.iter().map(|loss| Pair::of(loss, cells, &losses)).collect();
    let reasons: Vec<_> = pairs.iter().map(Pair::reason).collect();
    losses.iter_mut().zip(reasons).for_each(|(loss, reason)| loss.reason = reason);
    losses
}

/// The groups of the losses of these cells, in the order of the first of each.
pub fn groups(cells: &[Cell], losses: &[Loss]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for loss in losses {
        if !groups.iter().any(|group| group.holds(loss)) {
            groups.push(Pair::of(loss, cells, losses).group());
        }
    }
    groups
}

fn losses_of(cell: &Cell) -> Vec<Loss> {
    let Some((ours, rivals)) = cell.costs.split_first() else { return Vec::new() };
    let loss = |counted: Counted, rival: &Cost| Loss {
        counted,
        workload: cell.workload,
        shape: cell.shape,
        seed: cell.seed,
        rival: rival.policy,
        ours: counted.of(ours),
        theirs: counted.of(rival),
        reason: None,
    };
    let fewer = rivals.iter().filter(|rival| rival.ipis < ours.ipis);
    let mut losses: Vec<_> = fewer.map(|rival| loss(Counted::Ipis, rival)).collect();
    let sooner = |rival: &&Cost| rival.cycles * 100 < ours.cycles * (100 - CLOSE);
    let linux = rivals.iter().filter(|rival| rival.policy == PolicyKind::LinuxX86.name()).filter(sooner);
    losses.extend(linux.map(|rival| loss(Counted::Cycles, rival)));
    losses
}

/// The engine and a rival on the cells of one workload.
struct Pair<'a> {
    counted: Counted,
    workload: &'static str,
    rival: &'static str,
    /// The costs of both on all cells.
    all: Vec<(&'a Cell, &'a Cost, &'a Cost)>,
    /// The cells that the rival wins.
    lost: Vec<&'a Loss>,
}

impl<'a> Pair<'a> {
    fn of(loss: &Loss, cells: &'a [Cell], losses: &'a [Loss]) -> Self {
        let &Loss { counted, workload, rival, .. } = loss;
        let both = |cell: &'a Cell| {
            let theirs = cell.costs.iter().find(|cost| cost.policy == rival)?;
            Some((cell, cell.costs.first()?, theirs))
        };
        let all = cells.iter().filter(|cell| cell.workload == workload).filter_map(both).collect();
        let lost = losses.iter().filter(|other| other.is_like(loss)).collect();
        Self { counted, workload, rival, all, lost }
    }

    /// The sum over all cells of the workload: the engine's, and the rival's.
    fn total(&self, count: fn(&Cost) -> u64) -> [u64; 2] {
        self.all.iter().fold([0, 0], |[a, b], (_, ours, theirs)| [a + count(ours), b + count(theirs)])
    }

    /// The same over the cells that are lost.
    fn total_lost(&self, count: fn(&Cost) -> u64) -> [u64; 2] {
        let is_lost = |cell: &Cell| self.lost.iter().any(|l| (l.shape, l.seed) == (cell.shape, cell.seed));
        let lost = self.all.iter().filter(|(cell, ..)| is_lost(cell));
        lost.fold([0, 0], |[a, b], (_, ours, theirs)| [a + count(ours), b + count(theirs)])
    }

    /// Whether single cells are lost and no more: the engine sends fewer over all of them, and wins each shape with
    /// some seed.
    fn is_scatter(&self) -> bool {
        let [ours, theirs] = self.total(|cost| cost.ipis);
        let of = |shape: Shape| {
            let lost = self.lost.iter().filter(|loss| loss.shape == shape).count();
            lost < self.all.iter().filter(|(cell, ..)| cell.shape == shape).count()
        };
        self.counted == Counted::Ipis && ours <= theirs && self.lost.iter().all(|loss| of(loss.shape))
    }

    fn reason(&self) -> Option<&'static str> {
        if self.is_scatter() {
            return Some(SCATTER);
        }
        let found = REASONS.iter().find(|(what, of, to, _)| {
            *what == self.counted && of.contains(&self.workload) && to.contains(&self.rival)
        });
        found.map(|(.., reason)| *reason)
    }

    fn group(&self) -> Group {
        let ratio = |loss: &Loss| loss.ours as f64 / loss.theirs.max(1) as f64;
        let worst = self.lost.iter().max_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        Group {
            counted: self.counted,
            workload: self.workload,
            rival: self.rival,
            lost: self.lost.len(),
            cells: self.all.len(),
            worst: **worst.expect("a pair is made of a loss"),
            reason: self.reason(),
            evidence: self.evidence(),
        }
    }

    fn evidence(&self) -> String {
        let times = |count: fn(&Cost) -> u64| match self.total(count) {
            [0, 0] => "none as well".to_owned(),
            [ours, 0] => format!("{ours} to none"),
            [ours, theirs] => format!("{:.2} times as many", ours as f64 / theirs as f64),
        };
        let beside = |count: fn(&Cost) -> u64| {
            let [ours, theirs] = self.total_lost(count);
            format!("{ours} to {theirs}")
        };
        format!(
            "Over all {} cells: IPIs {}, cycles {}, refills {}. On the cells that are lost: requests {}, of them to CPUs with an \
             IPI under way {}; pages dropped one by one {}, tags {}, refills {}",
            self.all.len(),
            times(|cost| cost.ipis),
            times(|cost| cost.cycles),
            times(|cost| cost.refills),
            beside(|cost| cost.ipis + cost.merged),
            beside(|cost| cost.merged),
            beside(|cost| cost.pages),
            beside(|cost| cost.tags),
            beside(|cost| cost.refills)
        )
    }
}

const SCATTER: &str = "Scatter: both interrupt a CPU only where it uses the space at that moment, which is a matter of a few hundred \
     cycles. Over all cells of the workload the engine sends no more, and it wins each of these shapes with another seed";

type Reason = (Counted, &'static [&'static str], &'static [&'static str], &'static str);

const REASONS: [Reason; 7] = [
    (
        Counted::Ipis,
        &["fork-exec-migrate", "memcached-lazy", "reclaim", "sqpoll"],
        &["redox"],
        "Redox leaves a space as soon as its CPU goes idle or runs a kernel thread, so nobody need be told later; in return each \
         return loads a root, and refills the TLB where it had something to lose. `Shootdown::leave` does the same for kernels that \
         know when it pays",
    ),
    (
        Counted::Ipis,
        &["sqpoll"],
        &["linux-x86", "linux-x86-6.1"],
        "A borrower that returns drops missed pages one by one where Linux drops the tag, so that it has the space in use for longer, \
         and more flushes find it there",
    ),
    (
        Counted::Ipis,
        &["working-sets"],
        &["linux-x86", "linux-x86-6.1"],
        "Many CPUs of one space flush at once. The engine makes fewer requests; those of Linux come while its CPUs still answer the \
         ones before, and find an IPI under way",
    ),
    (
        Counted::Cycles,
        &["mapbench-global"],
        &["linux-x86"],
        "With few CPUs a space has fewer pages in use than the engine expects to be loaded again (`FlushCosts::refills`), so that pages \
         go one by one where the tag is cheaper",
    ),
    (
        Counted::Cycles,
        &["working-sets", "isolated-tables", "numa-balancing"],
        &["linux-x86"],
        "A CPU that uses hundreds of pages loses them with the tag, where the engine expects few to be loaded again; a kernel that \
         knows its programs says so in `FlushCosts::refills`",
    ),
    (
        Counted::Cycles,
        &["sqpoll"],
        &["linux-x86"],
        "A borrower that returns drops missed pages one by one where Linux drops the tag and refills the few pages that the borrower \
         uses",
    ),
    (
        Counted::Cycles,
        &["single-after-many"],
        &["linux-x86"],
        "A flush that reaches nobody notes its range too, so that a CPU that comes late drops pages and not everything; the rest are \
         words that the shipped code reads and a model leaves out",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::SHAPES;
    use crate::workload::WorkloadKind;

    fn cost(policy: PolicyKind, ipis: u64, cycles: u64) -> Cost {
        Cost {
            policy: policy.name(),
            ipis,
            cycles,
            held: 0.0,
            merged: 1,
            pages: 2,
            tags: 3,
            refills: 4,
            as_promised: true,
        }
    }

    /// A cell in which the engine and `linux-x86` send so many IPIs.
    fn cell(shape: usize, seed: u64, [ours, linux]: [u64; 2]) -> Cell {
        let costs = vec![cost(PolicyKind::Shootdown, ours, 1_000), cost(PolicyKind::LinuxX86, linux, 1_000)];
        Cell { workload: "none", shape: SHAPES[shape], seed, flushes: 1, costs }
    }

    #[test]
    fn a_cell_is_lost_to_fewer_ipis_and_to_linux_by_over_two_percent_of_cycles() {
        let mut cell = cell(0, 1, [10, 10]);
        cell.costs[1].cycles = 980;
        cell.costs.push(cost(PolicyKind::Redox, 9, 1));
        let found: Vec<_> =
            losses(std::slice::from_ref(&cell)).iter().map(|loss| (loss.counted, loss.rival)).collect();
        assert_eq!(
            found,
            [(Counted::Ipis, "redox")],
            "2 % is close, and cycles are compared with Linux alone"
        );
        cell.costs[1].cycles = 979;
        let cells = [cell];
        let lost = losses(&cells);
        assert_eq!((lost[1].counted, lost[1].ours, lost[1].theirs), (Counted::Cycles, 1_000, 979));
        assert_eq!(groups(&cells, &lost).len(), 2);
        assert!(lost.iter().all(|loss| loss.reason.is_none()), "no workload has that name");
    }

    #[test]
    fn a_loss_is_scatter_if_the_engine_sends_no_more_in_all_and_wins_the_shape_with_another_seed() {
        let reason = |cells: &[Cell]| losses(cells).first().and_then(|loss| loss.reason);
        assert_eq!(reason(&[cell(0, 1, [3, 2]), cell(0, 2, [1, 2])]), Some(SCATTER));
        assert_eq!(reason(&[cell(0, 1, [4, 2]), cell(0, 2, [1, 2])]), None, "it sends more in all");
        assert_eq!(reason(&[cell(0, 1, [3, 2]), cell(1, 1, [1, 9])]), None, "it never wins the shape");
    }

    #[test]
    fn a_group_names_its_worst_cell_and_says_what_was_counted() {
        let cells = [cell(0, 1, [3, 2]), cell(0, 2, [1, 5]), cell(1, 1, [8, 4]), cell(1, 2, [1, 9])];
        let lost = losses(&cells);
        let [group] = &groups(&cells, &lost)[..] else { panic!("one group") };
        assert_eq!((group.lost, group.cells, group.worst), (2, 4, lost[1]));
        for counted in ["Over all 4 cells: IPIs 0.65 times as many", "requests 13 to 8", "under way 2 to 2"] {
            assert!(group.evidence.contains(counted), "{counted}: {}", group.evidence);
        }
    }

    #[test]
    fn every_reason_is_of_a_workload_and_a_rival() {
        for (_, workloads, rivals, reason) in REASONS {
            assert!(workloads.iter().all(|name| !WorkloadKind::of(name).is_empty()), "{reason}");
            assert!(
                rivals.iter().all(|name| PolicyKind::of(name).is_some_and(PolicyKind::is_safe)),
                "{reason}"
            );
        }
    }
}
