use super::*;

const ID: &str = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q";
const KEY: &str = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
const HOST: &str = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com";

struct Vector {
    method: &'static str,
    path: &'static str,
    query: &'static str,
    host: &'static str,
    headers: &'static [(&'static str, &'static str)],
    header_list: &'static str,
    param_list: &'static str,
    id: &'static str,
    key: &'static str,
    time: &'static str,
    http_string_sha1: &'static str,
    signature: &'static str,
}

/// The published sample pair (V1, V2), two of our own (V3, V4), and the Go SDK's fixture (V5).
const VECTORS: [Vector; 5] = [
    Vector {
        method: "PUT",
        path: "/exampleobject(腾讯云)",
        query: "",
        host: HOST,
        headers: &[
            ("date", "Thu, 16 May 2019 06:45:51 GMT"),
            ("content-type", "text/plain"),
            ("content-length", "13"),
            ("content-md5", "mQ/fVh815F3k6TAUm8m0eg=="),
            ("x-cos-acl", "private"),
            ("x-cos-grant-read", "uin=\"100000000011\""),
        ],
        header_list: "content-length;content-md5;content-type;date;host;x-cos-acl;x-cos-grant-read",
        param_list: "",
        id: ID,
        key: KEY,
        time: "1557989151;1557996351",
        http_string_sha1: "8b2751e77f43a0995d6e9eb9477f4b685cca4172",
        signature: "3b8851a11a569213c17ba8fa7dcf2abec6935172",
    },
    Vector {
        method: "GET",
        path: "/exampleobject(腾讯云)",
        query: "response-content-type=application%2Foctet-stream&response-cache-control=max-age%3D600",
        host: HOST,
        headers: &[("date", "Thu, 16 May 2019 06:55:53 GMT")],
        header_list: "date;host",
        param_list: "response-cache-control;response-content-type",
        id: ID,
        key: KEY,
        time: "1557989753;1557996953",
        http_string_sha1: "54ecfe22f59d3514fdc764b87a32d8133ea611e6",
        signature: "01681b8c9d798a678e43b685a9f1bba0f6c0e012",
    },
    Vector {
        method: "PUT",
        path: "/exampleobject",
        query: "",
        host: "destinationbucket-1250000000.cos.ap-beijing.myqcloud.com",
        headers: &[
            ("content-length", "0"),
            ("date", "Fri, 10 Apr 2020 18:20:30 GMT"),
            (
                "x-cos-copy-source",
                "sourcebucket-1250000001.cos.ap-shanghai.myqcloud.com/example-%E8%85%BE%E8%AE%AF%E4%BA%91.jpg",
            ),
        ],
        header_list: "content-length;date;host;x-cos-copy-source",
        param_list: "",
        id: ID,
        key: KEY,
        time: "1586542830;1586550030",
        http_string_sha1: "63e953fbf81bfb211537984eb31d30b2112e45df",
        signature: "58d24be196eb29b92f6b8f21eea9e6e9523cfd62",
    },
    Vector {
        method: "GET",
        path: "/folder/a b.txt",
        query: "versionId=MTg0NDUxNTc0NDYyMjQ2MzUzMjQ&response-content-type=text%2Fplain%3B%20charset%3Dutf-8",
        host: HOST,
        headers: &[],
        header_list: "host",
        param_list: "response-content-type;versionid",
        id: ID,
        key: KEY,
        time: "1586542830;1586550030",
        http_string_sha1: "463fbf2f9f556160c0fde217c6970a953dc0495f",
        signature: "0f62d789f946caa7d4a7350ec50bf47d44d5d114",
    },
    Vector {
        method: "PUT",
        path: "/testfile2",
        query: "",
        host: "testbucket-125000000.cos.ap-guangzhou.myqcloud.com",
        headers: &[
            ("x-cos-content-sha1", "db8ac1c259eb89d4a131b253bacfca5f319d54f2"),
            ("x-cos-stroage-class", "nearline"),
        ],
        header_list: "host;x-cos-content-sha1;x-cos-stroage-class",
        param_list: "",
        id: "QmFzZTY0IGlzIGEgZ2VuZXJp",
        key: "AKIDZfbOA78asKUYBcXFrJD0a1ICvR98JM",
        time: "1480932292;1481012292",
        http_string_sha1: "113b22e92b74237531fafbfc8bb9e67be55645c7",
        signature: "ce4ac0ecbcdb30538b3fee0a97cc6389694ce53a",
    },
];

impl Vector {
    fn headers(&self) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        self.headers.iter().map(pair).collect()
    }

    fn authorization(&self) -> String {
        format!(
            "q-sign-algorithm=sha1&q-ak={}&q-sign-time={time}&q-key-time={time}&q-header-list={}\
             &q-url-param-list={}&q-signature={}",
            self.id,
            self.header_list,
            self.param_list,
            self.signature,
            time = self.time
        )
    }

    /// Verifies with more names in a list than the request has.
    fn verify_with_list(&self, list: &str, more: &str) -> Result<(), ApiError> {
        let listed = self.authorization().replace(list, &format!("{list}{more}"));
        let (query, headers) = (Query::parse(self.query).unwrap(), self.headers());
        let signed = Signed {
            method: self.method,
            path: self.path.as_bytes(),
            query: &query,
            headers: &headers,
            authority: self.host,
        };
        Presented::parse(&listed).unwrap().verify(signed, self.key)
    }

    /// Presents the authorization in a header and verifies it after `change` had its way.
    fn verify(
        &self,
        change: impl FnOnce(&mut Query, &mut HeaderMap, &mut String),
    ) -> Result<(), ApiError> {
        let mut query = Query::parse(self.query).unwrap();
        let mut headers = self.headers();
        let mut authority = self.host.to_owned();
        headers.insert("authorization", self.authorization().parse().unwrap());
        let presented = Presented::find(&headers, &query).unwrap().unwrap();
        change(&mut query, &mut headers, &mut authority);
        let signed = Signed {
            method: self.method,
            path: self.path.as_bytes(),
            query: &query,
            headers: &headers,
            authority: &authority,
        };
        presented.verify(signed, self.key)
    }
}

#[test]
fn vectors_verify_and_their_intermediate_values_agree() {
    for vector in &VECTORS {
        vector.verify(|_, _, _| ()).unwrap();
        let (query, headers) = (Query::parse(vector.query).unwrap(), vector.headers());
        let presented = Presented::parse(&vector.authorization()).unwrap();
        let signed = Signed {
            method: vector.method,
            path: vector.path.as_bytes(),
            query: &query,
            headers: &headers,
            authority: vector.host,
        };
        let http_string = presented.http_string(signed, vector.host, Show::Everything).unwrap();
        assert_eq!(sha1(http_string.as_bytes()), vector.http_string_sha1);
        let names: Vec<&str> = vector.header_list.split(';').collect();
        let window = (presented.key_time.start, presented.key_time.end);
        assert_eq!(sign(signed, &names, vector.id, vector.key, window), vector.authorization());
    }
}

#[test]
fn sign_key_is_the_published_one() {
    assert_eq!(
        hmac_sha1(KEY.as_bytes(), b"1557989151;1557996351"),
        "eb2519b498b02ac213cb1f3d1a3d27a3b3c9bc5f"
    );
}

#[test]
fn every_signed_part_counts() {
    let (v1, v2) = (&VECTORS[0], &VECTORS[1]);
    let mismatches = [
        v1.verify(|_, headers, _| {
            drop(headers.insert("x-cos-acl", "public-read".parse().unwrap()))
        }),
        v1.verify(|_, headers, _| drop(headers.remove("x-cos-acl"))),
        v1.verify(|_, _, authority| authority.insert(0, 'x')),
        v2.verify(|query, _, _| *query = Query::parse("response-content-type=a").unwrap()),
        v2.verify(|query, _, _| *query = Query::default()),
        v1.verify_with_list("q-header-list=", "x-cos-meta-absent;"),
        v1.verify_with_list("q-url-param-list=", "cors"),
        v1.verify_with_list("q-url-param-list=", "a=b"),
    ];
    for mismatch in mismatches {
        assert_eq!(mismatch.unwrap_err().code, Code::SignatureDoesNotMatch);
    }
}

#[test]
fn traps_that_must_not_matter() {
    let v1 = &VECTORS[0];
    v1.verify(|_, _, authority| authority.push_str(":8080")).unwrap();
    v1.verify(|_, headers, _| drop(headers.insert("user-agent", "x".parse().unwrap()))).unwrap();
    v1.verify(|_, headers, _| drop(headers.insert("x-cos-acl", " private ".parse().unwrap())))
        .unwrap();
    v1.verify(|query, _, _| *query = Query::parse("unsigned=1").unwrap()).unwrap();
}

#[test]
fn the_query_carries_a_signature_split_or_whole() {
    let v4 = &VECTORS[3];
    let whole = format!("{}&sign={}", v4.query, url_encode(v4.authorization().as_bytes()));
    let split = format!("{}&{}", v4.query, v4.authorization().replace(';', "%3B"));
    for query in [whole, split] {
        let query = Query::parse(&query).unwrap();
        let presented = Presented::find(&HeaderMap::new(), &query).unwrap().unwrap();
        let signed = Signed {
            method: v4.method,
            path: v4.path.as_bytes(),
            query: &query,
            headers: &HeaderMap::new(),
            authority: v4.host,
        };
        presented.verify(signed, v4.key).unwrap();
    }
}

#[test]
fn no_signature_is_anonymous_and_half_a_signature_is_denied() {
    let mut headers = HeaderMap::new();
    assert_eq!(Presented::find(&headers, &Query::default()).unwrap(), None);
    headers.insert("authorization", "".parse().unwrap());
    assert_eq!(Presented::find(&headers, &Query::default()).unwrap(), None);
    let full = VECTORS[0].authorization();
    for broken in [
        "garbage".to_owned(),
        full.replace("=sha1", "=md5"),
        full.replace("q-header-list", "q-other-list"),
        full.replace("1557989151;1557996351", "1557996351;1557989151"),
        full.replace("1557989151;", "x;"),
        full.replace("q-ak", "ak"),
        format!("{full}&x={}", "y".repeat(9000)),
    ] {
        headers.insert("authorization", broken.parse().unwrap());
        let error = Presented::find(&headers, &Query::default()).unwrap_err();
        assert_eq!(error.code, Code::AccessDenied, "{broken}");
    }
}

#[test]
fn time_windows_and_the_date_header() {
    let presented = Presented::parse(&VECTORS[0].authorization()).unwrap();
    let check = |now: u64, date: Option<&str>| {
        let headers = date.map(|d| (http::header::DATE, d.parse().unwrap())).into_iter().collect();
        presented
            .check_time(&headers, now)
            .map_err(|error| (error.code, error.message.into_owned()))
    };
    let expired = Err((Code::AccessDenied, "Request has expired".to_owned()));
    assert_eq!(check(1_557_989_151, None), Ok(()));
    assert_eq!(check(1_557_989_151 - 299, None), Ok(()));
    assert_eq!(check(1_557_989_151 - 301, None), expired);
    assert_eq!(check(1_557_996_350, None), Ok(()));
    assert_eq!(check(1_557_996_351, None), expired);
    let date = Some("Thu, 16 May 2019 06:45:51 GMT");
    assert_eq!(check(1_557_989_151 + 900, date), Ok(()));
    assert_eq!(check(1_557_989_151 + 901, date).unwrap_err().0, Code::RequestTimeTooSkewed);
}

/// A signature over an empty parameter must not serve without it: `DELETE /?cors` is not `DELETE /`.
#[test]
fn an_empty_parameter_that_was_signed_cannot_be_left_out() {
    let (headers, cors) = (HeaderMap::new(), Query::parse("cors").unwrap());
    let signed =
        |query| Signed { method: "DELETE", path: b"/", query, headers: &headers, authority: "h" };
    let text = sign(signed(&cors), &["host"], "id", "key", (1, 2));
    let presented = Presented::parse(&text).unwrap();
    presented.verify(signed(&cors), "key").unwrap();
    let without = presented.verify(signed(&Query::default()), "key").unwrap_err();
    assert_eq!(without.code, Code::SignatureDoesNotMatch);
}

#[test]
fn long_lists_are_refused_in_every_carrier() {
    let list = "a;".repeat(5000);
    let text = VECTORS[0]
        .authorization()
        .replace("q-url-param-list=", &format!("q-url-param-list={list}"));
    assert!(Presented::parse(&text).is_err());
    let query = Query::parse(&text).unwrap();
    assert_eq!(Presented::find(&HeaderMap::new(), &query).unwrap_err().code, Code::AccessDenied);
}

#[test]
fn a_mismatch_shows_what_was_signed_with_secrets_masked() {
    let query = Query::parse("x-cos-security-token=intheurl").unwrap();
    let mut headers = HeaderMap::new();
    let secret = "x-cos-server-side-encryption-customer-key";
    headers.insert(secret, "c2VjcmV0".parse().unwrap());
    headers.insert("x-cos-security-token", "token".parse().unwrap());
    let signed =
        Signed { method: "PUT", path: b"/k", query: &query, headers: &headers, authority: "h" };
    let names = ["host", "x-cos-security-token", secret];
    let text = sign(signed, &names, "id", "right", (1, 2));
    let presented = Presented::parse(&text).unwrap();
    presented.verify(signed, "right").unwrap();
    let error = presented.verify(signed, "wrong").unwrap_err();
    let document = error.document("r", "i", "t");
    assert!(document.contains("<StringToSign>sha1\n1;2\n"), "{document}");
    assert!(document.contains(&format!("{secret}=***")), "{document}");
    assert!(!document.contains("c2VjcmV0") && !document.contains("token=t"), "{document}");
    assert!(!document.contains("intheurl"), "{document}");
}

/// Names go encoded and in lower case into the lists and the string to sign, each once.
#[test]
fn odd_names_are_signed_as_the_rule_says() {
    let query = Query::parse("a%3Bb=1&c=1&c=2&=x").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-cos-meta-d&e", "1".parse().unwrap());
    let signed =
        Signed { method: "PUT", path: b"/", query: &query, headers: &headers, authority: "h" };
    let text = sign(signed, &["x-cos-meta-d&e", "host", "host"], "id", "key", (1, 2));
    assert!(text.contains("&q-header-list=host;x-cos-meta-d%26e&"), "{text}");
    assert!(text.contains("&q-url-param-list=a%3bb;c&"), "{text}");
    let presented = Presented::parse(&text).unwrap();
    presented.verify(signed, "key").unwrap();
    let http_string = presented.http_string(signed, "h", Show::Everything).unwrap();
    assert_eq!(http_string, "put\n/\na%3bb=1&c=1&c=2\nhost=h&x-cos-meta-d%26e=1\n");
}
