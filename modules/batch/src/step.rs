use std::sync::Arc;

use async_trait::async_trait;
use commerce_database::{BoxFuture, DatabaseError, WriteTransaction};

/// Business rows, written in the transaction that keeps the checkpoint. It may run more than once, each time in a
/// transaction of its own, and must write the same then.
pub type Work =
    Arc<dyn for<'t> Fn(&'t WriteTransaction) -> BoxFuture<'t, Result<(), DatabaseError>> + Send + Sync>;

/// The keys that a chunk stands for: those after `after` up to `through`, or all of them where it is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The last key before it; none at the beginning.
    pub after: Option<i64>,
    /// Its last key; none at the end.
    pub through: Option<i64>,
}

/// A step that reads, processes and writes a number of items at a time.
#[async_trait]
pub trait ChunkStep: Send + Sync {
    /// What is read.
    type Item: Send + Sync;
    /// What is written.
    type Output: Send + Sync + 'static;

    /// Its name, unique in its job.
    fn name(&self) -> &'static str;

    /// The key of an item. Keys ascend strictly in the order of reading.
    fn key(&self, item: &Self::Item) -> i64;

    /// The first `max` items after a key, of one unchanging state of the input. Fewer mean that there are no more.
    async fn read(&self, after: Option<i64>, max: u32) -> Result<Vec<Self::Item>, DatabaseError>;

    /// What is to be written of an item; none where nothing is. Pure: it may run again. An item that cannot be
    /// processed is left out under the name of a kind, as long as there are not too many.
    fn process(&self, item: &Self::Item) -> Result<Option<Self::Output>, &'static str>;

    /// Writes what a chunk gave, by setting and not by adding, and removes what is not of it any more.
    fn write(&self, span: Span, outputs: Vec<Self::Output>) -> Work;

    /// The kind under which an item is left out that the writer refuses by this error; none where the step fails.
    fn skips(&self, _error: &DatabaseError) -> Option<&'static str> {
        None
    }
}
