//! The real `commerce` binary, run as people run it.

#[cfg(test)]
mod audit_events;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod compose;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod dlq;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod kill_mixed;
#[cfg(test)]
mod kill_steps;
#[cfg(test)]
mod mode;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod mutated;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod sales;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod support;
#[cfg(test)]
mod up;
#[cfg(test)]
mod walk;
#[cfg(test)]
mod wire;
