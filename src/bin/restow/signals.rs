//! Ctrl-C and SIGTERM stop cleanly; a second one stops at once.

use restow::progress::Cancel;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

pub fn watch(cancel: &Cancel) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset and sets it, the second finds it set.
        flag::register_conditional_shutdown(signal, 130, cancel.flag())?;
        flag::register(signal, cancel.flag())?;
    }
    Ok(())
}
