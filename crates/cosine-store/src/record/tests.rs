//! Records as the first format wrote them: they must open for ever.

use cosine_access::{AclPermission, Grant, Grantee, ObjectAcl};
use cosine_blob::PoolId;
use cosine_crypt::envelope::KmsEnvelope;
use cosine_crypt::{Envelope, Provider};

use super::*;

/// Where the fixtures are stored.
const KEY: &[u8] = b"key";

/// Bytes as the first format wrote them: they must open for ever.
#[test]
fn version_1_records_open() {
    let version = Version {
        uid: Uid([1; 16]),
        order: 1_586_542_830_000_001,
        null: true,
        content: Uid([2; 16]),
        size: 16,
        sums: Sums::Clear(ObjectSums {
            etag: Etag { digest: [3; 16], parts: 0 },
            crc64: 16_749_565_679_157_681_890,
        }),
        class: StorageClass::Standard,
        kind: ObjectKind::Normal,
        content_key: None,
        acl: ObjectAcl::PublicRead,
        attributes: Attributes {
            system: vec![("content-type".into(), b"a/b".to_vec())],
            user: vec![("via".into(), b"x".to_vec())],
        },
        tags: vec![],
        restore: Some(Restore { requested: 1, ready: 2, expires: 300, tier: RestoreTier::Bulk }),
    };
    let stored = hex("01 01010101010101010101010101010101 81afb6cebcdee802 01 \
         02020202020202020202020202020202 10 00 03030303030303030303030303030303 00 \
         e2bd9282e0a79ab9e801 00 00 00 02 01 0c 636f6e74656e742d74797065 03 612f62 01 03 \
         766961 01 78 00 01 01 02 ac02 02 7ee54ca6");
    assert_eq!(version.encode(KEY).unwrap(), stored);
    assert_eq!(Version::decode(KEY, &stored).unwrap(), version);
    assert_eq!(version.last_modified(), 1_586_542_830);
    assert_eq!(Etag { digest: [3; 16], parts: 2 }.to_string(), format!("{}-2", "03".repeat(16)));

    let sums =
        ContentSums { crc64: 1, md5: Some([4; 16]), etag: Etag { digest: [6; 16], parts: 2 } };
    let content = ContentRecord {
        size: 300,
        sums: Sums::Clear(sums),
        state: ContentState::Live,
        pools: Pools::of(PoolId::new(9).unwrap()),
        depth: 0,
        coverage: Coverage::Plain,
        content_key: None,
        body: Body::Blob { id: [5; 16], key: DataKey::Plain },
    };
    check(
        content.clone(),
        "01 ac02 00 01 01 04040404040404040404040404040404 06060606060606060606060606060606 \
         02 00 8004 00 01 00 01 05050505050505050505050505050505 00 bb5b50a6",
    );
    let key = DataKey::Sealed { key: vec![3, 4], crc64: 9 };
    let sealed = ContentRecord {
        sums: Sums::Sealed(vec![1, 2]),
        coverage: Coverage::Sealed,
        content_key: Some(Uid([7; 16])),
        body: Body::Blob { id: [5; 16], key: key.clone() },
        ..content
    };
    check(
        sealed.clone(),
        "01 ac02 01 02 0102 00 8004 00 03 01 07070707070707070707070707070707 01 \
         05050505050505050505050505050505 01 02 0304 09 8720e6a4",
    );
    let inline = ContentRecord { pools: Pools::default(), body: Body::Inline(key), ..sealed };
    check(
        inline,
        "01 ac02 01 02 0102 00 00 00 03 01 07070707070707070707070707070707 00 01 02 0304 09 \
         e326f003",
    );
}

fn check<R: Record + PartialEq + std::fmt::Debug>(record: R, stored: &str) {
    let stored = hex(stored);
    assert_eq!(record.encode(KEY).unwrap(), stored, "{record:?}");
    assert_eq!(R::decode(KEY, &stored).unwrap(), record);
}

/// The byte that a class is stored as.
#[test]
fn version_1_of_the_storage_classes() {
    let stored =
        StorageClass::ALL.iter().map(|class| (class.as_str(), postcard::to_stdvec(class).unwrap()));
    let expected = [
        "STANDARD",
        "STANDARD_IA",
        "INTELLIGENT_TIERING",
        "ARCHIVE",
        "DEEP_ARCHIVE",
        "MAZ_STANDARD",
        "MAZ_STANDARD_IA",
        "MAZ_INTELLIGENT_TIERING",
        "MAZ_ARCHIVE",
        "MAZ_DEEP_ARCHIVE",
    ];
    assert!(stored.eq((0..).zip(expected).map(|(byte, name)| (name, vec![byte]))));
}

#[test]
fn version_1_of_the_small_records_opens() {
    let bucket = |gate| BucketRecord {
        uid: Uid([1; 16]),
        region: "ap-x".into(),
        created: 1_586_542_830,
        gate,
        versioning: Versioning::Suspended,
        zones: Zones::Several,
    };
    let head = "01 01010101010101010101010101010101 04 61702d78 dce385e90b";
    check(bucket(Gate::Open), &format!("{head} 00 02 01 6073a3ed"));
    check(
        bucket(Gate::Frozen { run: 300, token: 1 }),
        &format!("{head} 01 ac02 01 02 01 d72b97a1"),
    );
    check(BucketAclRecord { acl: BucketAcl::PublicReadWrite }, "01 02 f2803107");
    check(StoreRecord { id: 300 }, "01 ac02 d58687d1");
    check(FenceRecord { began: 300 }, "01 ac02 d58687d1");
    check(HeartbeatRecord { at: 300 }, "01 ac02 d58687d1");
    check(HeadRecord { newest: 300, null: Some(1) }, "01 ac02 01 01 6655c6d2");
    let marker = DeleteMarker { order: 300, null: true };
    check(OldVersion::Marker(marker), "01 01 ac02 01 639c04b0");
    check(EndedUploadRecord {}, "01 96abb87e");
    check(ReferenceRecord {}, "01 96abb87e");
    check(ReleasedRecord { at: 300 }, "01 ac02 d58687d1");
    let seen = Census { live: 1, live_bytes: 2, shared: 3, shared_bytes: 4, damaged: 5 };
    check(OverRecord { swept: true }, "01 01 06736114");
    check(DoomedRecord { bytes: 300 }, "01 ac02 d58687d1");
    check(
        LedgerRecord {
            doomed_blobs: 1,
            doomed_bytes: 300,
            reclaimed_blobs: 2,
            reclaimed_inline: 3,
            reclaimed_bytes: 4,
            quarantined_blobs: 5,
        },
        "01 01 ac02 02 03 04 05 fd1a1e8f",
    );
    check(
        ScrubRecord {
            pass: 1,
            began: 2,
            cursor: Some(Uid([1; 16])),
            seen,
            last: seen,
            last_ended: Some(3),
        },
        "01 01 02 01 01010101010101010101010101010101 0102030405 0102030405 01 03 e666cb92",
    );
    check(
        DamageRecord { at: 1, what: "x".into(), objects: vec![("b".into(), "k".into(), 2)] },
        "01 01 01 78 01 01 62 01 6b 02 6f062ef2",
    );
}

#[test]
fn version_1_of_what_uploads_and_slices_are_opens() {
    let upload = UploadRecord {
        uid: Uid([1; 16]),
        initiated: 300,
        initiator: 2,
        class: StorageClass::Archive,
        acl: ObjectAcl::Private,
        attributes: Attributes::default(),
        tags: vec![("k".into(), "v".into())],
        forbid_overwrite: true,
        content_key: SealedContentKey { uid: Uid([8; 16]), envelope: Envelope::AtRest(vec![1, 2]) },
        customer: Some(vec![5]),
    };
    let under = |envelope| UploadRecord {
        content_key: SealedContentKey { uid: Uid([8; 16]), envelope },
        customer: None,
        ..upload.clone()
    };
    let kms = KmsEnvelope {
        provider: Provider::Transit,
        key_id: "k".into(),
        context: vec![1],
        one_time: vec![2],
        content_key: vec![3],
    };
    check(
        under(Envelope::Cos(vec![9])),
        "01 01010101010101010101010101010101 ac02 02 03 01 00 00 01 01 6b 01 76 01 \
         08080808080808080808080808080808 01 01 09 00 1e84b4f3",
    );
    check(
        under(Envelope::Kms(kms)),
        "01 01010101010101010101010101010101 ac02 02 03 01 00 00 01 01 6b 01 76 01 \
         08080808080808080808080808080808 02 01 01 6b 01 01 01 02 01 03 00 61f4ca16",
    );
    check(
        under(Envelope::Customer(vec![9])),
        "01 01010101010101010101010101010101 ac02 02 03 01 00 00 01 01 6b 01 76 01 \
         08080808080808080808080808080808 03 01 09 00 9fa7d34c",
    );
    check(
        upload,
        "01 01010101010101010101010101010101 ac02 02 03 01 00 00 01 01 6b 01 76 01 \
         08080808080808080808080808080808 00 02 0102 01 01 05 35b94d9c",
    );
}

#[test]
fn version_1_of_parts_and_slices_opens() {
    let part = PartRecord {
        content: Uid([1; 16]),
        holder: Uid([2; 16]),
        offset: 1,
        length: 300,
        sums: Sums::Clear(PartSums { etag: [3; 16], md5: [4; 16], crc64: 2 }),
        modified: 4,
        pools: Pools::default(),
        depth: 5,
        coverage: Coverage::Plain,
        key: SliceKey::Same,
    };
    check(
        part,
        "01 01010101010101010101010101010101 02020202020202020202020202020202 01 ac02 00 \
         03030303030303030303030303030303 04040404040404040404040404040404 02 04 00 05 01 00 \
         ebccce62",
    );
    let (content, holder) = (Uid([1; 16]), Uid([2; 16]));
    let slice =
        Slice { content, holder, offset: 1, length: 300, key: SliceKey::Sealed(vec![1, 2]) };
    check(
        PageRecord { slices: vec![slice], crc64: Sums::Clear(vec![2]) },
        "01 01 01010101010101010101010101010101 02020202020202020202020202020202 01 ac02 01 \
         02 0102 00 01 02 04c2e15c",
    );
    let sliced = ContentRecord {
        size: 300,
        sums: Sums::Sealed(vec![1, 2]),
        state: ContentState::Removing,
        pools: Pools::default(),
        depth: 1,
        coverage: Coverage::Mixed,
        content_key: Some(Uid([7; 16])),
        body: Body::Slices(vec![PageEnd { end: 300 }]),
    };
    check(
        sliced,
        "01 ac02 01 02 0102 02 00 01 02 01 07070707070707070707070707070707 02 01 ac02 \
         c81ee2de",
    );
}

/// The bytes of keys, and of what is encrypted under them.
#[test]
fn version_1_of_keys_opens() {
    check(StoreKeyRecord { sealed: vec![1, 2] }, "01 02 0102 8bbdd1e2");
    let key = KmsKeyRecord {
        appid: 300,
        created: 1,
        description: "d".into(),
        state: KmsKeyState::PendingDeletion(300),
        versions: vec![vec![9]],
    };
    check(key, "01 ac02 02 01 64 02 ac02 01 01 09 bc55597d");
    check(KmsDefaultRecord { key_id: "k".into() }, "01 01 6b 93ed878c");
    let default = |encryption| BucketEncryptionRecord { encryption };
    check(default(BucketEncryption::Cos), "01 00 05f00ae6");
    let kms = BucketEncryption::Kms { key_id: Some("k".into()) };
    check(default(kms), "01 01 01 01 6b 560b6ae7");
}

/// The bytes that say who may what.
#[test]
fn version_1_of_who_may_opens() {
    let grant = |grantee, permission| Grant { grantee, permission };
    let grants = vec![
        grant(Grantee::Everyone, AclPermission::Read),
        grant(Grantee::Authenticated, AclPermission::Write),
        grant(Grantee::Account(300), AclPermission::ReadAcp),
        grant(Grantee::User { owner: 1, uin: 2 }, AclPermission::WriteAcp),
        grant(Grantee::Account(1), AclPermission::FullControl),
    ];
    let listed = "05 00 00 01 01 02 ac02 02 03 01 02 03 02 01 04";
    let object = postcard::to_stdvec(&ObjectAcl::Grants(grants.clone())).unwrap();
    assert_eq!(object, hex(&format!("06 {listed}")));
    check(BucketAclRecord { acl: BucketAcl::Grants(grants) }, &format!("01 04 {listed} 0d45b211"));
    check(
        BucketPolicyRecord { version: Uid([1; 16]) },
        "01 01010101010101010101010101010101 9d5c5553",
    );
    check(
        PolicyTextRecord { version: Uid([1; 16]), text: "{}".into() },
        "01 01010101010101010101010101010101 02 7b7d 1a0fc278",
    );
    check(BucketCorsRecord { document: "<C/>".into() }, "01 04 3c432f3e fc0b2436");
    check(IdentitiesRecord { changes: 300 }, "01 ac02 d58687d1");
    check(AccountRecord { uin: 300, created: 1 }, "01 ac02 02 9751b555");
    check(UinRecord { appid: 300, user: Some("u".into()) }, "01 ac02 01 01 75 9fa1a151");
    check(UserRecord { uin: 300, created: 1, policy: None }, "01 ac02 02 00 fc7e4a14");
    let role = RoleRecord { created: 1, trust: "{}".into(), policy: Some("{}".into()) };
    check(role, "01 02 02 7b7d 01 02 7b7d 3b3bead7");
    let pair = AccessKeyRecord {
        appid: 300,
        user: Some("u".into()),
        secret: vec![1, 2],
        created: 1,
        enabled: true,
    };
    check(pair, "01 ac02 01 01 75 02 0102 02 01 b89557ba");
}

/// A flipped bit anywhere, a cut, another key: damage, and never other values.
#[test]
fn what_is_not_what_was_written_is_damage_and_no_panic() {
    let record = DamageRecord { at: 5, what: "torn".into(), objects: vec![] };
    let stored = record.encode(KEY).unwrap();
    for bit in 0..stored.len() * 8 {
        let mut damaged = stored.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let decoded = DamageRecord::decode(KEY, &damaged);
        assert!(matches!(decoded, Err(Error::Damaged(_))), "bit {bit}: {decoded:?}");
    }
    for length in 0..stored.len() {
        let decoded = DamageRecord::decode(KEY, &stored[..length]);
        assert!(matches!(decoded, Err(Error::Damaged(_))), "cut to {length}: {decoded:?}");
    }
    assert!(matches!(DamageRecord::decode(b"kez", &stored), Err(Error::Damaged(_))));
}

/// A field more is another format, and would have another version.
#[test]
fn a_record_that_is_longer_than_its_fields_is_damage() {
    let mut stored = vec![HeadRecord::VERSION, 1, 0, 0];
    stored.extend_from_slice(&checksum(KEY, &stored).to_le_bytes());
    assert!(matches!(HeadRecord::decode(KEY, &stored), Err(Error::Damaged(_))));
}

/// What a newer program wrote is told from damage.
#[test]
fn a_newer_format_is_called_that() {
    let mut stored = vec![9, 1, 2, 3];
    stored.extend_from_slice(&checksum(KEY, &stored).to_le_bytes());
    let decoded = Version::decode(KEY, &stored);
    assert!(matches!(decoded, Err(Error::NewerFormat { record: "version", version: 9 })));
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
