//! From a failing run to the least that still fails.

use crate::fault::Fault;
use crate::plan::Plan;
use crate::run::{Attention, Report, run};

/// Runs tried at most; a run takes milliseconds.
const TRIES_MAX: usize = 400;

/// The smallest plan found that fails as `plan` does, and its report with a trace.
pub fn shrink(plan: &Plan) -> (Plan, Report) {
    let mut search = Search { best: plan.clone(), tries: 0 };
    search.fewer_faults();
    search.fewer_commands();
    search.fewer_processes();
    search.fewer_faults();
    let report = run(&search.best, Attention::CLOSE);
    (search.best, report)
}

struct Search {
    best: Plan,
    tries: usize,
}

impl Search {
    /// Keeps `plan` where it fails too.
    fn keeps(&mut self, plan: Plan) -> bool {
        if self.tries >= TRIES_MAX {
            return false;
        }
        self.tries += 1;
        let fails = !run(&plan, Attention { traced: false, recount_every: 1 }).wrong.is_empty();
        if fails {
            self.best = plan;
        }
        fails
    }

    fn fewer_faults(&mut self) {
        let there: Vec<Fault> = self.best.faults.each().collect();
        for fault in there {
            let plan = Plan { faults: self.best.faults.without(fault), ..self.best.clone() };
            self.keeps(plan);
        }
    }

    fn fewer_commands(&mut self) {
        let mut size = self.best.commands.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.best.commands.len() {
                let mut commands = self.best.commands.clone();
                commands.drain(from..commands.len().min(from + size));
                if !self.keeps(Plan { commands, ..self.best.clone() }) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn fewer_processes(&mut self) {
        if self.best.collectors > 1 {
            self.keeps(Plan { collectors: 1, ..self.best.clone() });
        }
        if self.best.nodes > 1 {
            self.keeps(Plan { nodes: 1, ..self.best.clone() });
        }
    }
}
