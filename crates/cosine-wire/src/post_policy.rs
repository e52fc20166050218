//! The signature and the policy of a form. Source: POST Object (436/14690).

use aws_lc_rs::constant_time;
use serde_json::Value;

use crate::date::parse_iso_date;
use crate::error::{ApiError, Code};
use crate::qsign::{TimeWindow, hmac_sha1, sha1};

/// The fields of a form, by their names in lower case.
pub type Fields = [(String, String)];

/// The value of a field.
pub fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The signature of a form: it covers the policy, and the policy covers what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormSignature {
    /// The SecretId.
    pub secret_id: String,
    key_time: TimeWindow,
    signature: String,
}

impl FormSignature {
    /// Finds the signature of a form; `None` where it has none.
    ///
    /// # Errors
    /// 403 `AccessDenied` for one that lacks a part.
    pub fn find(fields: &Fields) -> Result<Option<Self>, ApiError> {
        if field(fields, "q-signature").is_none() && field(fields, "q-ak").is_none() {
            return Ok(None);
        }
        let denied = |message: String| ApiError::new(Code::AccessDenied, message);
        let need = |name: &str| {
            field(fields, name).ok_or_else(|| denied(format!("The form lacks {name}.")))
        };
        if need("q-sign-algorithm")? != "sha1" {
            return Err(denied("The signature algorithm is not sha1.".to_owned()));
        }
        let key_time = TimeWindow::parse(need("q-key-time")?)
            .ok_or_else(|| denied("q-key-time is not of the form <start>;<end>.".to_owned()))?;
        let (secret_id, signature) = (need("q-ak")?.to_owned(), need("q-signature")?.to_owned());
        Ok(Some(Self { secret_id, key_time, signature }))
    }

    /// Holds it against the clock and, in constant time, against the one that the secret gives.
    ///
    /// # Errors
    /// 403 `AccessDenied` "Request has expired", `SignatureDoesNotMatch`.
    pub fn verify(&self, policy: &str, secret_key: &str, now: u64) -> Result<(), ApiError> {
        if !self.key_time.contains(now) {
            return Err(ApiError::new(Code::AccessDenied, "Request has expired"));
        }
        let sign_key = hmac_sha1(secret_key.as_bytes(), self.key_time.as_str().as_bytes());
        let signature = hmac_sha1(sign_key.as_bytes(), sha1(policy.as_bytes()).as_bytes());
        let same =
            constant_time::verify_slices_are_equal(signature.as_bytes(), self.signature.as_bytes());
        same.map_err(|_| Code::SignatureDoesNotMatch.into())
    }
}

/// What a field has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Equal(String, String),
    StartsWith(String, String),
    ContentLength(u64, u64),
}

/// The policy of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostPolicy {
    /// Seconds since 1970 UTC.
    expiration: i64,
    conditions: Vec<Condition>,
}

impl PostPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// 400 `InvalidPolicyDocument`.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let invalid = |what: &str| {
            ApiError::new(Code::InvalidPolicyDocument, format!("The policy of the form: {what}."))
        };
        let json: Value = serde_json::from_str(text).map_err(|e| invalid(&e.to_string()))?;
        let expiration = json.get("expiration").and_then(Value::as_str).and_then(parse_iso_date);
        let expiration = expiration.ok_or_else(|| invalid("expiration is no ISO 8601 date"))?;
        let conditions = json.get("conditions").and_then(Value::as_array);
        let conditions = conditions.filter(|list| !list.is_empty());
        let conditions = conditions.ok_or_else(|| {
            let message =
                "You must provide condition if you specify a policy in post object request.";
            ApiError::new(Code::InvalidPolicyDocument, message)
        })?;
        let read = |value| Condition::parse(value).ok_or_else(|| invalid("a condition is none"));
        let conditions: Vec<_> = conditions.iter().map(read).collect::<Result<_, _>>()?;
        let named = |name: &str| conditions.iter().any(|condition| condition.field() == Some(name));
        for name in ["q-sign-algorithm", "q-ak", "q-sign-time"] {
            if !named(name) {
                return Err(invalid(&format!("it has no condition on {name}")));
            }
        }
        Ok(Self { expiration, conditions })
    }

    /// Holds a form for a bucket against the policy.
    ///
    /// # Errors
    /// 403 `AccessDenied`, with the condition that does not hold.
    pub fn check(&self, fields: &Fields, bucket: &str, now: u64) -> Result<(), ApiError> {
        let now = now.cast_signed();
        if now >= self.expiration {
            let expiration = self.expiration;
            return Err(ApiError::new(
                Code::AccessDenied,
                format!(
                    "You post object request has been expired, expiration time: {expiration} \
                     but the time now : {now}"
                ),
            ));
        }
        for condition in &self.conditions {
            let Some(name) = condition.field() else { continue };
            let value = match name {
                "bucket" => Some(bucket),
                "q-sign-time" => field(fields, "q-key-time"),
                "acl" | "x-cos-acl" => field(fields, "acl").or_else(|| field(fields, "x-cos-acl")),
                _ => field(fields, name),
            };
            if !value.is_some_and(|value| condition.holds(value)) {
                let value = value.unwrap_or_default();
                return Err(ApiError::new(
                    Code::AccessDenied,
                    format!("Condition key {name} doesn't match the value {value}"),
                ));
            }
        }
        Ok(())
    }

    /// Whether it has a condition on a field.
    pub fn covers(&self, name: &str) -> bool {
        let is_acl = |name: &str| name == "acl" || name == "x-cos-acl";
        self.conditions
            .iter()
            .filter_map(Condition::field)
            .any(|field| field == name || (is_acl(field) && is_acl(name)))
    }

    /// The least and the greatest number of bytes that the file may hold.
    pub fn length_range(&self) -> (u64, u64) {
        self.conditions.iter().fold((0, u64::MAX), |(least, most), condition| match condition {
            Condition::ContentLength(min, max) => (least.max(*min), most.min(*max)),
            _ => (least, most),
        })
    }
}

impl Condition {
    fn parse(value: &Value) -> Option<Self> {
        if let Some(object) = value.as_object() {
            let (name, value) = object.iter().next().filter(|_| object.len() == 1)?;
            return Some(Self::Equal(name.to_ascii_lowercase(), text(value)?));
        }
        let [kind, one, other] = value.as_array()?.as_slice() else { return None };
        let name = || one.as_str()?.strip_prefix('$').map(str::to_ascii_lowercase);
        match kind.as_str()?.to_ascii_lowercase().as_str() {
            "eq" => Some(Self::Equal(name()?, text(other)?)),
            "starts-with" => Some(Self::StartsWith(name()?, text(other)?)),
            "content-length-range" => Some(Self::ContentLength(one.as_u64()?, other.as_u64()?)),
            _ => None,
        }
    }

    /// The field that it is about.
    fn field(&self) -> Option<&str> {
        match self {
            Self::Equal(name, _) | Self::StartsWith(name, _) => Some(name),
            Self::ContentLength(..) => None,
        }
    }

    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(_, wanted) => value == wanted,
            // COS's own samples write `image/*`.
            Self::StartsWith(_, front) => {
                value.starts_with(front.strip_suffix('*').unwrap_or(front))
            }
            Self::ContentLength(..) => true,
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_567_150_700;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// COS's own example of the signing key; the signature is of a policy of ours.
    #[test]
    fn a_signature_covers_the_policy() {
        let policy = "{}";
        let key_time = "1567150692;1567157892";
        let secret = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
        let sign_key = hmac_sha1(secret.as_bytes(), key_time.as_bytes());
        assert_eq!(sign_key, "39acc8c9f34ba5b19bce4e965b370cd3f62d2fba");
        let of_sample = hmac_sha1(sign_key.as_bytes(), b"d5d903b8360468bc81c1311f134989bc8c8b5b89");
        assert_eq!(of_sample, "7758dc9a832e9d301dca704cacbf9d9f8172fdef");
        let signature = hmac_sha1(sign_key.as_bytes(), sha1(policy.as_bytes()).as_bytes());
        let form = |signature: &str| {
            let form = [
                ("q-sign-algorithm", "sha1"),
                ("q-ak", "a"),
                ("q-key-time", key_time),
                ("q-signature", signature),
            ];
            FormSignature::find(&fields(&form)).unwrap().unwrap()
        };
        assert_eq!(form(&signature).verify(policy, secret, NOW), Ok(()));
        let code = |result: Result<(), ApiError>| result.unwrap_err().code;
        assert_eq!(code(form(&signature).verify("{ }", secret, NOW)), Code::SignatureDoesNotMatch);
        assert_eq!(code(form("x").verify(policy, secret, NOW)), Code::SignatureDoesNotMatch);
        let late = form(&signature).verify(policy, secret, 1_567_157_892);
        assert_eq!(code(late), Code::AccessDenied);
        assert_eq!(FormSignature::find(&fields(&[("key", "k")])).unwrap(), None);
        assert!(FormSignature::find(&fields(&[("q-ak", "a")])).is_err());
    }

    fn policy(conditions: &str) -> Result<PostPolicy, ApiError> {
        PostPolicy::parse(&format!(
            "{{\"expiration\":\"2019-08-30T09:38:12.414Z\",\"conditions\":[{conditions}\
             {{\"q-sign-algorithm\":\"sha1\"}},{{\"q-ak\":\"a\"}},{{\"q-sign-time\":\"1;2\"}}]}}"
        ))
    }

    #[test]
    fn a_form_has_to_be_what_its_policy_says() {
        let form = fields(&[
            ("q-sign-algorithm", "sha1"),
            ("q-ak", "a"),
            ("q-key-time", "1;2"),
            ("key", "dir/a"),
            ("content-type", "image/png"),
            ("x-cos-acl", "default"),
        ]);
        let check = |conditions: &str| policy(conditions).unwrap().check(&form, "b-1", NOW).is_ok();
        for good in [
            "",
            "{\"bucket\":\"b-1\"},",
            "{\"Key\":\"dir/a\"},[\"starts-with\",\"$key\",\"dir/\"],",
            "[\"starts-with\",\"$Content-Type\",\"image/*\"],{\"acl\":\"default\"},",
            "[\"starts-with\",\"$key\",\"\"],[\"content-length-range\",1,9],",
        ] {
            assert!(check(good), "{good}");
        }
        for bad in [
            "{\"bucket\":\"b-2\"},",
            "{\"key\":\"dir\"},",
            "[\"starts-with\",\"$key\",\"other/\"],",
            "[\"starts-with\",\"$cache-control\",\"\"],",
        ] {
            assert!(!check(bad), "{bad}");
        }
        let range = policy("[\"content-length-range\",1,9],[\"content-length-range\",2,20],");
        assert_eq!(range.unwrap().length_range(), (2, 9));
        assert!(policy("").unwrap().check(&form, "b-1", 1_567_157_893).is_err());
    }

    #[test]
    fn a_policy_that_is_none_is_refused() {
        for bad in ["[\"eq\",\"key\",\"x\"],", "[\"like\",\"$key\",\"x\"],", "{},", "1,"] {
            assert_eq!(policy(bad).unwrap_err().code, Code::InvalidPolicyDocument, "{bad}");
        }
        for bad in ["", "{}", "{\"expiration\":\"2019-08-30T09:38:12.414Z\",\"conditions\":[]}"] {
            assert_eq!(
                PostPolicy::parse(bad).unwrap_err().code,
                Code::InvalidPolicyDocument,
                "{bad}"
            );
        }
    }
}
