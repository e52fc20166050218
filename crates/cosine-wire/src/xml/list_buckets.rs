//! `ListAllMyBucketsResult`. Source: GET Service (436/8291).

use super::Xml;
use crate::date::iso_date;

/// One bucket in the list.
#[derive(Clone, Debug)]
pub struct Bucket<'a> {
    /// `<name>-<appid>`.
    pub name: &'a str,
    /// The region.
    pub location: &'a str,
    /// Creation, seconds since 1970 UTC.
    pub created: i64,
}

/// The answer to GET Service.
#[derive(Clone, Debug)]
pub struct ListBucketsResult<'a> {
    /// The owner's account number.
    pub uin: u64,
    /// This page.
    pub buckets: Vec<Bucket<'a>>,
    /// The request's marker, given back when the request pages.
    pub marker: Option<&'a str>,
    /// The marker of the next page, if there is one.
    pub next_marker: Option<&'a str>,
}

impl ListBucketsResult<'_> {
    /// The document. `Buckets` is always there: the Python SDK indexes it unconditionally.
    pub fn document(&self) -> String {
        let mut xml = Xml::document();
        xml.open("ListAllMyBucketsResult");
        xml.open("Owner");
        xml.text("ID", &format!("qcs::cam::uin/{0}:uin/{0}", self.uin));
        xml.value("DisplayName", self.uin);
        xml.close("Owner");
        if self.buckets.is_empty() {
            xml.empty("Buckets");
        } else {
            xml.open("Buckets");
            self.buckets.iter().for_each(|bucket| write_bucket(&mut xml, bucket));
            xml.close("Buckets");
        }
        xml.text("Marker", self.marker.unwrap_or_default());
        if let Some(next) = self.next_marker {
            xml.text("NextMarker", next);
        }
        xml.value("IsTruncated", self.next_marker.is_some());
        xml.close("ListAllMyBucketsResult");
        xml.finish()
    }
}

fn write_bucket(xml: &mut Xml, bucket: &Bucket<'_>) {
    xml.open("Bucket");
    xml.text("Name", bucket.name);
    xml.text("Location", bucket.location);
    xml.text("CreationDate", &iso_date(bucket.created));
    xml.text("BucketType", "cos");
    xml.close("Bucket");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bucket_and_none() {
        let bucket = Bucket { name: "b-1", location: "ap-x", created: 1_586_542_830 };
        let mut result = ListBucketsResult {
            uin: 100_000_000_001,
            buckets: vec![bucket],
            marker: None,
            next_marker: Some("b-1"),
        };
        assert_eq!(
            result.document(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult>\n\t<Owner>\n\
             \t\t<ID>qcs::cam::uin/100000000001:uin/100000000001</ID>\n\
             \t\t<DisplayName>100000000001</DisplayName>\n\t</Owner>\n\t<Buckets>\n\t\t<Bucket>\n\
             \t\t\t<Name>b-1</Name>\n\t\t\t<Location>ap-x</Location>\n\
             \t\t\t<CreationDate>2020-04-10T18:20:30Z</CreationDate>\n\
             \t\t\t<BucketType>cos</BucketType>\n\t\t</Bucket>\n\t</Buckets>\n\
             \t<Marker></Marker>\n\t<NextMarker>b-1</NextMarker>\n\
             \t<IsTruncated>true</IsTruncated>\n</ListAllMyBucketsResult>"
        );
        result.buckets.clear();
        assert!(result.document().contains("<Buckets/>"));
    }
}
