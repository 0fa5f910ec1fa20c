use std::io::stdout;
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use restow::{EntryPath, Error, Selector};

use super::Context;
use super::gaps::Missing;
use crate::args::CatArgs;
use crate::error::Outcome;
use crate::location;

pub fn run(context: &Context, args: &CatArgs) -> Result<Outcome> {
    if context.options.json {
        let message = "cat prints an entry's bytes and nothing else: there is no --json for it";
        return Err(Error::Usage(message.into()).into());
    }
    let path = EntryPath::new(args.path.as_bytes()).map_err(|e| Error::Usage(e.to_string()))?;
    let manager = location::open(context)?;
    let (selector, filter) = (Selector::new(&args.id), args.filter.to_filter(context)?);
    let view = manager.view(&manager.find(&selector, &filter)?)?;
    let of_latest = (selector == Selector::Latest).then_some(&filter);
    let missing = Missing::of_entry(&manager, &view, &path, of_latest)?;
    match manager.cat(&view, path.as_bytes(), &mut stdout().lock()) {
        // Whoever read it has seen enough.
        Err(error) if error.is_broken_pipe() => Ok(Outcome::Done),
        done => {
            done?;
            missing.show();
            Ok(if missing.count() > 0 { Outcome::Incomplete } else { Outcome::Done })
        }
    }
}
