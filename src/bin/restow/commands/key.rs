use anyhow::Result;
use restow::{KeyInfo, KeyOptions, ObjectId, Secret};
use serde_json::json;

use super::Context;
use crate::args::{KeyCommand, KeyRemoveArgs, NewKeyArgs};
use crate::error::Outcome;
use crate::location::{self, SecretFrom};
use crate::{output, prompt};

pub fn run(context: &Context, command: KeyCommand) -> Result<Outcome> {
    match command {
        KeyCommand::List => list(context),
        KeyCommand::Add(args) => add(context, &args),
        KeyCommand::Remove(args) => remove(context, &args),
        KeyCommand::Passwd(args) => passwd(context, &args),
    }
}

fn list(context: &Context) -> Result<Outcome> {
    let manager = location::open(context)?;
    let (keys, unreadable) = manager.keys()?;
    let in_use = manager.key_in_use();
    let kind = |is_key_file| if is_key_file { "key file" } else { "passphrase" };
    let outcome = if unreadable.is_empty() { Outcome::Done } else { Outcome::Damaged };
    let to_json = |key: &KeyInfo| {
        json!({
            "id": key.id.to_hex(),
            "label": key.label,
            "kind": kind(key.is_key_file),
            "created": output::rfc3339(key.created),
            "host": key.host,
            "user": key.user,
            "in_use": key.id == in_use,
        })
    };
    let document = || {
        let all: Vec<_> = keys.iter().map(to_json).collect();
        json!({ "keys": all, "unreadable": output::unreadable_json(&unreadable) })
    };
    let text = || {
        for key in &keys {
            println!(
                "{} {}  {:<10}  {}  {}@{}  {}",
                if key.id == in_use { "*" } else { " " },
                key.id.short(),
                kind(key.is_key_file),
                output::rfc3339(key.created),
                output::text(&key.user),
                output::text(&key.host),
                output::text(&key.label),
            );
        }
        output::complain("key", &unreadable);
    };
    context.answer(outcome, document, text)
}

fn add(context: &Context, args: &NewKeyArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let id = manager.add_key(&secret(context, args)?, &options(args))?;
    tell(context, id, "added")
}

fn remove(context: &Context, args: &KeyRemoveArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let id = manager.find_key(&args.id)?;
    prompt::confirm(context, args.yes, &format!("remove the key {}", id.short()))?;
    manager.remove_key(&id)?;
    tell(context, id, "removed")
}

fn passwd(context: &Context, args: &NewKeyArgs) -> Result<Outcome> {
    let manager = location::open(context)?;
    let before = manager.keys()?.0.into_iter().find(|key| key.id == manager.key_in_use());
    let mut options = options(args);
    if options.label.is_empty() {
        options.label = before.map(|key| key.label).unwrap_or_default();
    }
    let id = manager.change_key(&secret(context, args)?, &options)?;
    tell(context, id, "is the key in use now")
}

fn options(args: &NewKeyArgs) -> KeyOptions {
    KeyOptions::default().label(args.label.clone())
}

fn secret(context: &Context, args: &NewKeyArgs) -> Result<Secret> {
    SecretFrom::first(
        args.new_key_file.as_deref(),
        args.new_passphrase_file.as_deref(),
        args.new_passphrase_command.as_deref(),
    )
    .or_else(|| SecretFrom::in_variable("RESTOW_NEW_PASSPHRASE"))
    .unwrap_or(SecretFrom::Terminal)
    .read(context, true)
}

fn tell(context: &Context, id: ObjectId, what: &str) -> Result<Outcome> {
    let text = || println!("key {} {what}", id.short());
    context.report(Outcome::Done, || json!({ "id": id.to_hex() }), text)
}
