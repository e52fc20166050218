//! GET Bucket Object versions (436/35521).

use cosine_store::{Bucket, ListOptions, VersionEntry, VersionId, VersionPage};
use cosine_wire::ApiError;
use cosine_wire::header::name;
use cosine_wire::xml::list_versions::{Entry, ListVersionsResult, Object};

use crate::Api;
use crate::error::store_error;
use crate::ops::object::storage_tier;
use crate::params::{delimiter, page_size, read_version_id, show_version_id, url_encoded};
use crate::reply::Reply;
use crate::request::Request;

/// A page holds this many versions, delete markers and common prefixes.
const PAGE_MAX: usize = 1000;
/// What one of them holds at most, as a record and in the document.
const ENTRY_BYTES: u64 = 4 << 10;

struct ListVersions {
    options: ListOptions,
    /// The version after which the page goes on, as it was written and as it was meant.
    version: (String, Option<VersionId>),
    url_encoded: bool,
}

impl ListVersions {
    fn parse(request: &Request) -> Result<Self, ApiError> {
        let param = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
        let options = ListOptions {
            prefix: param("prefix"),
            delimiter: delimiter(request)?,
            marker: param("key-marker"),
            limit: page_size(request, "max-keys", PAGE_MAX)?,
        };
        let version = param("version-id-marker");
        let id = match version.as_str() {
            "" => None,
            id => Some(read_version_id(id)?),
        };
        Ok(Self { options, version: (version, id), url_encoded: url_encoded(request)? })
    }
}

/// Lists versions and delete markers: keys in UTF-8 byte order, the newest version of each first.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let list = ListVersions::parse(&request)?;
    let bucket = api.permitted_bucket(&request).await?;
    let memory = api.memory.take(list.options.limit as u64 * 2 * ENTRY_BYTES).await?;
    let listed = api.store.list_versions(&bucket, &list.options, list.version.1).await;
    let document = render(api, &bucket, &list, &listed.map_err(store_error)?)?;
    let reply = Reply::xml(document).with_text(name::BUCKET_REGION, bucket.region());
    Ok(reply.holding(Some(memory)))
}

fn render(
    api: &Api,
    bucket: &Bucket,
    list: &ListVersions,
    page: &VersionPage,
) -> Result<String, ApiError> {
    let id = |id| match bucket.keeps_versions() {
        true => show_version_id(id),
        false => String::new(),
    };
    let (mut common_prefixes, mut entries) = (Vec::new(), Vec::new());
    for entry in &page.entries {
        match entry {
            VersionEntry::CommonPrefix(prefix) => common_prefixes.push(prefix.as_str()),
            VersionEntry::Version { key, version, latest } => entries.push(Entry {
                key: key.as_str(),
                version_id: id(version.id()),
                latest: *latest,
                last_modified: version.last_modified(),
                object: Some(Object {
                    etag: api.store.sums(version).map_err(store_error)?.etag.to_string(),
                    size: version.size,
                    storage_class: version.class.as_str(),
                    storage_tier: storage_tier(version.class),
                }),
            }),
            VersionEntry::Marker { key, marker, latest } => entries.push(Entry {
                key: key.as_str(),
                version_id: id(marker.id()),
                latest: *latest,
                last_modified: marker.last_modified(),
                object: None,
            }),
        }
    }
    let next = page.entries.last().filter(|_| page.truncated);
    let result = ListVersionsResult {
        name: bucket.name().as_str(),
        owner: bucket.name().appid(),
        url_encoded: list.url_encoded,
        prefix: &list.options.prefix,
        key_marker: &list.options.marker,
        version_id_marker: &list.version.0,
        max_keys: list.options.limit,
        delimiter: &list.options.delimiter,
        next: next
            .map(|last| (last.name(), last.marker().map(show_version_id).unwrap_or_default())),
        common_prefixes,
        entries,
    };
    Ok(result.document())
}
