//! One request's own figures: what it moves, how it ends, how long it takes, and its line in the
//! access log.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use cosine_store::Error;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use tracing::Span;

use crate::metrics::{Label, Metrics, Outcome};
use crate::reply::Outgoing;

/// The target of the access log: `--log info,access=debug` switches it on.
macro_rules! access_log {
    () => {
        "access"
    };
}

/// Counts one request. Its end is the end of the request: the answer has left, or nobody wants it.
#[derive(Debug)]
pub struct Meter {
    metrics: Arc<Metrics>,
    label: Label,
    began: Instant,
    inlet: Option<Arc<Inlet>>,
    sent: u64,
    outcome: Option<Outcome>,
    span: Span,
    access: Option<Box<Access>>,
}

/// What the access log says of a request, beyond figures.
#[derive(Debug)]
struct Access {
    request_id: String,
    method: http::Method,
    /// The path alone: a query can hold a signature that others must not replay.
    path: String,
}

/// Counts the bytes of a request's body, for the request and for its operation.
#[derive(Debug)]
pub struct Inlet {
    metrics: Arc<Metrics>,
    label: Label,
    received: AtomicU64,
}

impl Inlet {
    /// Bytes came in.
    pub fn add(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.metrics.of(self.label).received(bytes);
    }
}

impl Meter {
    /// A request begins: its head is there.
    pub fn begin(metrics: &Arc<Metrics>, label: Label, request_id: &str, parts: &Parts) -> Self {
        metrics.under_way.inc();
        let access = || Access {
            request_id: request_id.to_owned(),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
        };
        let is_logged = tracing::enabled!(target: access_log!(), tracing::Level::DEBUG);
        Self {
            metrics: Arc::clone(metrics),
            label,
            began: Instant::now(),
            inlet: None,
            sent: 0,
            outcome: None,
            // Of the highest level, so that it is there whatever is logged; as plain text, since
            // quoting it would cost more than all the rest.
            span: tracing::error_span!("request", %request_id),
            access: is_logged.then(|| Box::new(access())),
        }
    }

    /// What is logged within this carries the request id.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// What the request's body is to be counted with.
    pub fn inlet(&mut self) -> Arc<Inlet> {
        let (metrics, label) = (Arc::clone(&self.metrics), self.label);
        let inlet = Arc::new(Inlet { metrics, label, received: AtomicU64::new(0) });
        self.inlet = Some(Arc::clone(&inlet));
        inlet
    }

    /// The answer is known.
    pub fn answered(&mut self, outcome: Outcome) {
        self.metrics.of(self.label).answered(outcome, self.began.elapsed());
        self.outcome = Some(outcome);
    }

    fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
        self.metrics.of(self.label).sent(bytes);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.metrics.under_way.dec();
        if self.outcome.is_none() {
            self.metrics.of(self.label).abandoned();
        }
        let Some(access) = self.access.take() else { return };
        let Access { request_id, method, path } = *access;
        let (status, code) = self.outcome.unwrap_or(Outcome::ABANDONED).labels();
        let received =
            self.inlet.as_ref().map_or(0, |inlet| inlet.received.load(Ordering::Relaxed));
        tracing::debug!(
            target: access_log!(),
            parent: None,
            request_id,
            operation = self.label.name(),
            %method,
            path,
            status,
            code,
            bytes_in = received,
            bytes_out = self.sent,
            micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
}

/// The body of an answer, counted as it leaves.
#[derive(Debug)]
pub struct Metered {
    /// What is sent.
    pub body: Outgoing,
    /// What counts it.
    pub meter: Meter,
}

impl Body for Metered {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = this.meter.span.in_scope(|| Pin::new(&mut this.body).poll_frame(context));
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.meter.sent(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_request_that_is_dropped_without_an_answer_is_counted_as_abandoned() {
        let metrics = Arc::new(Metrics::default());
        let (parts, ()) = http::Request::new(()).into_parts();
        drop(Meter::begin(&metrics, Label::Unrouted, "id", &parts));
        let (mut registry, mut page) = (Registry::default(), String::new());
        metrics.register(&mut registry);
        encode(&mut page, &registry).unwrap();
        let counted = r#"{operation="Unrouted",status="499",code="ClientClosedRequest"} 1"#;
        assert!(page.contains(counted), "{page}");
        assert!(page.contains("under_way 0\n"), "{page}");
    }
}
