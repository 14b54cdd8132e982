//! What can go wrong.

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident $permille:literal),* $(,)?) => {
        /// A kind of fault. Each is injected or not in a run, so that a failure can be brought down to those it needs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])* $name),*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// How often it happens where it can, in 1,000.
            pub const fn permille(self) -> u64 {
                match self { $(Self::$name => $permille),* }
            }
        }
    };
}

faults! {
    /// The database takes long for a statement.
    DatabaseSlow 30,
    /// No transaction can be begun.
    BeginRefused 40,
    /// A lock is not given.
    LockBusy 40,
    /// A write finds the database busy.
    WriteBusy 40,
    /// A write is refused as data.
    WriteRefused 15,
    /// A commit is refused.
    CommitRefused 50,
    /// A commit was done, and its answer is lost.
    CommitAnswerLost 50,
    /// A commit was not done, and its answer is lost.
    CommitLost 30,
    /// A statement of its own fails.
    StatementFails 40,
    /// A statement of its own was done, and its answer is lost.
    StatementAnswerLost 30,
    /// A node of the shop dies some time, at whatever it waits for.
    Crash 350,
    /// A process dies at the very call that it makes, before it or after.
    CrashAtCall 1,
    /// A node of the shop stands still and loses its leases.
    Freeze 250,
    /// A collector dies.
    CollectorCrash 300,
    /// A collector stands still and loses its partitions.
    CollectorFreeze 200,
    /// There is no connection to the gateway.
    ChargeNotSent 100,
    /// A charge is lost on its way.
    ChargeLost 80,
    /// A charge was recorded, and its answer is lost.
    ChargeAnswerLost 120,
    /// The gateway answers with 5xx what it has recorded.
    ChargeFailsRecorded 80,
    /// The gateway does not answer until the time limit.
    ChargeHangs 60,
    /// A charge is recorded only after a while.
    RecordedLate 80,
    /// A charge reaches a gateway without keys twice.
    RecordedTwice 60,
    /// A charge is declined.
    Declined 200,
    /// Questions to the gateway fail.
    QueryFails 150,
    /// The gateway takes long for a question.
    QuerySlow 80,
    /// The gateway answers questions from an old copy.
    QueryStale 150,
    /// Refunds fail.
    RefundFails 700,
    /// A refund was made, and its answer is lost.
    RefundAnswerLost 150,
    /// The gateway cannot be reached for a while.
    GatewayDown 300,
    /// A callback is lost for good.
    CallbackLost 300,
    /// A callback comes late.
    CallbackDelayed 300,
    /// A callback comes twice.
    CallbackDoubled 200,
    /// A callback comes before the answer of the charge.
    CallbackEarly 150,
    /// A callback with a wrong amount comes as well.
    CallbackWrongAmount 80,
    /// A callback that nobody signed says what is not so.
    CallbackForged 150,
    /// The bus does not take a record.
    PublishFails 60,
    /// The bus took a record, and its answer is lost.
    PublishAckLost 60,
    /// The bus cannot be reached for a while.
    BusDown 250,
    /// Reading from the bus fails.
    FetchFails 40,
    /// A partition is given to another member, or to the same one anew.
    Rebalance 300,
    /// A member learns late that a partition is another's.
    Zombie 400,
    /// The bus does not keep a committed offset.
    OffsetLost 200,
    /// The collector's storage refuses a batch.
    CountRefused 80,
    /// The collector's storage has counted a batch, and its answer is lost.
    CountAnswerLost 80,
    /// A client sends a command again that was answered.
    ClientRepeats 150,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults(u64);

impl Faults {
    /// Whether `fault` is among them.
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u64) != 0
    }

    /// With `fault`.
    #[must_use]
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | (1 << fault as u64))
    }

    /// Without `fault`.
    #[must_use]
    pub const fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u64))
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |fault| self.has(*fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_bit_of_its_own() {
        assert!(Fault::ALL.len() <= 64);
        let all = Fault::ALL.iter().fold(Faults::default(), |all, fault| all.with(*fault));
        assert_eq!(all.each().count(), Fault::ALL.len());
        let rest = all.without(Fault::Crash);
        assert!(!rest.has(Fault::Crash) && rest.each().count() == Fault::ALL.len() - 1);
    }
}
