//! Several processes on real servers while servers, the network and processes fail. At the end of each fault everything
//! drains, the audit is clean, what was counted is exact, and every answer that was given is given again.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod load;
#[cfg(test)]
mod node;
#[cfg(test)]
#[path = "../command/support.rs"]
#[expect(dead_code, reason = "the other target uses the rest of it")]
mod support;
#[cfg(test)]
mod turns;
