//! GET Bucket, List Objects version 1 (436/7734).

use cosine_store::{Entry, ListOptions, ObjectPage, Readable};
use cosine_wire::header::name;
use cosine_wire::xml::list_objects::{Contents, ListObjectsResult};
use cosine_wire::{ApiError, Code};

use crate::Api;
use crate::error::store_error;
use crate::ops::object::storage_tier;
use crate::params::{delimiter, page_size, url_encoded};
use crate::reply::Reply;
use crate::request::Request;

/// A page holds this many objects and common prefixes.
const PAGE_MAX: usize = 1000;
/// What an object of a page holds at most, as a record and in the document.
const ENTRY_BYTES: u64 = 4 << 10;

struct ListObjects {
    options: ListOptions,
    url_encoded: bool,
}

impl ListObjects {
    fn parse(request: &Request) -> Result<Self, ApiError> {
        let param = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
        let (delimiter, url_encoded) = (delimiter(request)?, url_encoded(request)?);
        if request.query.has("list-type") {
            return Err(ApiError::new(
                Code::NotImplemented,
                "list-type is S3's and not implemented yet; GET Bucket pages with marker.",
            ));
        }
        let limit = page_size(request, "max-keys", PAGE_MAX)?;
        let (prefix, marker) = (param("prefix"), param("marker"));
        Ok(Self { options: ListOptions { prefix, delimiter, marker, limit }, url_encoded })
    }
}

/// Lists objects in UTF-8 byte order.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let list = ListObjects::parse(&request)?;
    let bucket = api.permitted_bucket(&request).await?;
    let memory = api.memory.take(list.options.limit as u64 * ENTRY_BYTES).await?;
    let page = api.store.list_objects(&bucket, &list.options).await.map_err(store_error)?;
    let owner = bucket.name().appid();
    let document = render(api, bucket.name().as_str(), &list, &page, owner)?;
    let reply = Reply::xml(document).with_text(name::BUCKET_REGION, bucket.region());
    Ok(reply.holding(Some(memory)))
}

fn render(
    api: &Api,
    name: &str,
    list: &ListObjects,
    page: &ObjectPage,
    owner: u64,
) -> Result<String, ApiError> {
    let etag = |entry: &Entry| match entry {
        Entry::Object(_, version) => {
            Ok(api.store.sums(version).map_err(store_error)?.etag.to_string())
        }
        Entry::CommonPrefix(_) => Ok(String::new()),
    };
    let etags: Vec<String> = page.entries.iter().map(etag).collect::<Result<_, ApiError>>()?;
    let (mut common_prefixes, mut contents) = (Vec::new(), Vec::new());
    for (entry, etag) in page.entries.iter().zip(&etags) {
        match entry {
            Entry::CommonPrefix(prefix) => common_prefixes.push(prefix.as_str()),
            Entry::Object(key, version) => contents.push(Contents {
                key: key.as_str(),
                last_modified: version.last_modified(),
                etag,
                size: version.size,
                storage_class: version.class.as_str(),
                storage_tier: storage_tier(version.class),
                restore_status: match api.store.readable(version) {
                    Readable::Always | Readable::No => None,
                    Readable::Soon(_) => Some("ONGOING"),
                    Readable::Until(_) => Some("DONE"),
                },
            }),
        }
    }
    let result = ListObjectsResult {
        name,
        owner,
        url_encoded: list.url_encoded,
        prefix: &list.options.prefix,
        marker: &list.options.marker,
        delimiter: &list.options.delimiter,
        max_keys: list.options.limit,
        next_marker: page.entries.last().filter(|_| page.truncated).map(Entry::name),
        common_prefixes,
        contents,
    };
    Ok(result.document())
}
