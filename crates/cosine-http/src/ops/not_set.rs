//! Reads of configuration that can never have been set: the documented answer for that. SDKs probe
//! them all, and take anything else for a failure.

use cosine_wire::xml::DECLARATION;
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::operation::State;
use crate::reply::Reply;
use crate::request::Request;

/// Answers for every row that is neither built nor planned.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    api.permitted_bucket(&request).await?;
    match request.row.state {
        State::NotSetDocument(root) => Ok(Reply::xml(format!("{DECLARATION}\n{root}"))),
        State::NotSet(code) => Err(code.into()),
        State::Built | State::Planned => Err(Code::NotImplemented.into()),
    }
}
