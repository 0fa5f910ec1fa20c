//! No option takes an empty text: it comes from a variable that is not set, and would mean everything or nothing.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Error};

/// What may be empty: words for people, and the arguments of a program that is run.
const MAY_BE_EMPTY: [&str; 3] = ["description", "label", "command"];

/// Refuses the first option or argument of the command line that was given an empty text.
pub fn refuse(command: &mut Command, matches: &ArgMatches) -> Result<(), Error> {
    let is_empty = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        let known = matches.try_contains_id(id).is_ok();
        known
            && !MAY_BE_EMPTY.contains(&id)
            && matches.value_source(id) == Some(ValueSource::CommandLine)
            && matches.get_raw(id).is_some_and(|mut values| values.any(|value| value.is_empty()))
    };
    let empty = command.get_arguments().find(is_empty).map(Arg::to_string);
    if let Some(arg) = empty {
        let message = format!("{arg} is empty: is a variable not set?");
        return Err(command.error(ErrorKind::InvalidValue, message));
    }
    match matches.subcommand() {
        Some((name, below)) => match command.find_subcommand_mut(name) {
            Some(command) => refuse(command, below),
            None => Ok(()),
        },
        None => Ok(()),
    }
}
