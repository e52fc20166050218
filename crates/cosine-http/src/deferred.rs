//! The answer to work that may take long: it begins before the work is done.
//!
//! Source: `PUT Object - Copy`, note on errors. 200 and the XML declaration go out at once, white space
//! every few seconds, so that nobody on the way takes the connection for dead, and in the end the result,
//! or the error: a client has to read the body.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cosine_store::{Clock, Sleep};
use cosine_wire::ApiError;
use cosine_wire::xml::DECLARATION;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// So often something is sent.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Bytes that it holds while it moves an object, if that has so many: being read, hashed and written.
pub const WORK_BYTES: u64 = 2 << 20;

/// What there is to send in the meantime: XML lets white space stand between declaration and root.
const FILLING: Bytes = Bytes::from_static(b" ");

/// Work under way, and where its answer has got to. Dropped, the work ends where it is; what it has
/// begun to commit is committed.
pub struct Deferred {
    clock: Arc<dyn Clock>,
    state: State,
    /// What an error document says beside the error.
    context: [String; 3],
}

enum State {
    /// Nothing is sent.
    Fresh(JoinHandle<Result<String, ApiError>>),
    /// The declaration is sent.
    Working(JoinHandle<Result<String, ApiError>>, Sleep),
    /// All is sent.
    Over,
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deferred").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if let State::Fresh(work) | State::Working(work, _) = &self.state {
            work.abort();
        }
    }
}

impl Deferred {
    /// Begins the work, whose result is the root of the document.
    pub fn begin(
        clock: &Arc<dyn Clock>,
        work: impl Future<Output = Result<String, ApiError>> + Send + 'static,
    ) -> Self {
        let state = State::Fresh(tokio::spawn(work.in_current_span()));
        Self { clock: Arc::clone(clock), state, context: Default::default() }
    }

    /// What an error document says beside the error.
    pub fn explain_errors(&mut self, resource: String, request_id: String, trace_id: String) {
        self.context = [resource, request_id, trace_id];
    }

    /// Whether all is sent.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The next piece.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Over => Poll::Ready(None),
            State::Fresh(work) => {
                self.state = State::Working(work, self.clock.sleep(KEEP_ALIVE));
                Poll::Ready(Some(Bytes::from_static(DECLARATION.as_bytes())))
            }
            State::Working(mut work, mut alarm) => {
                if let Poll::Ready(done) = std::pin::pin!(&mut work).poll(context) {
                    let done = done.unwrap_or_else(|error| {
                        tracing::error!(%error, "work under way did not end");
                        Err(cosine_wire::Code::InternalError.into())
                    });
                    return Poll::Ready(Some(self.render(done).into()));
                }
                let rang = alarm.as_mut().poll(context).is_ready();
                if rang {
                    alarm = self.clock.sleep(KEEP_ALIVE);
                }
                self.state = State::Working(work, alarm);
                if rang { Poll::Ready(Some(FILLING)) } else { Poll::Pending }
            }
        }
    }

    fn render(&self, done: Result<String, ApiError>) -> String {
        let [resource, request_id, trace_id] = &self.context;
        done.unwrap_or_else(|error| {
            tracing::warn!(code = error.code.as_str(), "an error within a 200");
            error.root(resource, request_id, trace_id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosine_store::ManualClock;
    use cosine_wire::Code;
    use std::future::poll_fn;
    use tokio::sync::oneshot;

    async fn next(body: &mut Deferred) -> Option<Bytes> {
        poll_fn(|context| body.poll_next(context)).await
    }

    /// Whether there is nothing to send now.
    async fn is_silent(body: &mut Deferred) -> bool {
        // The work runs on the same thread: it gets its turn first.
        tokio::task::yield_now().await;
        poll_fn(|context| Poll::Ready(body.poll_next(context).is_pending())).await
    }

    #[tokio::test]
    async fn something_is_sent_every_five_seconds_until_the_result_is_there() {
        let clock = Arc::new(ManualClock::at(0));
        let (done, result) = oneshot::channel();
        let work = async move { result.await.unwrap() };
        let mut body = Deferred::begin(&(Arc::clone(&clock) as Arc<dyn Clock>), work);
        assert_eq!(next(&mut body).await.unwrap(), DECLARATION);
        for _ in 0..3 {
            assert!(is_silent(&mut body).await);
            clock.advance(KEEP_ALIVE - Duration::from_millis(1));
            assert!(is_silent(&mut body).await);
            clock.advance(Duration::from_millis(1));
            assert_eq!(next(&mut body).await.unwrap(), " ");
        }
        done.send(Ok("<Result/>".to_owned())).unwrap();
        assert_eq!(next(&mut body).await.unwrap(), "<Result/>");
        assert!(body.is_over());
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn an_error_is_the_root_of_the_document() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(0));
        let mut body = Deferred::begin(&clock, async { Err(Code::InternalError.into()) });
        body.explain_errors("b/k".to_owned(), "rid".to_owned(), "tid".to_owned());
        assert_eq!(next(&mut body).await.unwrap(), DECLARATION);
        let root = String::from_utf8(next(&mut body).await.unwrap().to_vec()).unwrap();
        assert!(root.starts_with("\n<Error>\n\t<Code>InternalError</Code>"), "{root}");
        assert!(root.contains("<Resource>b/k</Resource>\n\t<RequestId>rid</RequestId>"), "{root}");
    }

    #[tokio::test]
    async fn a_client_that_goes_away_ends_the_work() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(0));
        let (alive, gone) = oneshot::channel::<()>();
        let work = async move {
            let _alive = alive;
            std::future::pending().await
        };
        let mut body = Deferred::begin(&clock, work);
        next(&mut body).await;
        drop(body);
        assert!(gone.await.is_err(), "the work was dropped");
    }
}
