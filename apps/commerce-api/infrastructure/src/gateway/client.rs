use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_api_application::ports::{
    Charge, ChargeError, GatewayAbilities, GatewayError, GatewayTransaction, PaymentGateway, SettlementPage,
    TransactionSummary,
};
use commerce_api_domain::{CardBrand, Money, PaymentId};
use commerce_contracts::gateway::{
    CancelRequest, CardType, IDEMPOTENCY_HEADER, PaymentRequest, Refund, Transaction,
};
use commerce_resilience::{BreakerRegistry, Pipeline};
use reqwest::{Method, RequestBuilder};

use super::answer;
use super::fault::Fault;
use super::measured::{UnderWay, not_begun};
use super::options::{GatewayOptions, GatewaySetupError};
use super::pipelines::{Pipelines, Repeat};
use super::report;
use super::transport::{ANSWER_BYTES_MAX, Answer, REPORT_BYTES_MAX, Transport};

/// Why the gateway is asked to give a capture back, in its books.
const REFUND_REASON: &str = "order canceled";

/// A gateway over HTTP.
pub struct HttpGateway {
    transport: Transport,
    pipelines: Pipelines,
    breakers: BreakerRegistry,
    options: GatewayOptions,
}

impl std::fmt::Debug for HttpGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpGateway").field("options", &self.options).finish_non_exhaustive()
    }
}

impl HttpGateway {
    /// The gateway that `options` name. Nothing is sent.
    pub fn new(options: GatewayOptions) -> Result<Self, GatewaySetupError> {
        let breakers = BreakerRegistry::default();
        let pipelines = Pipelines::new(&options, &breakers)?;
        Ok(Self { transport: Transport::new(&options)?, pipelines, breakers, options })
    }

    /// Its breakers: `gateway-charge`, `gateway-query`, `gateway-refund`.
    pub fn breakers(&self) -> BreakerRegistry {
        self.breakers.clone()
    }

    /// Sends a request until it has an answer or must not be repeated; `call` is its name in metrics.
    async fn ask<T>(
        &self,
        pipeline: &Pipeline,
        call: (&'static str, Repeat),
        request: RequestBuilder,
        read: impl Fn(&Answer) -> Result<T, Fault> + Send + Sync,
    ) -> Result<T, Fault> {
        self.ask_for(ANSWER_BYTES_MAX, pipeline, call, request, read).await
    }

    /// The same, where the answer may have up to `bytes_max`.
    async fn ask_for<T>(
        &self,
        bytes_max: usize,
        pipeline: &Pipeline,
        (call, repeat): (&'static str, Repeat),
        request: RequestBuilder,
        read: impl Fn(&Answer) -> Result<T, Fault> + Send + Sync,
    ) -> Result<T, Fault> {
        let attempt = || async {
            let under_way = UnderWay::begin(call);
            let end = match request.try_clone() {
                Some(request) => {
                    self.transport.send(request, bytes_max).await.and_then(|answer| read(&answer))
                }
                None => Err(Fault::NotSent("the request cannot be made".to_owned())),
            };
            under_way.end(&end);
            end
        };
        let end = pipeline.call(&repeat, attempt).await;
        Ok(end.inspect_err(|error| not_begun(call, error))?)
    }

    /// Whether the gateway has something under our reference, or does not say.
    async fn knows(&self, payment: PaymentId) -> bool {
        self.find_by_reference(payment).await.map_or(true, |found| !found.is_empty())
    }

    fn payment_request(&self, charge: &Charge) -> PaymentRequest {
        PaymentRequest {
            order_id: charge.payment.to_string(),
            card_type: card_type(charge.brand),
            card_no: charge.card.expose().to_owned(),
            amount: charge.amount.won(),
            callback_url: self.options.callback_url.clone(),
        }
    }
}

const fn card_type(brand: CardBrand) -> CardType {
    match brand {
        CardBrand::Samsung => CardType::Samsung,
        CardBrand::Kb => CardType::Kb,
        CardBrand::Hyundai => CardType::Hyundai,
    }
}

/// A 404 in the gateway's own words: it does not know what was asked for.
fn or_unknown_there<T>(end: Result<T, Fault>, nothing: impl FnOnce() -> T) -> Result<T, GatewayError> {
    match end {
        Err(Fault::Refused { status: 404, .. }) => Ok(nothing()),
        other => other.map_err(GatewayError::from),
    }
}

#[async_trait]
impl PaymentGateway for HttpGateway {
    fn abilities(&self) -> GatewayAbilities {
        self.options.abilities
    }

    async fn charge(&self, charge: &Charge) -> Result<TransactionSummary, ChargeError> {
        let request = self.transport.request(Method::POST, &["api", "v1", "payments"]);
        let request = request.json(&self.payment_request(charge));
        let (repeat, request) = if self.options.abilities.idempotency {
            let key = charge.idempotency_key();
            (Repeat::Effect, request.header(IDEMPOTENCY_HEADER, key))
        } else {
            (Repeat::Unsafe, request)
        };
        let read = |answer: &Answer| answer::data(answer).and_then(|data| answer::summary(&data));
        match self.ask(&self.pipelines.charge, ("charge", repeat), request, read).await {
            // It may refuse the repetition of what it recorded, such as another body under a known key.
            Err(fault @ Fault::Refused { .. }) if self.knows(charge.payment).await => {
                Err(ChargeError::Unknown(format!("refused, although something is recorded: {fault:?}")))
            }
            end => end.map_err(Fault::of_charge),
        }
    }

    async fn find(&self, key: &str) -> Result<Option<GatewayTransaction>, GatewayError> {
        let request = self.transport.request(Method::GET, &["api", "v1", "payments", key]);
        let read = |answer: &Answer| {
            let found: Transaction = answer::data(answer)?;
            answer::transaction(&found, key).map(Some)
        };
        or_unknown_there(
            self.ask(&self.pipelines.query, ("find", Repeat::Question), request, read).await,
            || None,
        )
    }

    async fn find_by_reference(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        let reference = payment.to_string();
        let request = self.transport.request(Method::GET, &["api", "v1", "payments"]);
        let request = request.query(&[("orderId", &reference)]);
        let read = |answer: &Answer| answer::summaries(&answer::data(answer)?, &reference);
        or_unknown_there(
            self.ask(&self.pipelines.query, ("list", Repeat::Question), request, read).await,
            Vec::new,
        )
    }

    async fn refund(&self, key: &str, amount: Money, refund_key: &str) -> Result<(), GatewayError> {
        if !self.options.abilities.refund {
            return Err(GatewayError::Refused("this gateway gives nothing back".to_owned()));
        }
        let body = CancelRequest { amount: Some(amount.won()), reason: REFUND_REASON.to_owned() };
        let request = self.transport.request(Method::POST, &["api", "v1", "payments", key, "cancel"]);
        let request = request.header(IDEMPOTENCY_HEADER, refund_key).json(&body);
        let read = |answer: &Answer| {
            let refund: Refund = answer::data(answer)?;
            if refund.transaction_key == key && refund.refunded >= amount.won() {
                Ok(())
            } else {
                Err(Fault::Unknown("the refund is of another transaction or amount".to_owned()))
            }
        };
        Ok(self.ask(&self.pipelines.refund, ("refund", Repeat::Effect), request, read).await?)
    }

    async fn void(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        if !self.options.abilities.void {
            return Err(GatewayError::Refused("this gateway closes no reference".to_owned()));
        }
        let reference = payment.to_string();
        let segments = ["api", "v1", "references", &reference, "void"];
        let request = self.transport.request(Method::POST, &segments);
        let read = |answer: &Answer| answer::summaries(&answer::data(answer)?, &reference);
        Ok(self.ask(&self.pipelines.refund, ("void", Repeat::Effect), request, read).await?)
    }

    async fn settlement(&self, date: NaiveDate, after: Option<i64>) -> Result<SettlementPage, GatewayError> {
        if !self.options.abilities.settlement {
            return Err(GatewayError::Refused("this gateway has no settlement report".to_owned()));
        }
        let request = self.transport.request(Method::GET, &["api", "v1", "settlements"]);
        let mut asked = vec![("date", date.to_string()), ("limit", report::ENTRIES_MAX.to_string())];
        asked.extend(after.map(|after| ("after", after.to_string())));
        let request = request.query(&asked);
        let read = |answer: &Answer| report::page(answer::data(answer)?, date);
        let (query, call) = (&self.pipelines.query, ("settlement", Repeat::Question));
        Ok(self.ask_for(REPORT_BYTES_MAX, query, call, request, read).await?)
    }
}
