//! Why the program ends.

/// A failure, in words for whoever started the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings do not make sense.
    #[error("{0}")]
    Settings(String),
    /// Something could not be opened or used.
    #[error("{0}: {1}")]
    System(String, std::io::Error),
    /// The store could not be opened.
    #[error("cannot open the store in {0}: {1}")]
    Store(String, cosine_store::Error),
    /// The run was fenced off.
    #[error("{0}")]
    Fenced(cosine_store::Error),
}

impl Error {
    /// 2 for what a different command line would mend, 1 for the rest.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Settings(_) => 2,
            Error::System(..) | Error::Store(..) | Error::Fenced(_) => 1,
        }
    }
}
