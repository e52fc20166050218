//! One row by itself: read as what its key says it is, and written again. For the fuzz targets.

use bytes::Bytes;

use crate::record::{
    AccessKeyRecord, AccountRecord, BucketAclRecord, BucketCorsRecord, BucketEncryptionRecord,
    BucketPolicyRecord, BucketRecord, ContentRecord, DamageRecord, DoomedRecord, EndedUploadRecord,
    FenceRecord, HeadRecord, HeartbeatRecord, IdentitiesRecord, KmsDefaultRecord, KmsKeyRecord,
    LedgerRecord, OldVersion, OverRecord, PageRecord, PartRecord, PolicyTextRecord, Record,
    ReferenceRecord, ReleasedRecord, RoleRecord, ScrubRecord, StoreKeyRecord, StoreRecord,
    UinRecord, UploadRecord, UserRecord, Version,
};
use crate::{Error, key};

/// Reads the record in a row, and encodes it again. Inline bytes are no record: they come back as
/// they are.
///
/// # Errors
/// [`Error::Damaged`], [`Error::NewerFormat`]; never another.
pub fn recode_row(key: &[u8], value: &[u8]) -> Result<Bytes, Error> {
    let recode = match key.first() {
        Some(b'b') => recode::<BucketRecord>,
        Some(b'c') => recode::<ContentRecord>,
        Some(b'd') => recode::<DoomedRecord>,
        Some(b'e') => recode::<PageRecord>,
        Some(b'f') => recode::<FenceRecord>,
        Some(b'h') => recode::<HeadRecord>,
        Some(b'i') => return Ok(Bytes::copy_from_slice(value)),
        Some(b'k') => recode::<Version>,
        Some(b'm') if key == key::store() => recode::<StoreRecord>,
        Some(b'm') if key == key::ledger() => recode::<LedgerRecord>,
        Some(b'm') if key == key::scrub() => recode::<ScrubRecord>,
        Some(b'o') => recode::<OverRecord>,
        Some(b'p') => recode::<PartRecord>,
        Some(b'q') => recode::<ReleasedRecord>,
        Some(b'r') => recode::<ReferenceRecord>,
        Some(b'm') if key == key::identities() => recode::<IdentitiesRecord>,
        Some(b'm') if key == key::store_key() => recode::<StoreKeyRecord>,
        Some(b's') => match key::setting_of(key) {
            b"policy" => recode::<BucketPolicyRecord>,
            b"policy-text" => recode::<PolicyTextRecord>,
            b"cors" => recode::<BucketCorsRecord>,
            b"encryption" => recode::<BucketEncryptionRecord>,
            _ => recode::<BucketAclRecord>,
        },
        Some(b'a') => recode::<AccountRecord>,
        Some(b'g') => recode::<UserRecord>,
        Some(b'j') => recode::<KmsDefaultRecord>,
        Some(b'l') => recode::<RoleRecord>,
        Some(b'n') => recode::<UinRecord>,
        Some(b'z') => recode::<KmsKeyRecord>,
        Some(b'y') => recode::<AccessKeyRecord>,
        Some(b't') => recode::<HeartbeatRecord>,
        Some(b'u') => recode::<UploadRecord>,
        Some(b'v') => recode::<OldVersion>,
        Some(b'w') => recode::<EndedUploadRecord>,
        Some(b'x') => recode::<DamageRecord>,
        _ => return Err(Error::Damaged("nobody knows what it is".into())),
    };
    recode(key, value)
}

fn recode<R: Record>(key: &[u8], value: &[u8]) -> Result<Bytes, Error> {
    R::decode(key, value)?.encode(key)
}
