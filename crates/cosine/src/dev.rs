//! `cosine dev`: the same server on the in-memory engines.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use cosine_blob::{Blobs, PoolId, Pools};
use cosine_http::monitor;
use cosine_store::{Engines, StorageClass, StoreOptions, SystemClock};

use crate::banner::Secret;
use crate::error::Error;
use crate::fault::unreadable;
use crate::settings::Settings;
use crate::{kms, master_key, run};

/// What can be made to go wrong, for people who test their clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A copy that moves bytes fails after its answer has begun: an error within a 200. Every class but
    /// STANDARD lies in a pool of its own, so that a copy into another class moves bytes, if the object has
    /// more than 16 KiB.
    CopyErrorIn200,
}

const FAULTS: [(&str, Fault); 1] = [("copy-error-in-200", Fault::CopyErrorIn200)];

/// The flag that asks for a fault.
pub fn fault_argument() -> Arg {
    Arg::new("fault").long("fault").value_name("FAULT").help(
        "Has something go wrong, for those who test their clients: copy-error-in-200 lets copies of more \
         than 16 KiB into another storage class fail after the answer has begun.",
    )
    .value_parser(PossibleValuesParser::new(FAULTS.map(|(name, _)| name)))
}

/// The fault that is asked for.
pub fn fault(matches: &ArgMatches) -> Option<Fault> {
    let wanted = matches.get_one::<String>("fault")?;
    FAULTS.iter().find(|(name, _)| name == wanted).map(|(_, fault)| *fault)
}

/// Serves from memory, with credentials that everyone knows.
pub fn run(settings: Settings, fault: Option<Fault>) -> Result<(), Error> {
    let prepared = run::prepare(&settings)?;
    if !settings.listen.ip().is_loopback() {
        tracing::warn!(listen = %settings.listen, "whoever reaches this address owns it: the credentials are public");
    }
    let master = master_key::passing()?;
    let options = StoreOptions {
        kms: kms::transit(&settings)?,
        encrypt_at_rest: settings.encryption.at_rest,
        rewrap: settings.encryption.rewrap.clone(),
        restore_times: settings.restore_times,
        ..StoreOptions::new(Arc::new(SystemClock), Arc::clone(master.keys()))
    };
    let (blobs, options) = match fault {
        None => (Arc::new(cosine_blob::Memory::default()) as Arc<dyn Blobs>, options),
        Some(Fault::CopyErrorIn200) => with_unreadable_copies(options)?,
    };
    let engines = Engines { kv: Arc::new(cosine_kv::Memory::default()), blobs };
    let shown = (monitor::registry(), master);
    run::run(settings, prepared, (engines, options), shown, |settings| {
        let none = || Error::Settings("secret_id and secret_key are empty".to_owned());
        Ok((settings.credential.clone().ok_or_else(none)?, Secret::Shown))
    })
}

fn with_unreadable_copies(options: StoreOptions) -> Result<(Arc<dyn Blobs>, StoreOptions), Error> {
    let none = || Error::Settings("there is no pool 1".to_owned());
    let pool = PoolId::new(1).ok_or_else(none)?;
    let memory = || Arc::new(cosine_blob::Memory::default()) as Arc<dyn Blobs>;
    let pools = Pools::new(memory(), BTreeMap::from([(pool, memory())]));
    let blobs: Arc<dyn Blobs> = Arc::new(pools);
    let others = StorageClass::ALL.iter().filter(|class| **class != StorageClass::Standard);
    let options = StoreOptions {
        pools: others.map(|class| (*class, pool)).collect(),
        copy_lens: Some(unreadable),
        ..options
    };
    Ok((blobs, options))
}
