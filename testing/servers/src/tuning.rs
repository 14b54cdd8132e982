/// How careful a server is with what it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// As its vendor ships it: what is acknowledged survives a power cut. For development and for figures.
    Durable,
    /// For tests: small, quick to start, and nothing waits for a disk. What is acknowledged survives `kill -9`, since the
    /// operating system has it, but no power cut.
    Fast,
}
