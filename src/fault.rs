//! What kind of failure an error is, whatever layer it comes from. The binary turns it into an exit code.

/// Every layer's error answers `kind()` with one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Anything without a better name: an I/O error, a full disk, a bug.
    Failed,
    /// The request makes no sense.
    Usage,
    /// Stored bytes are not what was written.
    Damage,
    /// No such repository, snapshot or object.
    NotFound,
    /// The passphrase or key opens nothing here.
    WrongKey,
    /// Something is where something new should go.
    Exists,
    /// The source or target system does not answer, or refuses.
    Unreachable,
    /// Written by a newer restow.
    TooNew,
    /// The user, or a signal, said stop.
    Interrupted,
}
