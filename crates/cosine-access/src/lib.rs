//! Who is asking, and may they.
//!
//! Nothing here knows HTTP. The one decision is [`decide`], a pure function; so far it knows root
//! accounts, anonymous callers and canned ACLs.

use std::collections::HashMap;
use std::fmt;

use cosine_store::{BucketAcl, ObjectAcl};

/// A root account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What its buckets' names end with.
    pub appid: u64,
    /// Its number in policies and ACLs.
    pub uin: u64,
}

/// A pair of keys, and whose it is. The secret never shows in debug output.
#[derive(Clone)]
pub struct Credential {
    /// The public half, `SecretId`.
    pub secret_id: String,
    /// The secret half, `SecretKey`.
    pub secret_key: String,
    /// Whose requests it signs.
    pub account: Account,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

/// All credentials, by their public half.
#[derive(Clone, Debug, Default)]
pub struct Keyring(HashMap<String, Credential>);

impl Keyring {
    /// A keyring with these credentials.
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        Self(credentials.into_iter().map(|c| (c.secret_id.clone(), c)).collect())
    }

    /// Finds a credential.
    pub fn find(&self, secret_id: &str) -> Option<&Credential> {
        self.0.get(secret_id)
    }

    /// The number of the account of an APPID.
    pub fn uin_of(&self, appid: u64) -> Option<u64> {
        let mut accounts = self.0.values().map(|credential| credential.account);
        accounts.find(|account| account.appid == appid).map(|account| account.uin)
    }
}

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody who said so.
    Anonymous,
    /// A root account, by its signature.
    Account(Account),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To see a bucket and list it.
    ReadBucket,
    /// To put objects into a bucket and delete them.
    WriteBucket,
    /// To read an object.
    ReadObject,
    /// To make a bucket, remove it, or see and change its configuration or anyone's ACL.
    Own,
}

/// The canned ACLs that bear on a resource.
#[derive(Clone, Copy, Debug)]
pub struct Acls {
    /// The bucket's.
    pub bucket: BucketAcl,
    /// The object's; [`ObjectAcl::Default`] where there is no object.
    pub object: ObjectAcl,
}

/// Whether the caller may do this without a look at any ACL: the owner may do everything.
pub fn owns(caller: Caller, owner_appid: u64) -> bool {
    matches!(caller, Caller::Account(account) if account.appid == owner_appid)
}

/// Decides whether a caller may do what it asks with a resource of `owner_appid`.
pub fn decide(caller: Caller, permission: Permission, owner_appid: u64, acls: Acls) -> bool {
    if owns(caller, owner_appid) {
        return true;
    }
    let signed = caller != Caller::Anonymous;
    let bucket_read = match acls.bucket {
        BucketAcl::Private => false,
        BucketAcl::PublicRead | BucketAcl::PublicReadWrite => true,
        BucketAcl::AuthenticatedRead => signed,
    };
    match permission {
        Permission::Own => false,
        Permission::ReadBucket => bucket_read,
        Permission::WriteBucket => acls.bucket == BucketAcl::PublicReadWrite,
        Permission::ReadObject => match acls.object {
            ObjectAcl::Default => bucket_read,
            ObjectAcl::PublicRead => true,
            ObjectAcl::AuthenticatedRead => signed,
            // Objects belong to their bucket's owner, who was let in above.
            ObjectAcl::Private | ObjectAcl::BucketOwnerRead | ObjectAcl::BucketOwnerFullControl => {
                false
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Caller = Caller::Account(Account { appid: 1, uin: 10 });
    const OTHER: Caller = Caller::Account(Account { appid: 2, uin: 20 });

    /// The truth table: permissions that each caller has under each pair of ACLs.
    #[test]
    fn truth_table() {
        use BucketAcl as B;
        use ObjectAcl as O;
        use Permission::{Own, ReadBucket, ReadObject, WriteBucket};
        let all = [ReadBucket, WriteBucket, ReadObject, Own];
        let table: [(B, O, &[Permission], &[Permission]); 11] = [
            (B::Private, O::Default, &[], &[]),
            (B::PublicRead, O::Default, &[ReadBucket, ReadObject], &[ReadBucket, ReadObject]),
            (
                B::PublicReadWrite,
                O::Default,
                &[ReadBucket, WriteBucket, ReadObject],
                &[ReadBucket, WriteBucket, ReadObject],
            ),
            (B::AuthenticatedRead, O::Default, &[], &[ReadBucket, ReadObject]),
            (B::Private, O::PublicRead, &[ReadObject], &[ReadObject]),
            (B::Private, O::AuthenticatedRead, &[], &[ReadObject]),
            (B::Private, O::BucketOwnerRead, &[], &[]),
            (B::Private, O::BucketOwnerFullControl, &[], &[]),
            (B::PublicRead, O::Private, &[ReadBucket], &[ReadBucket]),
            (
                B::PublicReadWrite,
                O::Private,
                &[ReadBucket, WriteBucket],
                &[ReadBucket, WriteBucket],
            ),
            (B::AuthenticatedRead, O::Private, &[], &[ReadBucket]),
        ];
        for (bucket, object, anonymous, other) in table {
            let acls = Acls { bucket, object };
            for permission in all {
                let allowed = |caller| decide(caller, permission, 1, acls);
                let case = format!("{bucket:?} {object:?} {permission:?}");
                assert!(allowed(OWNER), "{case}");
                assert_eq!(allowed(Caller::Anonymous), anonymous.contains(&permission), "{case}");
                assert_eq!(allowed(OTHER), other.contains(&permission), "{case}");
            }
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let credential = Credential {
            secret_id: "id".into(),
            secret_key: "hush".into(),
            account: Account { appid: 1, uin: 1 },
        };
        assert!(!format!("{:?}", Keyring::new([credential])).contains("hush"));
    }
}
