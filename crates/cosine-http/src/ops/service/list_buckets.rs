//! GET Service (436/8291): the caller's buckets.

use cosine_store::{Bucket, BucketName};
use cosine_wire::xml::list_buckets::{Bucket as BucketNode, ListBucketsResult};
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::error::store_error;
use crate::facts::About;
use crate::params::page_size;
use crate::reply::Reply;
use crate::request::Request;

/// A page holds this many buckets.
const PAGE_MAX: usize = 2000;

struct ListBuckets {
    region: Option<String>,
    created: Option<Created>,
    marker: Option<BucketName>,
    limit: usize,
}

/// `range` and `create-time`: how a bucket's creation compares.
struct Created {
    range: String,
    seconds: i64,
}

impl Created {
    fn admits(&self, created: i64) -> bool {
        match self.range.as_str() {
            "lt" => created < self.seconds,
            "lte" => created <= self.seconds,
            "gt" => created > self.seconds,
            _ => created >= self.seconds,
        }
    }
}

impl ListBuckets {
    fn parse(request: &Request) -> Result<Self, ApiError> {
        let param = |name: &str| request.query.get(name).filter(|value| !value.is_empty());
        if param("tagkey").is_some() || param("tagvalue").is_some() {
            return Err(ApiError::new(
                Code::NotImplemented,
                "Bucket tags are not implemented yet.",
            ));
        }
        let created = match (param("range"), param("create-time")) {
            (None, None) => None,
            (Some(range @ ("lt" | "lte" | "gt" | "gte")), Some(time)) => {
                let seconds = time.parse().map_err(|_| {
                    ApiError::new(Code::InvalidArgument, "create-time is a number of seconds.")
                })?;
                Some(Created { range: range.to_owned(), seconds })
            }
            _ => {
                let message = "range (lt, gt, lte or gte) and create-time go together.";
                return Err(ApiError::new(Code::InvalidArgument, message));
            }
        };
        let marker = param("marker").map(|marker| {
            BucketName::parse(marker).map_err(|_| {
                ApiError::new(Code::InvalidArgument, "marker is not the name of a bucket.")
            })
        });
        Ok(Self {
            region: param("region").map(str::to_owned).or(request.target.region.clone()),
            created,
            marker: marker.transpose()?,
            limit: page_size(request, "max-keys", PAGE_MAX)?,
        })
    }

    fn admits(&self, bucket: &Bucket) -> bool {
        self.region.as_ref().is_none_or(|region| region == bucket.region())
            && self.created.as_ref().is_none_or(|created| created.admits(bucket.created()))
    }
}

/// Lists the buckets of the account that signed. Filters are applied before the page is cut.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    // Who does not say who it is asks for nobody's.
    let own = api.directory.account();
    let account = request.caller.identity().map_or(own, |identity| identity.account);
    let appid = account.appid;
    let about = About::Request;
    api.permit_beyond(&request, request.action(), (appid, "", ""), about).await?;
    let list = ListBuckets::parse(&request)?;
    let page = api.store.list_buckets(appid, list.marker.as_ref(), PAGE_MAX).await;
    let mut buckets = page.map_err(store_error)?.buckets;
    buckets.retain(|bucket| list.admits(bucket));
    let truncated = buckets.len() > list.limit;
    buckets.truncate(list.limit);
    let nodes: Vec<BucketNode<'_>> = buckets
        .iter()
        .map(|bucket| BucketNode {
            name: bucket.name().as_str(),
            location: bucket.region(),
            created: bucket.created(),
        })
        .collect();
    let next_marker = nodes.last().filter(|_| truncated).map(|bucket| bucket.name);
    let marker = list.marker.as_ref().map(BucketName::as_str);
    let result = ListBucketsResult { uin: account.uin, buckets: nodes, marker, next_marker };
    Ok(Reply::xml(result.document()))
}
