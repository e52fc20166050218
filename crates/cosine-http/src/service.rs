//! One request, from its head to its answer.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cosine_access::Caller;
use cosine_wire::header::{SYSTEM_METADATA, name};
use cosine_wire::id::{RequestId, trace_id};
use cosine_wire::qsign::{Presented, Signed};
use cosine_wire::{ApiError, Code};
use http::request::Parts;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header,
};
use http_body::Body;
use hyper::body::Incoming;
use tracing::Instrument;

use crate::activity::Working;
use crate::audit::Event;
use crate::body::{Terms, Upload};
use crate::client::{Arrival, Client};
use crate::meter::{Meter, Metered};
use crate::metrics::{Label, Outcome};
use crate::operation::{self, Ask, Row, Scope, State};
use crate::reply::{Outgoing, Reply, ReplyBody};
use crate::request::{Head, Request, Target};
use crate::system::{self, Endpoint};
use crate::{Api, admin, cors, ops, sts};

/// Query keys that ask a read for more than the object, such as a thumbnail of it. The object in its
/// place would be a wrong answer behind a 200.
const REFUSED_ON_READ: [&str; 10] = [
    "ci-process",
    "exif",
    "image_process",
    "imageave",
    "imageinfo",
    "imagemogr2",
    "imageview2",
    "style",
    "watermark",
    "x-cos-traffic-limit",
];

/// Conditions that a write does not hold itself to yet.
const REFUSED_ON_WRITE: [&str; 4] =
    ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

/// What a request turned out to ask for.
enum Routed {
    /// Something of the server itself.
    System(Endpoint),
    /// Administration.
    Admin { command: &'static admin::Row, head: Head },
    /// Temporary credentials.
    Sts(Head),
    /// An operation.
    Operation { row: &'static Row, head: Head, target: Target },
}

impl Routed {
    fn target(&self) -> Option<&Target> {
        match self {
            Self::Operation { target, .. } => Some(target),
            _ => None,
        }
    }

    fn label(&self) -> Label {
        match self {
            Self::System(_) | Self::Admin { .. } | Self::Sts(_) => Label::System,
            Self::Operation { row, .. } => Label::Operation(row.operation),
        }
    }
}

/// The token of temporary credentials that comes with a signature.
pub fn token(head: &Head) -> Option<&str> {
    let header = head.headers.get(name::SECURITY_TOKEN).and_then(|token| token.to_str().ok());
    header.or_else(|| head.query.get(name::SECURITY_TOKEN)).map(str::trim).filter(|t| !t.is_empty())
}

impl Api {
    /// Answers a request. Never fails: what goes wrong is answered too.
    pub(crate) async fn respond(
        &self,
        request: http::Request<Incoming>,
        client: Client,
        spelling: &Extensions,
        working: Working,
    ) -> Response<Metered> {
        let (parts, body) = request.into_parts();
        let request_id = self.request_id(client.local);
        let routed = self.route(&parts);
        let label = routed.as_ref().map_or(Label::Unrouted, Routed::label);
        let mut meter = Meter::begin(&self.metrics, label, &request_id, &parts);
        let inlet = (!body.is_end_stream()).then(|| meter.inlet());
        let sending = working.send();
        let (memory, stall_time) = (Arc::clone(&self.memory), self.settings.limits.stall_time);
        let upload = Upload::new(body, &parts, Terms { memory, stall_time, working }, inlet);
        let arrival = Arrival { id: request_id.clone(), client, at: self.clock.now_seconds() };
        let target = routed.as_ref().ok().and_then(Routed::target);
        let from_page = cors::FromPage::find(&parts, target);
        // Pinned first: the future is large, and would be moved by what is put around it.
        let answer = pin!(self.answer(routed, arrival, upload));
        let answered = answer.instrument(meter.span()).await;
        let (mut reply, outcome) = match answered {
            Ok(mut reply) => {
                if let ReplyBody::Deferred(body) = &mut reply.body {
                    let resource = Head::resource(&parts);
                    body.explain_errors(resource, request_id.clone(), new_trace_id());
                }
                let outcome = Outcome::plain(reply.status);
                (reply, outcome)
            }
            Err(error) => (refuse(&error, &parts, &request_id), Outcome::code(error.code)),
        };
        meter.answered(outcome);
        if let Some(page) = from_page {
            reply = page.let_see(self, reply).await;
        }
        let is_http2 = parts.version == Version::HTTP_2;
        let body = Outgoing::new(reply.body, reply.held, sending, is_http2);
        let mut response = Response::new(Metered { body, meter });
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        *response.extensions_mut() = spelling.clone();
        let headers = response.headers_mut();
        headers.insert(header::SERVER, HeaderValue::from_static("tencent-cos"));
        insert_text(headers, name::REQUEST_ID, &request_id);
        response
    }

    /// Finds out what a request asks for.
    fn route(&self, parts: &Parts) -> Result<Routed, ApiError> {
        let head = Head::read(parts)?;
        if let Some(endpoint) = system::find(&head, &self.settings.hosts) {
            return Ok(Routed::System(endpoint));
        }
        if let Some(command) = admin::find(&head, &self.settings.hosts) {
            return Ok(Routed::Admin { command, head });
        }
        if sts::is_for(&head, &self.settings.hosts, self.settings.sts_host.as_deref()) {
            return Ok(Routed::Sts(head));
        }
        let (scope, target) = head.address(&self.settings.hosts)?;
        let ask = Ask { query: &head.query, headers: &head.headers, path: &head.path };
        let row = operation::route(&head.method, scope, ask)?;
        Ok(Routed::Operation { row, head, target })
    }

    async fn answer(
        &self,
        routed: Result<Routed, ApiError>,
        arrival: Arrival,
        body: Upload,
    ) -> Result<Reply, ApiError> {
        let (row, head, target) = match routed? {
            Routed::System(endpoint) => return Ok(endpoint.answer(self).await),
            Routed::Admin { command, head } => {
                self.audit.room().await?;
                let caller = self.authenticate(&head, &arrival, None).await?;
                return admin::run(self, command, admin::Asked { arrival, caller, head, body })
                    .await;
            }
            Routed::Sts(head) => {
                self.audit.room().await?;
                return sts::run(self, arrival, head, body).await;
            }
            Routed::Operation { row, head, target } => (row, head, target),
        };
        self.audit.room().await?;
        let caller = self.authenticate(&head, &arrival, Some(row)).await?;
        if row.state == State::Planned {
            return Err(planned(row, &caller));
        }
        refuse_unknown(row, &head)?;
        // What is answered before this line is answered under any load.
        let slot = self.requests.take(1).await?;
        let Head { authority, path, query, headers, .. } = head;
        let Arrival { id, client, at } = arrival;
        let request =
            Request { row, id, client, at, target, authority, path, query, headers, caller, body };
        let mut reply = ops::run(self, request).await?;
        reply.held.request = Some(slot);
        Ok(reply)
    }

    /// Finds out who is asking, and keeps a record of those who are not who they say.
    async fn authenticate(
        &self,
        head: &Head,
        arrival: &Arrival,
        row: Option<&Row>,
    ) -> Result<Caller, ApiError> {
        // A browser asks with the URL of the request that is to come, which may be signed: for that one.
        if head.method == Method::OPTIONS {
            return Ok(Caller::Anonymous);
        }
        let presented = match is_s3_signed(head) {
            true => Err(ApiError::new(
                Code::NotImplemented,
                "AWS signatures are not implemented yet: sign with q-sign-algorithm=sha1.",
            )),
            false => Presented::find(&head.headers, &head.query),
        };
        let found = match &presented {
            Ok(None) => return Ok(Caller::Anonymous),
            Ok(Some(presented)) => self.verify(presented, head, row).await,
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = &found {
            let who = presented.ok().flatten().map(|presented| presented.secret_id);
            let who = who.unwrap_or_default();
            self.audit.record(Event {
                request_id: &arrival.id,
                at: arrival.at,
                ip: arrival.client.ip,
                who: &format!("unverified {who}"),
                action: head.method.as_str(),
                resource: &format!("{}{}", head.authority, head.path),
                allowed: false,
                reason: error,
            });
        }
        found
    }

    async fn verify(
        &self,
        presented: &Presented,
        head: &Head,
        row: Option<&Row>,
    ) -> Result<Caller, ApiError> {
        let now = self.clock.now_seconds();
        let signer = self.directory.signer(&presented.secret_id, token(head)).await?;
        presented.check_time(&head.headers, now)?;
        let signed = Signed {
            method: head.method.as_str(),
            path: head.path.as_bytes(),
            query: &head.query,
            headers: &head.headers,
            authority: &head.authority,
        };
        signer.verify(presented, signed)?;
        require_cover(presented, head, row)?;
        signer.require_unexpired(now)?;
        Ok(Caller::Known(Arc::clone(&signer.identity)))
    }

    fn request_id(&self, address: [u8; 4]) -> String {
        let counter = self.served.fetch_add(1, Ordering::Relaxed);
        let seconds = self.clock.now_seconds();
        RequestId { seconds, address, process: std::process::id(), counter }.encode()
    }
}

/// What gives access away, or makes another thing of a request, the signature must cover if there is one.
/// Else whoever holds a URL to put one object could have any object of the account copied or linked
/// there, or its ACL changed, and whoever holds one to read an object could read every version of it.
/// Every SDK signs these. Only `response-content-disposition` may be put on a signed URL afterwards, as
/// COS's own samples do.
///
/// Administration (no row) is signed with its host, and without a query.
fn require_cover(presented: &Presented, head: &Head, row: Option<&Row>) -> Result<(), ApiError> {
    let gives_away = |header: &&str| {
        [name::COPY_SOURCE, name::SYMLINK_TARGET, name::ACL].contains(header)
            || header.starts_with("x-cos-grant-")
            || admin::is_admin_header(header)
    };
    let host = row.is_none().then_some("host");
    let mut headers = head.headers.keys().map(HeaderName::as_str).filter(gives_away).chain(host);
    let decides = |param: &&str| match row {
        None => true,
        Some(row) => row.is_selected_by(param) || decides(param),
    };
    let mut params = head.query.iter().map(|(param, _)| param).filter(decides);
    let uncovered = headers
        .find(|header| !presented.covers(header))
        .or_else(|| params.find(|param| !presented.covers_param(param)));
    match uncovered {
        Some(what) => Err(ApiError::new(
            Code::AccessDenied,
            format!("{what} is not covered by the signature."),
        )),
        None => Ok(()),
    }
}

/// Whether a parameter says what is dealt with, or as what it is shown.
fn decides(param: &str) -> bool {
    let lower = param.to_ascii_lowercase();
    let named = ["versionid", "uploadid", "partnumber", "position"];
    let shown = lower.starts_with("response-") && lower != "response-content-disposition";
    named.contains(&lower.as_str()) || shown
}

fn is_s3_signed(head: &Head) -> bool {
    let header = head.headers.get(header::AUTHORIZATION);
    header.is_some_and(|value| value.as_bytes().starts_with(b"AWS"))
        || head.query.has("X-Amz-Signature")
}

/// An operation that is not built: nobody unsigned learns more than that it is closed.
fn planned(row: &Row, caller: &Caller) -> ApiError {
    if caller.is_anonymous() {
        return Code::AccessDenied.into();
    }
    ApiError::new(Code::NotImplemented, format!("{} is not implemented yet.", row.name))
}

/// A parameter or header that asks for something that is not built is refused, never ignored: an
/// ignored encryption header would store plain bytes behind a 200.
///
/// A read of an object ignores query parameters that nobody knows, since links in the wild carry
/// them; a read of anything ignores headers that can only ask for more on a write.
fn refuse_unknown(row: &Row, head: &Head) -> Result<(), ApiError> {
    let not_implemented = |what: &str| {
        ApiError::new(Code::NotImplemented, format!("{what} is not implemented here."))
    };
    // A preflight is asked about whatever comes after it.
    if head.method == Method::OPTIONS {
        return Ok(());
    }
    let is_read = head.method == Method::GET || head.method == Method::HEAD;
    for (param, _) in head.query.iter() {
        let lower = param.to_ascii_lowercase();
        let (operator, _) = lower.split_once('/').unwrap_or((&lower, ""));
        let asks_for_more = REFUSED_ON_READ.contains(&operator);
        // Links to objects carry parameters that nobody knows; nothing else does.
        let may_be_unknown = is_read && row.scope == Scope::Object;
        if asks_for_more || !(may_be_unknown || row.knows_param(param)) {
            return Err(not_implemented(param));
        }
    }
    for header in head.headers.keys().map(HeaderName::as_str) {
        // A client may send Cache-Control twice; an object has one.
        let is_metadata = !is_read && SYSTEM_METADATA.contains(&header);
        let is_one = is_metadata || header.starts_with("x-cos-");
        if is_one && head.headers.get_all(header).iter().nth(1).is_some() {
            let message = format!("{header} is there twice.");
            return Err(ApiError::new(Code::InvalidArgument, message));
        }
        if header.starts_with("x-amz-") || (!is_read && REFUSED_ON_WRITE.contains(&header)) {
            return Err(not_implemented(header));
        }
        if is_read && [name::SSE, name::SSE_KMS_KEY_ID, name::SSE_CONTEXT].contains(&header) {
            let message = format!("{header} does not go with a read.");
            return Err(ApiError::new(Code::SSEHeaderNotAllowed, message));
        }
        let asks_on_read =
            header.starts_with("x-cos-server-side-encryption") || header == "x-cos-traffic-limit";
        if row.refuses_header(header) && (!is_read || asks_on_read) {
            return Err(not_implemented(header));
        }
    }
    Ok(())
}

fn new_trace_id() -> String {
    let mut random = [0; 48];
    // Without random bytes the trace id is dull, but the answer stands.
    let _ = getrandom::fill(&mut random);
    trace_id(random)
}

/// The answer to a request that failed.
fn refuse(error: &ApiError, parts: &Parts, request_id: &str) -> Reply {
    let trace_id = new_trace_id();
    let status =
        StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = if parts.method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        String::new()
    } else {
        error.document(&Head::resource(parts), request_id, &trace_id)
    };
    let mut reply = Reply::xml(body);
    reply.status = status;
    for (name, value) in &error.headers {
        reply = reply.with_text(name, value);
    }
    reply.with_text(name::TRACE_ID, trace_id)
}

fn insert_text(headers: &mut HeaderMap, name: &'static str, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
