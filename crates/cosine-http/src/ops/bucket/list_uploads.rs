//! List Multipart Uploads (436/7736).

use std::collections::{HashMap, hash_map};

use cosine_store::{Bucket, ListOptions, UploadEntry, UploadId, UploadPage};
use cosine_wire::ApiError;
use cosine_wire::xml::list_uploads::{ListUploadsResult, Upload};

use crate::Api;
use crate::error::store_error;
use crate::params::{delimiter, page_size, url_encoded};
use crate::reply::Reply;
use crate::request::Request;

/// A page holds this many uploads and common prefixes.
const PAGE_MAX: usize = 1000;
/// What one of them holds at most, as a record and in the document.
const ENTRY_BYTES: u64 = 4 << 10;

struct ListUploads {
    options: ListOptions,
    upload_id_marker: String,
    url_encoded: bool,
}

impl ListUploads {
    fn parse(request: &Request) -> Result<Self, ApiError> {
        let param = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
        let options = ListOptions {
            prefix: param("prefix"),
            delimiter: delimiter(request)?,
            marker: param("key-marker"),
            limit: page_size(request, "max-uploads", PAGE_MAX)?,
        };
        let upload_id_marker = param("upload-id-marker");
        Ok(Self { options, upload_id_marker, url_encoded: url_encoded(request)? })
    }
}

/// Lists uploads under way, in the order of their keys and of their beginnings. An upload id that was
/// never given out marks nothing.
pub async fn run(api: &Api, request: Request) -> Result<Reply, ApiError> {
    let list = ListUploads::parse(&request)?;
    let bucket = api.permitted_bucket(&request).await?;
    let memory = api.memory.take(list.options.limit as u64 * ENTRY_BYTES).await?;
    let marker = UploadId::parse(&list.upload_id_marker);
    let page = api.store.list_uploads(&bucket, &list.options, marker).await;
    let page = page.map_err(store_error)?;
    let people = people(api, &bucket, &page).await?;
    let document = render(&bucket, &people, &list, &page);
    Ok(Reply::xml(document).holding(Some(memory)))
}

/// The account and the user behind each number: of those who began uploads, and of the bucket's owner.
struct People {
    owner: (u64, u64),
    initiators: HashMap<u64, (u64, u64)>,
}

async fn people(api: &Api, bucket: &Bucket, page: &UploadPage) -> Result<People, ApiError> {
    let owner = api.directory.owner(bucket.name().appid()).await?.uin;
    let mut initiators = HashMap::new();
    for entry in &page.entries {
        if let UploadEntry::Upload(upload) = entry {
            let uin = upload.record.initiator;
            if let hash_map::Entry::Vacant(place) = initiators.entry(uin) {
                place.insert(api.directory.person(uin).await?);
            }
        }
    }
    Ok(People { owner: (owner, owner), initiators })
}

fn render(bucket: &Bucket, people: &People, list: &ListUploads, page: &UploadPage) -> String {
    let (mut common_prefixes, mut uploads) = (Vec::new(), Vec::new());
    for entry in &page.entries {
        match entry {
            UploadEntry::CommonPrefix(prefix) => common_prefixes.push(prefix.as_str()),
            UploadEntry::Upload(upload) => uploads.push(Upload {
                key: upload.key().as_str(),
                upload_id: upload.id.to_string(),
                storage_class: upload.record.class.as_str(),
                initiator: people
                    .initiators
                    .get(&upload.record.initiator)
                    .copied()
                    .unwrap_or_default(),
                initiated: (upload.record.initiated / 1_000_000).cast_signed(),
            }),
        }
    }
    let next = match page.entries.last().filter(|_| page.truncated) {
        None => None,
        Some(UploadEntry::CommonPrefix(prefix)) => Some((prefix.as_str(), String::new())),
        Some(UploadEntry::Upload(upload)) => Some((upload.key().as_str(), upload.id.to_string())),
    };
    let result = ListUploadsResult {
        bucket: bucket.name().as_str(),
        owner: people.owner,
        url_encoded: list.url_encoded,
        key_marker: &list.options.marker,
        upload_id_marker: &list.upload_id_marker,
        next,
        max_uploads: list.options.limit,
        prefix: &list.options.prefix,
        delimiter: &list.options.delimiter,
        uploads,
        common_prefixes,
    };
    result.document()
}
