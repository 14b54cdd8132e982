//! What the use cases need from the outside, as traits that name no driver.

mod accounts;
mod audit;
mod breakers;
mod cache;
mod catalogue;
mod coupons;
mod error;
mod events;
mod gateway;
mod likes;
mod maintenance;
mod orders;
mod payments;
mod rankings;
mod reconciliation;
mod runtime;
mod secrets;
mod unit_of_work;

pub use accounts::{
    AccountStore, Credentials, LedgerPage, NewBuyer, NewSession, NewUser, Profile, SessionOwner,
    SessionStore, SessionTouch, Taken,
};
pub use audit::{
    AuditReport, AuditStore, AuditTrail, Audited, EventFacts, Finding, FindingState, OrderEvents, Sold,
};
pub use breakers::{BreakerSwitch, BreakerView, CircuitBreakers};
pub use cache::{LIVE_MAX, LiveProduct, ProductCache, ProductSource};
pub use catalogue::{
    Brand, CatalogueStore, NewBrand, NewProduct, ProductCounts, ProductPatch, ProductPosition, ProductQuery,
    ProductSort, ProductUpdate, ProductView, PurchaseLimitChange, UpdateRefused,
};
pub use coupons::{CouponStore, CouponView, IssuedCouponView, NewCoupon};
pub use error::{BoxError, CommitError, StorageError};
pub use events::{
    AcknowledgedRow, EventPublisher, HeldShard, OutboxDepth, OutboxRow, OutboxStore, PublishError,
    PublishedEvent, RelayOptions, Stream,
};
pub use gateway::{
    CardNumber, Charge, ChargeError, GatewayAbilities, GatewayError, GatewayTransaction, PaymentGateway,
    SettlementPage, TransactionState, TransactionSummary,
};
pub use likes::{LikeKey, LikeQueries, LikedProduct, LockedLikes, NewLikes};
pub use maintenance::{Lease, LeaseStore, LeaseTaking, Maintenance};
pub use orders::{OrderFilter, OrderPosition, OrderQueries};
pub use payments::{
    CallbackInbox, CardCipher, ClaimedCheck, DoesNotOpen, DueRefund, InboxEntry, NextCheck, OpenFilter,
    OpenPayment, PaymentChecks, PaymentQueries, PaymentsInState, SealedCard, Verdict,
};
pub use rankings::{BoardPage, BoardPeriod, BoardType, Place, RankingBoards};
pub use reconciliation::{
    CapturePosition, ComparedDay, FindingFilter, ReconciledDay, ReconciliationFinding, ReconciliationState,
    ReconciliationStore, RefundPosition, ReportPage, Reported, Resolution, ResolvedHow,
};
pub use runtime::{Clock, IdSource};
pub use secrets::{Fingerprint, Fingerprinter, PasswordHasher, TokenHash, TokenSource};
pub use unit_of_work::{
    Answer, AuditEntry, DeskChanges, IdempotencyScope, LockRequest, Locked, OrderParts, OutboxRecord,
    PaymentTraces, RefundRow, Storage, StoredAnswer, UnitOfWork,
};
