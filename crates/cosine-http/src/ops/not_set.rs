//! Reads of configuration that can never have been set: the documented answer for that. SDKs probe
//! them all, and take anything else for a failure.

use cosine_access::Permission;
use cosine_wire::xml::DECLARATION;
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::operation::{Row, State};
use crate::reply::Reply;
use crate::request::Request;

/// Answers for every row that is neither built nor planned.
pub async fn run(api: &Api, row: &Row, request: Request) -> Result<Reply, ApiError> {
    if !matches!(row.state, State::ClosedToAll(_)) {
        let region = request.target.region.as_deref();
        api.bucket(request.bucket()?, region, request.caller, Permission::Own).await?;
    }
    match row.state {
        State::NotSetDocument(root) => Ok(Reply::xml(format!("{DECLARATION}\n{root}"))),
        State::NotSet(code) | State::ClosedToAll(code) => Err(code.into()),
        State::Built | State::Planned => Err(Code::NotImplemented.into()),
    }
}
