//! Keys are in memory, and stay there.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Has the process leave no core file, whatever becomes of it: keys that customers bring would be in it.
pub fn keep_memory_off_disks() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A refusal is no reason not to serve.
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core files cannot be switched off");
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::warn!(%error, "the process stays dumpable");
        }
    }
}
