use std::future::Future;

use tokio::time::Instant;

tokio::task_local! {
    static SCOPE: Scope;
}

/// What the calls that one task makes inside another call know of it.
#[derive(Debug, Clone, Copy, Default)]
struct Scope {
    deadline: Option<Instant>,
    retrying: bool,
}

fn current() -> Scope {
    SCOPE.try_with(|scope| *scope).unwrap_or_default()
}

/// Runs `work` under a deadline: no attempt inside it begins later, none waits or runs beyond it. An outer deadline that
/// is nearer stays. Tasks that `work` spawns do not inherit it.
pub async fn within<W: Future>(deadline: Instant, work: W) -> W::Output {
    let outer = current();
    let deadline = outer.deadline.map_or(deadline, |outer| outer.min(deadline));
    SCOPE.scope(Scope { deadline: Some(deadline), ..outer }, work).await
}

/// Runs an attempt that is repeated from here, so that nothing inside repeats it as well.
pub(crate) async fn repeated<W: Future>(work: W) -> W::Output {
    SCOPE.scope(Scope { retrying: true, ..current() }, work).await
}

/// The deadline of the calls that are made here.
pub(crate) fn deadline() -> Option<Instant> {
    current().deadline
}

/// Whether somebody further out repeats what fails here.
pub(crate) fn is_repeated() -> bool {
    current().retrying
}
